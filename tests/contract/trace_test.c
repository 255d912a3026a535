/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What xenresd may rely on of a mapper's traces, through its socket: started, read, renewed, stopped,
 * listed, refused. The simulated host traces by itself and, at steps, does what a scenario says.
 */
#include "server/mapper/backend.h"
#include "tests/lib/trace_rig.h"

#define UUID(n) "\"11111111-1111-1111-1111-1111111111" n "\""
enum { FILE_BYTES = 300000, MANY_VCPUS = 40, MANY_DOMAINS = 11, MANY_FIRST = 50 };

static char source_path[64];
static uint8_t source[FILE_BYTES];
static struct rig rig;
static struct rig_peer peer;
static union message answered;

/* Bytes that are no Intel PT, and of which no two stretches are alike. */
static void make_source(void)
{
    uint64_t x = 88172645463325252U;

    for (size_t i = 0; i < sizeof(source); i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        source[i] = (uint8_t)(x | 1); /* never 0x02: no byte waits for the rest of a PSB */
    }
    snprintf(source_path, sizeof(source_path), "/tmp/trace.XXXXXX");
    int fd = mkstemp(source_path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, source, sizeof(source)), sizeof(source));
    assert_int_equal(fchmod(fd, 0644), 0);
    close(fd);
}

static const char *scenario(void)
{
    static char text[16384];
    size_t len = (size_t)snprintf(
        text, sizeof(text),
        "domain \"file\" { domid = 1 uuid = " UUID(
            "01") " type = \"hvm\"\n"
                  "  vmtrace { size = 1048576 rate = 2000000 source = { \"%s\" } } }\n"
                  "domain \"two\" { domid = 2 uuid = " UUID(
                      "02") " type = \"pvh\" vcpus = 2\n"
                            "  vmtrace { size = 65536 rate = 100000 } }\n"
                            "domain \"many\" { domid = 3 uuid = " UUID(
                                "03") " type = \"hvm\" vcpus = %d\n"
                                      "  vmtrace { size = 4096 rate = 1000 } }\n"
                                      "domain \"dies\" { domid = 4 uuid = " UUID(
                                          "04") " type = \"hvm\" vcpus = 2\n"
                                                "  vmtrace { size = 65536 rate = 100000 } }\n"
                                                "domain \"renamed\" { domid = 5 uuid = " UUID(
                                                    "05") " type = \"hvm\"\n"
                                                          "  vmtrace { size = 65536 rate = 100000 "
                                                          "} }\n"
                                                          "domain \"shuts\" { domid = 6 uuid "
                                                          "= " UUID(
                                                              "06") " type = \"hvm\"\n"
                                                                    "  vmtrace { size = 65536 rate "
                                                                    "= 100000 } }\n"
                                                                    "domain \"reboots\" { domid = "
                                                                    "7 uuid = " UUID(
                                                                        "07") " type = \"hvm\"\n"
                                                                              "  vmtrace { size = "
                                                                              "65536 rate = 100000 "
                                                                              "} }\n"
                                                                              "domain \"taken\" { "
                                                                              "domid = 8 uuid "
                                                                              "= " UUID(
                                                                                  "08") " type = "
                                                                                        "\"hvm\" "
                                                                                        "vcpus = "
                                                                                        "2\n"
                                                                                        "  vmtrace "
                                                                                        "{ size = "
                                                                                        "65536 "
                                                                                        "rate = "
                                                                                        "100000 "
                                                                                        "enabled = "
                                                                                        "true } }\n"
                                                                                        "domain "
                                                                                        "\"pv\" { "
                                                                                        "domid = 9 "
                                                                                        "uuid "
                                                                                        "= " UUID(
                                                                                            "09") " type = \"pv\" }\n"
                                                                                                  "domain \"none\" { domid = 10 uuid = " UUID(
                                                                                                      "0a") " type = \"hvm\" }\n"
                                                                                                            "event { step = 1 do = \"destroy\" domain = \"dies\" }\n"
                                                                                                            "event { step = 2 do = \"rename\" domain = \"renamed\" text = \"other\" }\n"
                                                                                                            "event { step = 3 do = \"crash\" domain = \"shuts\" }\n"
                                                                                                            "event { step = 4 do = \"reboot\" domain = \"reboots\" }\n",
        source_path, MANY_VCPUS);

    for (int i = 0; i < MANY_DOMAINS; i++) {
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len,
                             "domain \"m%d\" { domid = %d uuid = " UUID(
                                 "%02x") " type = \"hvm\" vmtrace { size = 4096 rate = 100 } }\n",
                             i, MANY_FIRST + i, 0x40 + i);
    }
    return text;
}

