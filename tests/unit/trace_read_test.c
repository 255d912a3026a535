/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* TraceService.ReadTrace on the program's own feeds, which the mapper's own spools write: each byte at its
 * position, each loss declared, each end with its reason, and from where one goes on. */
#include "tests/lib/trace_stream.h"

/* --- what is sent -------------------------------------------------------------------------------------- */

static void every_byte_comes_at_its_position_and_every_loss_is_declared(void **state)
{
    struct append_play *p = first();
    struct watching w;

    (void)state;
    append_bytes(p, 100);
    const json_t *begin = open_begun(&w, "{" WEB "}");

    assert_memory_equal(r.watch.trace_id, r.traces[0].trace_id, 16);
    assert_int_equal(r.watch.frame_count, MESSAGE_FRAMES_ALL);
    assert_string_equal(watch_text(json_object_get(begin, "trace"), "owner"), "cn:alice");
    assert_false(watch_flag(begin, "resumed"));
    assert_int_equal(watch_number(begin, "position"), 0);
    assert_int_equal(strlen(watch_text(begin, "feed")), 32);
    assert_string_equal(watch_text(begin, "silenceMax"), "0.150s");
    expect_segment(&w, 0, 0, 0, "START");
    expect_data(&w, 0, 0, 100);
    append_loss(p, 30);
    append_bytes(p, 7);
    trace_rig_ring(&r);
    expect_gap(&w, "PAUSED", 100, 30, false);
    expect_data(&w, 130, 0, 7);
    append_open_loss(p, 1000, 77);
    append_begin(p, FEED_BEGIN_LOSS);
    append_bytes(p, 3);
    append_begin(p, FEED_BEGIN_RESET);
    append_bytes(p, 4);
    append_end(p, FEED_END_STOPPED_BY_CALLER);
    trace_rig_ring(&r);
    expect_gap(&w, "LAPPED", 137, 1000, true);
    expect_segment(&w, 1, 0, 1137, "LOSS");
    expect_data(&w, 1137, 1, 3);
    expect_segment(&w, 2, 1, 1140, "RESET");
    expect_data(&w, 1140, 2, 4);
    const json_t *end = trace_expect(&r, &w, "end");

    assert_int_equal(watch_number(end, "position"), 1144);
    assert_string_equal(watch_text(end, "cursor"), "");
    watch_expect_end(&w, 0);
    watch_done(&w);
    struct watch_counters c;

    rpc_watches(r.rpc.rpc, &c);
    assert_int_equal(c.lost_bytes[WATCH_LOSS_PAUSED], 30);
    assert_int_equal(c.lost_bytes[WATCH_LOSS_LAPPED], 1000);
    assert_int_equal(c.losses[WATCH_LOSS_LAPPED], 1);
    assert_int_equal(c.ends[WATCH_END_STOPPED], 1);
    assert_int_equal(c.open, 0);
}

static void each_vcpu_is_a_stream_of_its_own(void **state)
{
    struct watching w;

    (void)state;
    append_bytes(&r.plays[1], 9);
    const json_t *begin = open_begun(&w, "{" WEB ",\"vcpu\":1}");

    assert_int_equal(watch_number(begin, "vcpu"), 1);
    (void)trace_expect(&r, &w, "segment");
    check_data(&r.plays[1], trace_expect(&r, &w, "data"), 0, 0, 9);
    watch_done(&w);
}

static void who_comes_late_begins_with_the_oldest_byte_that_is_held(void **state)
{
    struct watching w;

    (void)state;
    append_bytes(first(), 10);
    append_begin(first(), FEED_BEGIN_RESET);
    for (int i = 0; i < 9; i++) {
        append_bytes(first(), 500);
    }
    const json_t *begin = open_begun(&w, "{" WEB "}");
    uint64_t position = watch_number(begin, "position");

    assert_true(position >= 510 && (position - 10) % 500 == 0);
    assert_int_equal(watch_number(begin, "offset"), position - 10);
    assert_int_equal(watch_number(begin, "segment"), 1);
    assert_int_equal(watch_number(begin, "epoch"), 1);
    for (; position < 4510; position += 500) {
        expect_data(&w, position, 1, 500);
    }
    watch_done(&w);
}

