/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Leases of traces that are read: renewed at each third, once for all who read, for as long as somebody
 * does and takes what there is. */
#include "tests/lib/trace_calls.h"

#include "server/rpc/trace_leases.h"

#include <poll.h>

enum { LEASE_MS = 30, HEARTBEAT_MS = 20 };

static struct fake_mapper mapper;
static struct outcome connected;
static struct mapper_client *client;
static struct timers *timers;
static struct trace_leases *leases;

static void begin(uint64_t heartbeat_ms)
{
    fake_mapper_init(&mapper);
    fake_mapper_listen(&mapper);
    connected = (struct outcome)OUTCOME_INIT;
    client = fake_mapper_client(&mapper, &connected);
    fake_mapper_join(&mapper);
    outcome_wait(&connected, 1);
    assert_int_equal(timers_new(&timers, NULL), 0);
    assert_int_equal(
        trace_leases_new(client, timers, heartbeat_ms * CLOCK_NS_PER_MS, &leases, NULL), 0);
}

static int set_up(void **state)
{
    (void)state;
    begin(FAKE_WAIT_MS); /* who holds a lease reads, for as long as a test takes */
    return 0;
}

static int set_up_hasty(void **state)
{
    (void)state;
    begin(HEARTBEAT_MS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mapper_client_free(client);
    trace_leases_free(leases); /* asserts that none is left */
    timers_free(timers);
    fake_mapper_done(&mapper);
    return 0;
}

static struct trace_lease *hold(uint8_t number)
{
    const struct message_trace t = trace_rig_trace(number);
    struct trace_lease *lease = NULL;

    assert_int_equal(trace_leases_hold(leases, &t, &lease, NULL), 0);
    return lease;
}

/* The next question, which has to be about this trace; its serial. */
static uint64_t asked(uint8_t number)
{
    union message m;

    fake_mapper_request(&mapper, &m);
    assert_int_equal(m.head.type, MESSAGE_TRACE_RENEW);
    assert_int_equal(m.trace_renew.trace_id[1], number);
    assert_int_equal(m.trace_renew.lease_ms, 0);
    return m.head.serial;
}

static void renew(uint64_t serial, uint8_t number, uint32_t lease_ms, uint32_t end_reason)
{
    union message m;

    memset(&m.trace_answer, 0, sizeof(m.trace_answer));
    m.trace_answer.trace = trace_rig_trace(number);
    m.trace_answer.trace.lease_ms = lease_ms;
    if (end_reason != 0) {
        trace_rig_end_trace(&m.trace_answer.trace, (enum feed_end_reason)end_reason);
    }
    fake_mapper_send(&mapper, &m, MESSAGE_TRACE_RENEW | MESSAGE_ANSWER, serial);
}

/* All that was asked before is answered, and there is nothing behind it. */
static void expect_nothing_asked(void)
{
    struct outcome got = OUTCOME_INIT;
    union message m;

    memset(&m.plain, 0, sizeof(m.plain));
    m.head.type = MESSAGE_COUNTERS;
    assert_int_equal(
        mapper_client_call(client, &m, fake_deadline(FAKE_WAIT_MS), outcome_done, &got, NULL), 0);
    fake_mapper_request(&mapper, &m);
    assert_int_equal(m.head.type, MESSAGE_COUNTERS);
    uint64_t serial = m.head.serial;

    memset(&m.counters_answer, 0, sizeof(m.counters_answer));
    fake_mapper_send(&mapper, &m, MESSAGE_COUNTERS | MESSAGE_ANSWER, serial);
    outcome_wait(&got, 1);
}

static void a_lease_is_renewed_at_once_and_then_at_each_third(void **state)
{
    (void)state;
    struct trace_lease *lease = hold(1);

    renew(asked(1), 1, LEASE_MS, 0);
    for (int i = 0; i < 5; i++) {
        uint64_t before_ns = clock_monotonic_ns();
        uint64_t serial = asked(1);

        assert_true(clock_monotonic_ns() - before_ns < FAKE_WAIT_MS * CLOCK_NS_PER_MS);
        renew(serial, 1, LEASE_MS, 0);
    }
    renew(asked(1), 1, 3600 * 1000, 0); /* another one, of which a third is far away */
    expect_nothing_asked();
    assert_int_equal(trace_leases_renewals(leases), 7);
    trace_leases_let_go(leases, lease);
    expect_nothing_asked();
}

/* However little is left of it. */
static void a_renewal_is_not_due_before_a_third_is_over(void **state)
{
    (void)state;
    struct trace_lease *lease = hold(1);

    renew(asked(1), 1, 300, 0);
    uint64_t answered_ns = clock_monotonic_ns();

    (void)asked(1);
    assert_true(clock_monotonic_ns() - answered_ns > 50 * CLOCK_NS_PER_MS);
    trace_leases_let_go(leases, lease); /* while the question is on its way */
}

static void all_who_read_one_trace_share_its_timer(void **state)
{
    struct trace_lease *all[10];

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        all[i] = hold(1);
        assert_ptr_equal(all[i], all[0]);
    }
    struct trace_lease *other = hold(2);

    renew(asked(1), 1, 3600 * 1000, 0);
    renew(asked(2), 2, 3600 * 1000, 0);
    expect_nothing_asked();
    for (size_t i = 0; i < 10; i++) {
        trace_leases_let_go(leases, all[i]);
    }
    trace_leases_let_go(leases, other);
    trace_leases_let_go(leases, NULL);
    struct trace_lease *again = hold(1); /* who comes back asks anew */

    renew(asked(1), 1, LEASE_MS, 0);
    trace_leases_let_go(leases, again);
}