static int set_up(void **state)
{
    (void)state;
    make_source();
    rig_start(&rig, scenario(), TRACE_RIG_EXPORT, NULL);
    rig_join(&rig, &peer);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_leave(&peer);
    rig_stop(&rig);
    return unlink(source_path);
}

static void assert_refused(int code, const char *words)
{
    const struct failure *f = &answered.failed.failure;

    assert_int_equal(answered.head.type, MESSAGE_FAILED);
    if (f->code != code || (strstr(f->message, words) == NULL && strstr(f->cause, words) == NULL &&
                            strstr(f->next_step, words) == NULL)) {
        fail_msg("%s; %s; %s (%d)", f->message, f->cause, f->next_step, f->code);
    }
}

static struct message_trace start(const char *name, const char *owner, uint32_t flags)
{
    struct domain_identity d = rig_domain(&peer, name);

    if (!trace_rig_start(&peer, &d, owner, flags, &answered)) {
        fail_msg("%s: %s", answered.failed.failure.message, answered.failed.failure.cause);
    }
    return answered.trace_answer.trace;
}

static struct message_trace stop(const struct message_trace *trace)
{
    if (!trace_rig_stop(&peer, trace->trace_id, &answered)) {
        fail_msg("%s", answered.failed.failure.message);
    }
    return answered.trace_answer.trace;
}

static void watch(const char *name, uint32_t vcpu, struct feed_rig *r)
{
    struct domain_identity d = rig_domain(&peer, name);

    if (!trace_rig_watch(&peer, &d, vcpu, r, &answered)) {
        fail_msg("%s", answered.failed.failure.message);
    }
}

static struct message_counters_answer counters(void)
{
    union message m = rig_message(MESSAGE_COUNTERS), a;

    assert_true(rig_call(&peer, &m, &a));
    return a.counters_answer;
}

/* --- reading --------------------------------------------------------------------------------------- */

static void what_a_vcpu_wrote_comes_whole_and_in_order(void **state)
{
    struct feed_rig r;
    struct message_trace trace = start("file", "alice", 0);
    uint64_t at = 0;

    (void)state;
    assert_int_equal(answered.trace_answer.joined, 0);
    assert_string_equal(trace.owner, "alice");
    assert_int_equal(trace.vcpu_count, 1);
    assert_int_equal(trace.facts.buffer_bytes, 1 << 20);
    assert_int_equal(trace.facts.rtit_ctl & VMTRACE_CTL_ENABLED, VMTRACE_CTL_ENABLED);
    assert_int_equal(counters().traces, 1);
    watch("file", 0, &r);
    assert_int_equal(feed_rig_next(&r)->kind, FEED_RECORD_BEGIN);
    assert_int_equal(r.record.begin->reason, FEED_BEGIN_START);
    while (at < FILE_BYTES) {
        feed_rig_next(&r);
        assert_int_not_equal(r.record.kind, FEED_RECORD_LOSS);
        if (r.record.kind != FEED_RECORD_BYTES) {
            continue;
        }
        assert_int_equal(r.record.bytes->offset, at);
        assert_int_equal(r.record.bytes->bytes_before, at);
        assert_true(at + r.record.bytes->len_bytes <= FILE_BYTES);
        assert_memory_equal(r.record.contents, source + at, r.record.bytes->len_bytes);
        at += r.record.bytes->len_bytes;
    }
    struct message_trace ended = stop(&trace);

    assert_int_equal(ended.end_reason, FEED_END_STOPPED_BY_CALLER);
    const struct feed_end *end = trace_rig_to_end(&r, NULL);

    assert_int_equal(end->reason, FEED_END_STOPPED_BY_CALLER);
    assert_int_equal(end->blocks_before, FILE_BYTES);
    assert_int_equal(end->batch, 0);
    struct message_counters_answer c = counters();

    assert_int_equal(c.traces, 0);
    assert_int_equal(c.traced_vcpus, 0);
    assert_true(c.produced_bytes >= FILE_BYTES);
    assert_int_equal(c.lost_bytes, 0);
    assert_true(c.vcpu_pauses > 0);
    feed_rig_done(&r);
}

