/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Requests of traces that wait for their answer: how many may, and what becomes of them when nobody is
 * there to be told. What is answered is seen in tests/contract/trace_test.c. */
#include "server/mapper/trace_request.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/channel.h"
#include "server/mapper/export.h"
#include "server/mapper/peer.h"
#include "tests/lib/trace_table_rig.h"

#define GUEST                                                                                      \
    "domain \"g\" { domid = 7 uuid = \"" SIM_UUID "\" type = \"hvm\" vcpus = 4\n"                  \
    "  vmtrace { size = 65536 rate = 100000 } }\n"
#define EXPORT "allow all all list,trace.read,trace.control\n"

static struct mapper m;
static char socket_path[64];

static void on_gone(void *arg, const uint8_t incarnation[16])
{
    (void)arg, (void)incarnation;
}

static void on_changed(void *arg, enum feed_domain_kind kind, const struct directory_entry *e,
                       const struct domain_identity *before)
{
    (void)arg;
    feed_table_changed(rig.feeds, kind, e, before, directory_generation(m.directory));
}

static int set_up(void **state)
{
    uid_t uid = getuid();
    int fd;

    (void)state;
    snprintf(socket_path, sizeof(socket_path), "/tmp/trace-request.%d", (int)getpid());
    rig_open(GUEST "event { step = 1 do = \"destroy\" domain = \"g\" }\n", 4, 64);
    m = (struct mapper){ .ops = backend_ops,
                         .backend = rig.b,
                         .feeds = rig.feeds,
                         .journal = rig.journal,
                         .traces = rig.traces };
    assert_int_equal(channel_listen(socket_path, &fd, NULL), 0);
    assert_int_equal(peer_new(fd, &uid, 1, &m.peer, NULL), 0); /* nobody comes */
    assert_int_equal(export_parse(EXPORT, sizeof(EXPORT) - 1, "export", &m.export, NULL), 0);
    assert_int_equal(directory_new(backend_ops, rig.b, on_gone, NULL, &m.directory, NULL), 0);
    directory_listen(m.directory, on_changed, &m);
    assert_int_equal(directory_drain(m.directory, NULL), 0);
    assert_int_equal(trace_requests_new(&m.trace_requests, NULL), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    trace_requests_free(m.trace_requests);
    directory_free(m.directory);
    export_free(m.export);
    peer_free(m.peer);
    rig_close();
    return unlink(socket_path);
}

static struct message_trace_start request(const char *owner, uint32_t flags)
{
    const struct directory_entry *e;
    union message r = { 0 };

    message_init(&r, MESSAGE_TRACE_START, 5);
    assert_int_equal(directory_find(m.directory, 7, &e, NULL), 0);
    r.trace_start.domain = e->identity;
    r.trace_start.flags = flags;
    snprintf(r.trace_start.owner, sizeof(r.trace_start.owner), "%s", owner);
    return r.trace_start;
}

static int start(const char *owner, uint32_t flags, struct failure *f)
{
    const struct message_trace_start r = request(owner, flags);

    return trace_request_start(&m, &r, f);
}

static struct trace *the_trace(void)
{
    struct message_trace_start r = request("alice", 0);

    return trace_of_incarnation(rig.traces, r.domain.incarnation);
}

static void turn(void)
{
    rig_turn();
    trace_request_step(&m);
}

/* Until nobody waits for the domain's trace any more. */
static struct trace *settle(void)
{
    trace_request_step(&m);
    struct trace *trace = the_trace();

    while (trace == NULL || trace->waiting > 0) {
        turn();
        trace = the_trace();
    }
    return trace;
}

static void as_many_may_wait_and_not_one_more(void **state)
{
    struct failure f = { 0 };

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < TRACE_PENDING_MAX; i++) {
            assert_int_equal(start("alice", 0, &f), 0);
        }
        assert_int_equal(the_trace()->waiting, TRACE_PENDING_MAX);
        assert_int_equal(start("alice", 0, &f), -ERROR_RESOURCE_EXHAUSTED);
        assert_true(f.retry_after_ms > 0);
        struct message_trace_stop stop = { .head.serial = 7 };

        memcpy(stop.trace_id, the_trace()->about.trace_id, 16);
        if (the_trace()->has_begun) {
            assert_int_equal(trace_request_stop(&m, &stop, &f), -ERROR_RESOURCE_EXHAUSTED);
        } else { /* nobody knows of it yet */
            assert_int_equal(trace_request_stop(&m, &stop, &f), -ERROR_NOT_FOUND);
        }
        if (round == 1) { /* it runs, and goes on */
            trace_request_abandon(&m);
            assert_int_equal(the_trace()->waiting, 0);
        }
        assert_int_equal(settle()->stage, TRACE_RUNS);
    }
}

static void who_takes_over_waits_for_the_end_of_the_other(void **state)
{
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(start("alice", 0, &f), 0);
    uint8_t first[16];

    memcpy(first, settle()->about.trace_id, sizeof(first));
    assert_int_equal(start("bob", TRACE_TAKEOVER, &f), 0);
    assert_int_equal(the_trace()->stage, TRACE_ENDS);
    assert_int_equal(start("carol", 0, &f), 0); /* waits for the same, and bob is first */
    while (trace_named(rig.traces, first) != NULL) {
        turn();
    }
    assert_string_equal(settle()->about.owner, "bob");
    assert_int_equal(start("carol", 0, &f), -ERROR_FAILED_PRECONDITION);
    trace_request_step(&m);
    assert_int_equal(trace_request_deadline_ns(m.trace_requests), UINT64_MAX);
}