static void what_is_over_or_unknown_is_let_alone(void **state)
{
    (void)state;
    struct trace_lease *over = hold(1), *unknown = hold(2);
    uint64_t first = asked(1), second = asked(2);

    renew(first, 1, LEASE_MS, FEED_END_STOPPED_BY_CALLER);
    fake_mapper_failed(&mapper, second, ERROR_NOT_FOUND, 0);
    expect_nothing_asked();
    trace_leases_let_go(leases, over);
    trace_leases_let_go(leases, unknown);
}

static void what_cannot_be_renewed_now_is_tried_again(void **state)
{
    (void)state;
    struct trace_lease *lease = hold(1);

    (void)asked(1);
    fake_mapper_leave(&mapper); /* it may come back, and the trace with it */
    fake_mapper_join(&mapper);
    outcome_wait(&connected, 2);
    renew(asked(1), 1, 3600 * 1000, 0);
    expect_nothing_asked();
    trace_leases_let_go(leases, lease);
}

/* Renews what is asked for within 5 ms. False: nothing is. */
static bool renew_some(uint64_t *renewed_ns)
{
    struct pollfd p = { .fd = mapper.peer.fd, .events = POLLIN };

    if (poll(&p, 1, 5) != 1) {
        return false;
    }
    uint64_t serial = asked(1);

    *renewed_ns = clock_monotonic_ns();
    renew(serial, 1, LEASE_MS, 0);
    return true;
}

/* However many hold it: their streams stand still. */
static void who_takes_nothing_keeps_no_lease(void **state)
{
    const uint64_t limit_ns = 2 * HEARTBEAT_MS * CLOCK_NS_PER_MS;
    struct trace_lease *still = hold(1), *other = hold(1);
    uint64_t still_ns = clock_monotonic_ns(), renewed_ns = 0;

    (void)state;
    while (clock_monotonic_ns() < still_ns + 5 * limit_ns) {
        bool is_late = renewed_ns > still_ns + limit_ns;

        /* What was renewed behind the limit is not asked for again. */
        assert_false(renew_some(&renewed_ns) && is_late);
    }
    trace_leases_let_go(leases, still);
    do { /* the one that is left goes on */
        trace_leases_reads(other);
        assert_true(clock_monotonic_ns() < still_ns + FAKE_WAIT_MS * CLOCK_NS_PER_MS);
    } while (!renew_some(&renewed_ns));
    trace_leases_let_go(leases, other);
}

static void so_many_are_held_and_no_more(void **state)
{
    static struct trace_lease *all[TRACE_LEASES_MAX];
    struct trace_lease *one_more = NULL;
    struct failure f = { 0 };

    (void)state;
    for (uint32_t i = 0; i < TRACE_LEASES_MAX; i++) {
        struct message_trace t = trace_rig_trace((uint8_t)i);

        t.trace_id[2] = (uint8_t)(i >> 8);
        assert_int_equal(trace_leases_hold(leases, &t, &all[i], NULL), 0);
        renew(asked((uint8_t)i), (uint8_t)i, 3600 * 1000, 0);
    }
    struct message_trace t = trace_rig_trace(0);

    t.trace_id[3] = 1;
    assert_int_equal(trace_leases_hold(leases, &t, &one_more, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_true(f.next_step[0] != '\0');
    assert_int_equal(f.retry_after_ms, FAILURE_RETRY_LATER_MS);
    expect_nothing_asked();
    trace_leases_let_go(leases, all[7]);
    assert_int_equal(trace_leases_hold(leases, &t, &all[7], NULL), 0);
    for (uint32_t i = 0; i < TRACE_LEASES_MAX; i++) {
        trace_leases_let_go(leases, all[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lease_is_renewed_at_once_and_then_at_each_third),
        TEST(a_renewal_is_not_due_before_a_third_is_over),
        TEST(all_who_read_one_trace_share_its_timer),
        TEST(what_is_over_or_unknown_is_let_alone),
        TEST(what_cannot_be_renewed_now_is_tried_again),
        cmocka_unit_test_setup_teardown(who_takes_nothing_keeps_no_lease, set_up_hasty, tear_down),
        TEST(so_many_are_held_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