static void the_end_is_in_the_spool_when_a_stop_is_answered(void **state)
{
    struct message_trace trace = start("two", "alice", 0);
    struct feed_rig r[2];

    (void)state;
    watch("two", 0, &r[0]);
    (void)stop(&trace);
    watch("two", 1, &r[1]); /* held yet */
    for (int i = 0; i < 2; i++) {
        struct trace_rig_read read = { 0 };

        while (feed_rig_read(&r[i]) && r[i].record.kind != FEED_RECORD_END) {
            read.bytes += r[i].record.kind == FEED_RECORD_BYTES ? r[i].record.bytes->len_bytes : 0;
        }
        assert_int_equal(r[i].record.kind, FEED_RECORD_END);
        assert_int_equal(r[i].record.end->blocks_before, read.bytes);
        feed_rig_done(&r[i]);
    }
    struct message_trace again = stop(&trace); /* once more is fine */

    assert_int_equal(again.end_reason, FEED_END_STOPPED_BY_CALLER);
}

static void another_peer_goes_on_reading_from_the_first_byte(void **state)
{
    struct message_trace trace = start("two", "alice", 0);
    struct feed_rig r;
    uint8_t id[FEED_ID_BYTES];

    (void)state;
    watch("two", 0, &r);
    memcpy(id, r.answer.feed_id, sizeof(id));
    feed_rig_next_of(&r, FEED_RECORD_BYTES);
    feed_rig_done(&r);
    rig_leave(&peer);
    rig_join(&rig, &peer);
    assert_int_equal(trace_rig_of(&peer, 2, &answered)->trace_count, 1);
    assert_memory_equal(answered.traces_answer.traces[0].trace_id, trace.trace_id, 16);
    assert_int_equal(answered.traces_answer.traces[0].end_reason, 0);
    watch("two", 0, &r);
    assert_memory_equal(r.answer.feed_id, id, sizeof(id));
    assert_int_equal(r.answer.joined, 1);
    feed_rig_next_of(&r, FEED_RECORD_BYTES);
    assert_int_equal(r.record.bytes->bytes_before, 0);
    feed_rig_unwatch(&r); /* ends nothing either */
    assert_true(trace_rig_renew(&peer, trace.trace_id, 0, &answered));
    (void)stop(&trace);
    feed_rig_done(&r);
}

/* --- owners and leases ------------------------------------------------------------------------------ */

/* The loop learns of an end behind whoever reads the spool. */
static void wait_for_end_of(uint16_t domid, struct message_trace *out)
{
    uint64_t end_ns = clock_monotonic_ns() + RIG_LIMIT_MS * CLOCK_NS_PER_MS;

    while (trace_rig_of(&peer, domid, &answered)->trace_count != 1 ||
           answered.traces_answer.traces[0].end_reason == 0) {
        assert_true(clock_monotonic_ns() < end_ns);
        rig_readable(&peer, 5);
    }
    *out = answered.traces_answer.traces[0];
}

static void there_is_one_trace_of_a_domain_at_once(void **state)
{
    struct message_trace first = start("two", "alice", 0);
    struct message_trace same = start("two", "alice", TRACE_OS | TRACE_USER);
    struct domain_identity d = rig_domain(&peer, "two");

    (void)state;
    assert_int_equal(answered.trace_answer.joined, 1);
    assert_memory_equal(first.trace_id, same.trace_id, 16);
    assert_false(trace_rig_start(&peer, &d, "bob", 0, &answered));
    assert_refused(ERROR_FAILED_PRECONDITION, "by alice");
    assert_refused(ERROR_FAILED_PRECONDITION, "--takeover");
    assert_false(trace_rig_start(&peer, &d, "alice", TRACE_OS, &answered));
    assert_refused(ERROR_FAILED_PRECONDITION, "with other options");

    struct feed_rig r;

    watch("two", 0, &r);
    struct message_trace taken = start("two", "bob", TRACE_TAKEOVER);

    assert_int_equal(answered.trace_answer.joined, 0);
    assert_memory_not_equal(taken.trace_id, first.trace_id, 16);
    assert_string_equal(taken.owner, "bob");
    assert_int_equal(trace_rig_to_end(&r, NULL)->reason, FEED_END_TAKEN_OVER);
    feed_rig_done(&r);
    assert_int_equal(trace_rig_of(&peer, 2, &answered)->trace_count, 1);
    assert_false(trace_rig_stop(&peer, first.trace_id, &answered));
    assert_refused(ERROR_NOT_FOUND, "no trace");
    taken = start("two", "bob", TRACE_TAKEOVER | TRACE_NO_TSC); /* one's own, with other options */
    assert_int_equal(taken.laps_detectable, 0);
    (void)stop(&taken);
}