static void who_is_too_slow_is_told_what_was_overwritten(void **state)
{
    struct watching w;
    struct watch_counters c;

    (void)state;
    (void)open_begun(&w, "{" WEB "}");
    (void)trace_expect(&r, &w, "segment");
    append_bytes(first(), 100);
    append_open_loss(first(), 40, 2);
    append_begin(first(), FEED_BEGIN_LOSS);
    for (int i = 0; i < 9; i++) {
        append_bytes(first(), 500);
    }
    const json_t *m = trace_expect(&r, &w, "gap");
    uint64_t next = watch_number(m, "length");

    assert_string_equal(watch_text(m, "reason"), "TRACE_GAP_REASON_TOO_SLOW");
    assert_int_equal(watch_number(m, "position"), 0);
    assert_true(watch_flag(m, "atLeast") && (next - 140) % 500 == 0 && next < 4640);
    assert_int_equal(watch_number(m, "segment"), 1);
    assert_int_equal(watch_number(m, "offset"), next - 140);
    rpc_watches(r.rpc.rpc, &c);
    assert_int_equal(c.lost_bytes[WATCH_LOSS_TOO_SLOW], next);
    for (; next < 4640; next += 500) {
        expect_data(&w, next, 1, 500);
    }
    watch_done(&w);
}

static void who_reads_the_same_gets_the_same_of_one_feed(void **state)
{
    struct watching all[3];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        (void)open_begun(&all[i], "{" WEB "}");
        (void)trace_expect(&r, &all[i], "segment");
    }
    append_bytes(first(), 500);
    trace_rig_ring(&r);
    for (size_t i = 0; i < 3; i++) {
        expect_data(&all[i], 0, 0, 500);
        watch_done(&all[i]);
    }
    while (trace_rig_serve_some(&r, 0)) {
    }
    assert_int_equal(r.watches, 1);
    assert_int_equal(r.renewals, 1); /* and its lease is kept */
}

static void while_nothing_is_produced_it_says_that_it_lives(void **state)
{
    struct watching w;

    (void)state;
    append_bytes(first(), 100);
    (void)open_begun(&w, "{" WEB "}");
    expect_segment(&w, 0, 0, 0, "START");
    expect_data(&w, 0, 0, 100);
    append_still(first());
    trace_rig_ring(&r);
    for (;;) {
        const json_t *m = trace_expect(&r, &w, "heartbeat");

        assert_int_equal(watch_number(m, "position"), 100);
        if (watch_number(json_object_get(m, "sampled"), "monotonicNs") == first()->now_ns) {
            break; /* the sample without bytes */
        }
    }
    watch_done(&w);
}

/* For as long as it takes what it says, be that heartbeats alone. */
static void who_reads_keeps_the_lease(void **state)
{
    const uint64_t limit_ns = 2 * RPC_RIG_HEARTBEAT_MS * CLOCK_NS_PER_MS;
    struct watching w;

    (void)state;
    r.traces[0].lease_ms = 30;
    (void)open_begun(&w, "{" WEB "}");
    (void)trace_expect(&r, &w, "segment");
    uint64_t begun_ns = clock_monotonic_ns();
    unsigned renewals = r.renewals;

    while (clock_monotonic_ns() < begun_ns + 3 * limit_ns || r.renewals == renewals) {
        if (clock_monotonic_ns() < begun_ns + 2 * limit_ns) {
            renewals = r.renewals; /* those behind it are what counts */
        }
        (void)trace_expect(&r, &w, "heartbeat");
        assert_true(clock_monotonic_ns() < begun_ns + FAKE_WAIT_MS * CLOCK_NS_PER_MS);
    }
    watch_done(&w);
}

/* --- its end ------------------------------------------------------------------------------------------- */