/* As after a gap in sight: the domain is the same, and nobody knows that. */
static void who_means_a_new_life_waits_for_the_trace_of_the_old(void **state)
{
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(start("alice", 0, &f), 0);
    struct trace *old = settle();

    old->about.domain.incarnation[0] ^= 1;
    assert_int_equal(start("alice", 0, &f), 0);
    assert_int_equal(old->stage, TRACE_ENDS);
    trace_request_step(&m);
    assert_null(the_trace()); /* two would disable each other's vCPUs */
    rig_wait(old, TRACE_IS_OVER);
    assert_int_equal(settle()->stage, TRACE_RUNS);
    assert_int_equal(rig_journal_count(), 4);
}

static void a_domain_that_dies_meanwhile_ends_the_wait(void **state)
{
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(start("alice", 0, &f), 0);
    (void)settle();
    assert_int_equal(start("bob", TRACE_TAKEOVER, &f), 0);
    struct message_trace_start r = request("bob", 0);

    sim_step(rig.b);
    assert_int_equal(directory_drain(m.directory, NULL), 0);
    while (trace_of_incarnation(rig.traces, r.domain.incarnation) != NULL) {
        turn();
    }
    trace_request_step(&m); /* refused: there is no such domain */
    assert_null(trace_of_incarnation(rig.traces, r.domain.incarnation));
    assert_int_equal(rig_journal_count(), 0);
}

static void what_began_too_late_is_ended_again(void **state)
{
    struct message_trace_start r = request("alice", 0);
    struct failure f = { 0 };

    (void)state;
    r.deadline_ns = clock_monotonic_ns() + 2 * CLOCK_NS_PER_MS;
    assert_int_equal(trace_request_start(&m, &r, &f), 0);
    assert_int_equal(trace_request_deadline_ns(m.trace_requests), r.deadline_ns);
    while (clock_monotonic_ns() <= r.deadline_ns) {
    }
    trace_request_step(&m); /* the table has not seen yet that it has begun */
    assert_int_equal(trace_request_deadline_ns(m.trace_requests), UINT64_MAX);
    while (the_trace() != NULL) {
        rig_turn();
    }
    assert_int_equal(rig_journal_count(), 0);
    assert_int_equal(trace_request_start(&m, &r, &f), -ERROR_DEADLINE_EXCEEDED);
    assert_true(f.next_step[0] != '\0');
}

static void what_has_begun_goes_on_without_its_peer(void **state)
{
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(start("alice", 0, &f), 0);
    (void)settle();
    trace_request_abandon(&m);
    assert_int_equal(start("alice", 0, &f), 0); /* the next one finds it */
    assert_int_equal(settle()->stage, TRACE_RUNS);
}

static void assert_it_ends(void)
{
    assert_int_equal(the_trace()->stage, TRACE_ENDS);
    while (the_trace() != NULL) {
        turn();
    }
    assert_int_equal(rig_journal_count(), 0);
}

static void what_nobody_was_told_of_ends_with_the_last_who_waits(void **state)
{
    struct message_trace_start r = request("alice", 0);
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(start("alice", 0, &f), 0);
    assert_int_equal(start("alice", 0, &f), 0); /* the same: joined */
    trace_request_abandon(&m);
    assert_it_ends();

    r.deadline_ns = clock_monotonic_ns() + 300 * CLOCK_NS_PER_MS; /* both in time */
    assert_int_equal(trace_request_start(&m, &r, &f), 0);
    assert_int_equal(trace_request_start(&m, &r, &f), 0);
    while (clock_monotonic_ns() <= r.deadline_ns) {
    }
    trace_request_step(&m); /* late, both: who joined is the last */
    assert_it_ends();
}

static void who_was_held_back_until_the_lease_ended_is_told_so(void **state)
{
    struct failure f = { 0 };

    (void)state;
    pthread_mutex_lock(&rig.pauses.lock);
    rig.pauses.tokens = INT64_MIN / 2;
    pthread_mutex_unlock(&rig.pauses.lock);
    assert_int_equal(start("alice", 0, &f), 0);
    struct trace *trace = the_trace();

    trace->lease_end_ns = 0;
    rig_step();
    rig_wait(trace, TRACE_IS_OVER);
    assert_int_equal(trace->about.failure.code, ERROR_ABORTED);
    assert_non_null(strstr(trace->about.failure.next_step, "--pauses-per-second"));
    trace_request_step(&m);
    assert_int_equal(trace->waiting, 0);
}

static void whoever_was_first_is_told_though_the_lease_is_anew(void **state)
{
    struct failure f = { 0 };

    (void)state;
    assert_int_equal(start("alice", 0, &f), 0);
    struct trace *trace = settle();

    trace->lease_end_ns -= 30 * CLOCK_NS_PER_S;
    uint64_t before_ns = trace->lease_end_ns;

    assert_int_equal(start("alice", 0, &f), 0);
    assert_true(trace->lease_end_ns > before_ns + 20 * CLOCK_NS_PER_S);
    trace_request_step(&m);
    assert_int_equal(trace->waiting, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(as_many_may_wait_and_not_one_more),
        TEST(who_takes_over_waits_for_the_end_of_the_other),
        TEST(who_means_a_new_life_waits_for_the_trace_of_the_old),
        TEST(a_domain_that_dies_meanwhile_ends_the_wait),
        TEST(what_began_too_late_is_ended_again),
        TEST(what_has_begun_goes_on_without_its_peer),
        TEST(what_nobody_was_told_of_ends_with_the_last_who_waits),
        TEST(who_was_held_back_until_the_lease_ended_is_told_so),
        TEST(whoever_was_first_is_told_though_the_lease_is_anew),
    };

    return UNIT_RUN(tests);
}