static void what_somebody_else_traces_is_refused_or_taken_over(void **state)
{
    struct domain_identity d = rig_domain(&peer, "taken");

    (void)state;
    assert_false(trace_rig_start(&peer, &d, "alice", 0, &answered));
    assert_refused(ERROR_FAILED_PRECONDITION, "--takeover");
    assert_int_equal(trace_rig_of(&peer, 8, &answered)->trace_count, 0);
    struct message_trace trace = start("taken", "alice", TRACE_TAKEOVER);

    (void)stop(&trace);
    trace = start("taken", "alice", 0); /* nobody does any more */
    (void)stop(&trace);
}

static void a_lease_is_renewed_within_its_bounds(void **state)
{
    struct message_trace trace = start("two", "alice", 0);
    const struct message_trace *t = &answered.trace_answer.trace;

    (void)state;
    assert_int_equal(trace.lease_ms, 60000);
    assert_true(trace.lease_left_ms <= 60000 && trace.lease_left_ms > 30000);
    assert_true(trace_rig_renew(&peer, trace.trace_id, 3600001, &answered));
    assert_int_equal(t->lease_ms, 3600000);
    assert_true(t->lease_left_ms > 3000000);
    assert_true(trace_rig_renew(&peer, trace.trace_id, 5000, &answered));
    assert_true(trace_rig_renew(&peer, trace.trace_id, 0, &answered));
    assert_int_equal(t->lease_ms, 5000);
    (void)stop(&trace);
    assert_false(trace_rig_renew(&peer, trace.trace_id, 0, &answered));
    assert_refused(ERROR_FAILED_PRECONDITION, "has ended");
    trace.trace_id[3] ^= 1;
    assert_false(trace_rig_renew(&peer, trace.trace_id, 0, &answered));
    assert_refused(ERROR_NOT_FOUND, "no trace of that id");
    assert_false(trace_rig_stop(&peer, trace.trace_id, &answered));
    assert_refused(ERROR_NOT_FOUND, "no trace of that id");
}

static void nobody_renews_it_and_it_ends(void **state)
{
    struct domain_identity d = rig_domain(&peer, "two");
    union message m = trace_rig_start_message(&d, "alice", 0);
    struct feed_rig r;

    (void)state;
    m.trace_start.lease_ms = 1; /* the shortest that there is: 5 s */
    m.trace_start.vcpus[0] = 2;
    assert_true(rig_call(&peer, &m, &answered));
    assert_int_equal(answered.trace_answer.trace.lease_ms, 5000);
    watch("two", 1, &r);
    assert_int_equal(trace_rig_to_end(&r, NULL)->reason, FEED_END_LEASE);
    struct message_trace ended;

    wait_for_end_of(2, &ended);
    assert_int_equal(ended.end_reason, FEED_END_LEASE);
    feed_rig_done(&r);
}

/* --- domains that change ---------------------------------------------------------------------------- */