static void each_end_has_its_reason(void **state)
{
    static const struct {
        enum feed_end_reason reason;
        const char *name;
        enum error_code code;
        enum watch_end end;
    } rows[] = {
        { FEED_END_INCARNATION, "INCARNATION_ENDED", 0, WATCH_END_INCARNATION },
        { FEED_END_RENAMED, "RENAMED", 0, WATCH_END_RENAMED },
        { FEED_END_SHUTDOWN, "SHUTDOWN", 0, WATCH_END_SHUTDOWN },
        { FEED_END_LEASE, "LEASE_ENDED", 0, WATCH_END_LEASE },
        { FEED_END_TAKEN_OVER, "TAKEN_OVER", 0, WATCH_END_TAKEN_OVER },
        { FEED_END_INTERFERED, "INTERFERED", 0, WATCH_END_INTERFERED },
        { FEED_END_TRACE_ERROR, "HARDWARE_ERROR", 0, WATCH_END_HARDWARE_ERROR },
        { FEED_END_TRACE_STOPPED, "HARDWARE_STOPPED", 0, WATCH_END_HARDWARE_STOPPED },
        { FEED_END_FAILED, "SAMPLING_FAILED", ERROR_UNKNOWN, WATCH_END_SAMPLING_FAILED },
        { FEED_END_RESOURCE, "SAMPLING_FAILED", ERROR_UNKNOWN, WATCH_END_SAMPLING_FAILED },
        { FEED_END_STOPPED, "MAPPER_GONE", ERROR_UNAVAILABLE, WATCH_END_MAPPER_GONE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct watch_counters c;
        struct watching w;

        (void)open_begun(&w, "{" WEB "}");
        append_bytes(first(), 5);
        append_end(first(), rows[i].reason);
        trace_rig_ring(&r);
        (void)trace_expect(&r, &w, "segment");
        expect_data(&w, 0, 0, 5);
        expect_end(&w, rows[i].name, rows[i].code);
        watch_done(&w);
        rpc_watches(r.rpc.rpc, &c);
        assert_true(c.ends[rows[i].end] > 0);
        append_free(first());
        append_new(first(), (uint32_t)(10 + i));
    }
}

static void a_failure_is_told_with_the_end(void **state)
{
    struct failure seen;
    struct watching w;

    (void)state;
    failure_set(&seen, ERROR_ABORTED, "RTIT_CTL is not as it was set");
    failure_cause(&seen, 0, "another tool has written it");
    (void)open_begun(&w, "{" WEB "}");
    (void)trace_expect(&r, &w, "segment");
    const struct feed_end end_of_feed = {
        .wall_ns = 1, .monotonic_ns = 1, .reason = FEED_END_INTERFERED, .failure = seen
    };

    assert_int_equal(spool_end(&first()->spool, &end_of_feed, NULL), 0);
    trace_rig_ring(&r);
    const json_t *end = trace_expect(&r, &w, "end");

    assert_string_equal(watch_text(json_object_get(end, "failure"), "cause"),
                        "another tool has written it");
    watch_expect_end(&w, 0); /* all that was produced is there */
    watch_done(&w);
}

/* Read to its end also by who comes when it is over already. */
static void what_is_over_and_held_is_read_to_its_end(void **state)
{
    struct watching w;

    (void)state;
    append_bytes(first(), 50);
    append_end(first(), FEED_END_LEASE);
    trace_rig_end_trace(&r.traces[0], FEED_END_LEASE);
    for (int again = 0; again < 2; again++) {
        const json_t *begin = open_begun(&w, "{" WEB "}");

        assert_string_equal(watch_text(json_object_get(begin, "trace"), "endReason"),
                            "TRACE_END_REASON_LEASE_ENDED");
        expect_segment(&w, 0, 0, 0, "START");
        expect_data(&w, 0, 0, 50);
        expect_end(&w, "LEASE_ENDED", 0);
        watch_done(&w);
    }
    assert_int_equal(r.renewals, 0);
}

static void with_a_deadline_it_says_where_it_was(void **state)
{
    struct watching w = { .feed = NULL };

    (void)state;
    append_bytes(first(), 50);
    flight_add(&w.flight, "Connect-Timeout-Ms", "1000");
    trace_open_as(&r, &w, &r.carol, "{" WEB "}");
    (void)trace_expect(&r, &w, "begin");
    expect_segment(&w, 0, 0, 0, "START");
    expect_data(&w, 0, 0, 50);
    const json_t *end = trace_expect(&r, &w, "end");

    assert_string_equal(watch_text(end, "reason"), "TRACE_END_REASON_DEADLINE");
    assert_true(watch_text(end, "cursor")[0] != '\0');
    assert_int_equal(watch_number(end, "position"), 50);
    watch_expect_end(&w, ERROR_DEADLINE_EXCEEDED);
    watch_done(&w);
}

static void when_the_gateway_stops_every_stream_says_where_it_was(void **state)
{
    struct watching idle, behind, late;

    (void)state;
    append_bytes(first(), 50);
    (void)open_begun(&idle, "{" WEB "}");
    expect_segment(&idle, 0, 0, 0, "START");
    expect_data(&idle, 0, 0, 50);
    (void)open_begun(&behind, "{" WEB "}");
    rpc_drain(r.rpc.rpc);
    const json_t *end = trace_expect(&r, &idle, "end");

    assert_string_equal(watch_text(end, "reason"), "TRACE_END_REASON_SHUTTING_DOWN");
    assert_int_equal(watch_number(end, "position"), 50);
    assert_true(watch_text(end, "cursor")[0] != '\0');
    watch_expect_end(&idle, ERROR_UNAVAILABLE);
    end = trace_expect(&r, &behind, "end"); /* no segment has begun for it: from its beginning */
    assert_int_equal(watch_number(end, "position"), 0);
    assert_string_equal(watch_text(end, "cursor"), "");
    watch_expect_end(&behind, ERROR_UNAVAILABLE);
    open_trace(&late, "{" WEB "}");
    watch_expect_end(&late, ERROR_UNAVAILABLE);
    watch_done(&idle);
    watch_done(&behind);
    watch_done(&late);
}

static void another_policy_ends_what_it_does_not_allow_and_nothing_else(void **state)
{
    struct watching reader, owner = { .feed = NULL };

    (void)state;
    (void)open_begun(&reader, "{" WEB "}");
    trace_open_as(&r, &owner, &r.rpc.alice, "{" WEB "}");
    (void)trace_expect(&r, &owner, "begin");
    trace_rig_set_policy(&r,
                         "rule \"a\" { effect = allow identities = { \"cn:alice\" } domains = { "
                         "\"all\" } types = { \"vmtrace_buf\" } actions = { \"trace.read\" } }\n");
    append_bytes(first(), 50);
    trace_rig_ring(&r);
    const json_t *end = trace_expect(&r, &reader, "end"); /* and nothing of what is there */

    assert_string_equal(watch_text(end, "reason"), "TRACE_END_REASON_PERMISSION_WITHDRAWN");
    watch_expect_end(&reader, ERROR_PERMISSION_DENIED);
    (void)trace_expect(&r, &owner, "segment");
    expect_data(&owner, 0, 0, 50);
    watch_done(&reader);
    watch_done(&owner);
}

/* A message of which its reader has taken little. True: it is waited for. */
static bool begins_full(struct watching *w, const struct identity *who)
{
    uint8_t bytes[10];

    trace_open_as(&r, w, who, "{" WEB "}");
    (void)trace_expect(&r, w, "begin");
    (void)trace_expect(&r, w, "segment");
    w->flight.ready.count = 0;
    while (exchange_read(w->flight.exchange, bytes, sizeof(bytes)) < 0) {
        (void)trace_rig_serve_some(&r, 5); /* a heartbeat comes */
    }
    return exchange_is_patient(w->flight.exchange);
}

/* Whoever takes nothing is not waited with when its stream has to end. */
static void who_takes_nothing_is_patient_only_as_long_as_the_stream_may_go_on(void **state)
{
    struct watching reader = { .feed = NULL }, owner = { .feed = NULL };

    (void)state;
    assert_true(begins_full(&reader, &r.carol));
    assert_true(begins_full(&owner, &r.rpc.alice));
    reader.flight.ready.count = owner.flight.ready.count = 0;
    trace_rig_set_policy(&r,
                         "rule \"a\" { effect = allow identities = { \"cn:alice\" } domains = { "
                         "\"all\" } types = { \"vmtrace_buf\" } actions = { \"trace.read\" } }\n");
    outcome_wait_at_least(&reader.flight.ready, 1);
    outcome_wait_at_least(&owner.flight.ready, 1);
    assert_false(exchange_is_patient(reader.flight.exchange));
    assert_true(exchange_is_patient(owner.flight.exchange));
    rpc_drain(r.rpc.rpc);
    outcome_wait_at_least(&owner.flight.ready, 2);
    assert_false(exchange_is_patient(owner.flight.exchange));
    watch_done(&reader);
    watch_done(&owner);
}

static void what_fails_before_it_has_begun_is_an_error_like_any_other(void **state)
{
    static const char *const untraced[] = { "{" WEB ",\"vcpu\":2}", "{" WEB ",\"vcpu\":64}" };
    struct watching w;

    (void)state;
    r.fails = ERROR_FAILED_PRECONDITION; /* the mapper's answer to WATCH */
    open_trace(&w, "{" WEB "}");
    while (!watch_fill(&w)) {
        (void)trace_rig_serve_some(&r, 5);
    }
    watch_expect_end(&w, ERROR_FAILED_PRECONDITION);
    watch_done(&w);
    for (size_t i = 0; i < 2; i++) {
        trace_call_fails(&r, &r.carol, "ReadTrace", untraced[i], ERROR_FAILED_PRECONDITION, "vcpu");
    }
}

static void a_mapper_that_goes_ends_it(void **state)
{
    struct watching w;

    (void)state;
    append_bytes(first(), 50);
    (void)open_begun(&w, "{" WEB "}");
    expect_segment(&w, 0, 0, 0, "START");
    fake_mapper_leave(&r.rpc.mapper);
    feeds_connected(r.rpc.feeds, false); /* as the service says it */
    for (bool is_over = false; !is_over;) {
        json_t *json = watch_read(&w);

        assert_non_null(json);
        const json_t *end = json_object_get(json, "end");

        is_over = end != NULL;
        assert_true(!is_over ||
                    strcmp(watch_text(end, "reason"), "TRACE_END_REASON_MAPPER_GONE") == 0);
        json_decref(json);
    }
    watch_expect_end(&w, ERROR_UNAVAILABLE);
    watch_done(&w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trace_stream_begin, trace_stream_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_byte_comes_at_its_position_and_every_loss_is_declared),
        TEST(each_vcpu_is_a_stream_of_its_own),
        TEST(who_comes_late_begins_with_the_oldest_byte_that_is_held),
        TEST(who_is_too_slow_is_told_what_was_overwritten),
        TEST(who_reads_the_same_gets_the_same_of_one_feed),
        TEST(while_nothing_is_produced_it_says_that_it_lives),
        TEST(who_reads_keeps_the_lease),
        TEST(each_end_has_its_reason),
        TEST(a_failure_is_told_with_the_end),
        TEST(what_is_over_and_held_is_read_to_its_end),
        TEST(with_a_deadline_it_says_where_it_was),
        TEST(when_the_gateway_stops_every_stream_says_where_it_was),
        TEST(another_policy_ends_what_it_does_not_allow_and_nothing_else),
        TEST(who_takes_nothing_is_patient_only_as_long_as_the_stream_may_go_on),
        TEST(what_fails_before_it_has_begun_is_an_error_like_any_other),
        TEST(a_mapper_that_goes_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