static void what_befalls_a_domain_ends_its_trace_and_the_rest_can_be_read(void **state)
{
    static const struct {
        const char *name;
        uint16_t domid;
        enum feed_end_reason reason;
        uint32_t code;
    } rows[] = {
        { "dies", 4, FEED_END_INCARNATION, 0 },
        { "renamed", 5, FEED_END_RENAMED, 0 },
        { "shuts", 6, FEED_END_SHUTDOWN, 3 },
        { "reboots", 7, FEED_END_INCARNATION, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct domain_identity d = rig_domain(&peer, rows[i].name);
        struct message_trace trace = start(rows[i].name, "alice", 0), ended;
        struct feed_rig before, after;

        watch(rows[i].name, 0, &before);
        feed_rig_next_of(&before, FEED_RECORD_BYTES);
        rig_step(&rig);
        const struct feed_end *end = trace_rig_to_end(&before, NULL);

        assert_int_equal(end->reason, rows[i].reason);
        assert_int_equal(end->detail, rows[i].code);
        wait_for_end_of(rows[i].domid, &ended);
        assert_int_equal(ended.end_reason, rows[i].reason);
        assert_int_equal(ended.shutdown_code, rows[i].code);
        assert_memory_equal(ended.trace_id, trace.trace_id, 16);
        assert_true(domain_identity_equal(&ended.domain, &d));
        /* By who it was then, who came too late reads it, too. */
        assert_true(trace_rig_watch(&peer, &d, 0, &after, &answered));
        struct trace_rig_read read;

        assert_int_equal(trace_rig_to_end(&after, &read)->reason, rows[i].reason);
        assert_int_equal(after.record.end->blocks_before, read.bytes + read.lost);
        feed_rig_done(&before);
        feed_rig_done(&after);
        assert_int_equal(counters().zombies, 0);
        if (rows[i].reason == FEED_END_SHUTDOWN) {
            assert_false(trace_rig_start(&peer, &d, "alice", 0, &answered));
            assert_refused(ERROR_FAILED_PRECONDITION, "shut down");
        }
    }
}

/* --- lists ------------------------------------------------------------------------------------------ */

static void traces_come_in_pages_ascending(void **state)
{
    struct message_trace all[MANY_DOMAINS];
    union message m = rig_message(MESSAGE_TRACES);
    uint32_t seen = 0;

    (void)state;
    for (int i = MANY_DOMAINS - 1; i >= 0; i--) {
        char name[8];

        snprintf(name, sizeof(name), "m%d", i);
        all[i] = start(name, "alice", 0);
        if (i % 3 == 0) {
            (void)stop(&all[i]);
        }
    }
    m.traces.first_domid = MANY_FIRST;
    do {
        assert_true(rig_call(&peer, &m, &answered));
        const struct message_traces_answer *a = &answered.traces_answer;

        assert_true(seen + a->trace_count <= MANY_DOMAINS);
        for (uint32_t i = 0; i < a->trace_count; i++, seen++) {
            assert_memory_equal(a->traces[i].trace_id, all[seen].trace_id, 16);
            assert_int_equal(a->traces[i].end_reason != 0, seen % 3 == 0);
            m.traces.first_domid = a->traces[i].domain.domid + 1U;
        }
    } while (answered.traces_answer.more);
    assert_int_equal(seen, MANY_DOMAINS);
    m.traces.first_domid = UINT32_MAX;
    assert_true(rig_call(&peer, &m, &answered));
    assert_int_equal(answered.traces_answer.trace_count, 0);
    for (int i = 0; i < MANY_DOMAINS; i++) {
        (void)stop(&all[i]);
    }
}

static void vcpus_of_a_trace_come_in_pages_ascending(void **state)
{
    struct message_trace trace = start("many", "alice", 0);
    union message m = rig_message(MESSAGE_TRACE_VCPUS);
    uint32_t seen = 0;

    (void)state;
    assert_int_equal(trace.vcpu_count, MANY_VCPUS);
    memcpy(m.trace_vcpus.trace_id, trace.trace_id, 16);
    do {
        assert_true(rig_call(&peer, &m, &answered));
        const struct message_trace_vcpus_answer *a = &answered.trace_vcpus_answer;

        for (uint32_t i = 0; i < a->vcpu_count; i++) {
            assert_int_equal(a->vcpus[i].vcpu, seen++);
            assert_true(a->vcpus[i].pauses > 0);
            assert_int_equal(a->vcpus[i].is_over, 0);
        }
        m.trace_vcpus.first_vcpu = seen;
    } while (answered.trace_vcpus_answer.more);
    assert_int_equal(seen, MANY_VCPUS);
    m.trace_vcpus.first_vcpu = UINT32_MAX;
    assert_true(rig_call(&peer, &m, &answered));
    assert_int_equal(answered.trace_vcpus_answer.vcpu_count, 0);
    (void)stop(&trace);
    m.trace_vcpus.first_vcpu = 39;
    assert_true(rig_call(&peer, &m, &answered));
    assert_int_equal(answered.trace_vcpus_answer.vcpus[0].is_over, 1);
    m.trace_vcpus.trace_id[0] ^= 1;
    assert_false(rig_call(&peer, &m, &answered));
    assert_refused(ERROR_NOT_FOUND, "no trace of that id");
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_a_vcpu_wrote_comes_whole_and_in_order),
        TEST(the_end_is_in_the_spool_when_a_stop_is_answered),
        TEST(another_peer_goes_on_reading_from_the_first_byte),
        TEST(there_is_one_trace_of_a_domain_at_once),
        TEST(what_somebody_else_traces_is_refused_or_taken_over),
        TEST(a_lease_is_renewed_within_its_bounds),
        TEST(nobody_renews_it_and_it_ends),
        TEST(what_befalls_a_domain_ends_its_trace_and_the_rest_can_be_read),
        TEST(traces_come_in_pages_ascending),
        TEST(vcpus_of_a_trace_come_in_pages_ascending),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
