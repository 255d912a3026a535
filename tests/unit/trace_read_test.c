/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* TraceService.ReadTrace on the program's own feeds, which the mapper's own spools write: each byte at its
 * position, each loss declared, each end with its reason, and from where one goes on. */
#include "tests/lib/trace_calls.h"

#include "common/base64.h"

static struct trace_rig r;

static int set_up(void **state)
{
    (void)state;
    trace_rig_begin(&r);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    trace_rig_done(&r);
    return 0;
}

#define WEB "\"domain\":\"web-1\""

static struct append_play *first(void)
{
    return &r.plays[0];
}

static void open_trace(struct watching *w, const char *json)
{
    *w = (struct watching){ .feed = NULL };
    trace_open_as(&r, w, &r.carol, json);
}

static const json_t *open_begun(struct watching *w, const char *json)
{
    open_trace(w, json);
    return trace_expect(&r, w, "begin");
}

static void expect_segment(struct watching *w, uint32_t segment, uint32_t epoch, uint64_t position,
                           const char *reason)
{
    const json_t *m = trace_expect(&r, w, "segment");
    char name[64];

    (void)snprintf(name, sizeof(name), "TRACE_SEGMENT_REASON_%s", reason);
    assert_int_equal(watch_number(m, "segment"), segment);
    assert_int_equal(watch_number(m, "epoch"), epoch);
    assert_int_equal(watch_number(m, "position"), position);
    assert_string_equal(watch_text(m, "reason"), name);
}

/* Bytes of a segment, which have to be those of the source. */
static void check_data(const struct append_play *p, const json_t *m, uint64_t position,
                       uint32_t segment, size_t len_bytes)
{
    BUFFER_AUTO(bytes, APPEND_BYTES_MAX);
    const char *text = watch_text(m, "data");
    uint64_t offset = position - p->segments[segment].bytes_before;

    assert_int_equal(watch_number(m, "position"), position);
    assert_int_equal(watch_number(m, "segment"), segment);
    assert_int_equal(watch_number(m, "epoch"), p->segments[segment].epoch);
    assert_int_equal(watch_number(m, "offset"), offset);
    assert_int_equal(watch_number(m, "syncOffset"), len_bytes / 2);
    assert_true(watch_number(json_object_get(m, "sampled"), "monotonicNs") > 0);
    assert_true(base64_decode(&bytes, text, strlen(text)));
    assert_int_equal(bytes.len_bytes, len_bytes);
    for (size_t i = 0; i < len_bytes; i++) {
        assert_int_equal(bytes.data[i], append_byte(append_source(p, segment, offset + i)));
    }
}

static void expect_data(struct watching *w, uint64_t position, uint32_t segment, size_t len_bytes)
{
    check_data(first(), trace_expect(&r, w, "data"), position, segment, len_bytes);
}

static void expect_gap(struct watching *w, const char *reason, uint64_t position, uint64_t length,
                       bool at_least)
{
    const json_t *m = trace_expect(&r, w, "gap");
    char name[64];

    (void)snprintf(name, sizeof(name), "TRACE_GAP_REASON_%s", reason);
    assert_string_equal(watch_text(m, "reason"), name);
    assert_int_equal(watch_number(m, "position"), position);
    assert_int_equal(watch_number(m, "length"), length);
    assert_int_equal(watch_flag(m, "atLeast"), at_least);
}

static void expect_end(struct watching *w, const char *reason, enum error_code code)
{
    const json_t *m = trace_expect(&r, w, "end");
    char name[64];

    (void)snprintf(name, sizeof(name), "TRACE_END_REASON_%s", reason);
    assert_string_equal(watch_text(m, "reason"), name);
    watch_expect_end(w, code);
}

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

/* --- cursors ------------------------------------------------------------------------------------------- */

/* The cursor of a stream of carol's that has had all there is. */
static uint64_t take_cursor(const char *json, char *cursor, size_t room)
{
    struct watching w;

    (void)open_begun(&w, json);
    for (;;) {
        json_t *m = trace_read(&r, &w);
        const json_t *checkpoint = json_object_get(m, "checkpoint");
        uint64_t position = watch_number(checkpoint, "position");

        if (checkpoint != NULL) {
            (void)snprintf(cursor, room, "%s", watch_text(checkpoint, "cursor"));
        }
        json_decref(m);
        if (checkpoint != NULL && position == first()->spool.blocks) {
            watch_done(&w);
            return position;
        }
    }
}

static void a_stream_goes_on_exactly_behind_its_cursor(void **state)
{
    char cursor[SEAL_TOKEN_MAX_BYTES], json[2048];
    struct watching w;

    (void)state;
    append_begin(first(), FEED_BEGIN_RESET);
    append_bytes(first(), 60);
    assert_int_equal(take_cursor("{" WEB "}", cursor, sizeof(cursor)), 60);
    append_bytes(first(), 40);
    (void)snprintf(json, sizeof(json), "{" WEB ",\"cursor\":\"%s\"}", cursor);
    const json_t *begin = open_begun(&w, json);

    assert_true(watch_flag(begin, "resumed"));
    assert_int_equal(watch_number(begin, "position"), 60);
    assert_int_equal(watch_number(begin, "offset"), 60);
    assert_int_equal(watch_number(begin, "segment"), 1);
    expect_data(&w, 60, 1, 40);
    watch_done(&w);
}

static void a_cursor_that_is_too_old_says_how_much_is_missing(void **state)
{
    char cursor[SEAL_TOKEN_MAX_BYTES], json[2048];
    struct watching w;

    (void)state;
    append_bytes(first(), 60);
    (void)take_cursor("{" WEB "}", cursor, sizeof(cursor));
    for (int i = 0; i < 9; i++) {
        append_bytes(first(), 500);
    }
    (void)snprintf(json, sizeof(json), "{" WEB ",\"cursor\":\"%s\"}", cursor);
    open_trace(&w, json);
    json_t *end = trace_read(&r, &w);
    const json_t *error = json_object_get(end, "error");

    assert_string_equal(watch_text(error, "code"), "out_of_range");
    assert_non_null(strstr(watch_text(error, "message"), "bytes from 60 on are no longer held"));
    json_decref(end);
    watch_done(&w);
}

static void a_cursor_is_good_for_its_caller_vcpu_and_trace_only(void **state)
{
    char cursor[SEAL_TOKEN_MAX_BYTES], json[2048];

    (void)state;
    append_bytes(first(), 60);
    (void)take_cursor("{" WEB "}", cursor, sizeof(cursor));
    (void)snprintf(json, sizeof(json), "{" WEB ",\"vcpu\":1,\"cursor\":\"%s\"}", cursor);
    trace_call_fails(&r, &r.carol, "ReadTrace", json, ERROR_INVALID_ARGUMENT, "cursor");
    (void)snprintf(json, sizeof(json),
                   "{" WEB ",\"traceId\":\"7a020000000000000000000000000000\",\"cursor\":\"%s\"}",
                   cursor);
    trace_call_fails(&r, &r.carol, "ReadTrace", json, ERROR_INVALID_ARGUMENT, "cursor");
    (void)snprintf(json, sizeof(json), "{" WEB ",\"cursor\":\"%s\"}", cursor);
    trace_call_fails(&r, &r.bob, "ReadTrace", json, ERROR_INVALID_ARGUMENT, "cursor");
    (void)snprintf(json, sizeof(json), "{\"domain\":\"web-2\",\"cursor\":\"%s\"}", cursor);
    trace_call_fails(&r, &r.carol, "ReadTrace", json, ERROR_ABORTED, "cursor");
    (void)snprintf(json, sizeof(json),
                   "{" WEB ",\"type\":\"RESOURCE_TYPE_GRANT_TABLE\",\"cursor\":\"%s\"}", cursor);
    struct flight f = { .exchange = NULL };

    flight_json(&r.rpc, &f, &r.rpc.viewer, "ResourceService/Watch", true, json);
    trace_rig_serve_until_ready(&r, &f);
    flight_json_error(&f, ERROR_INVALID_ARGUMENT, "cursor");
    r.traces[0] = trace_rig_trace(2); /* and 1 is held no longer */
    (void)snprintf(json, sizeof(json), "{" WEB ",\"cursor\":\"%s\"}", cursor);
    trace_call_fails(&r, &r.carol, "ReadTrace", json, ERROR_ABORTED, NULL);
}

/* What ended and is held is gone on with, though another one runs already. */
static void a_cursor_finds_its_trace_among_those_that_are_held(void **state)
{
    char cursor[SEAL_TOKEN_MAX_BYTES], json[2048];
    struct watching w;

    (void)state;
    append_bytes(first(), 60);
    (void)take_cursor("{" WEB "}", cursor, sizeof(cursor));
    append_bytes(first(), 5);
    append_end(first(), FEED_END_TAKEN_OVER);
    r.traces[1] = r.traces[0];
    trace_rig_end_trace(&r.traces[1], FEED_END_TAKEN_OVER);
    r.traces[0] = trace_rig_trace(2);
    r.trace_count = 2;
    (void)snprintf(json, sizeof(json), "{" WEB ",\"cursor\":\"%s\"}", cursor);
    const json_t *begin = open_begun(&w, json);

    assert_string_equal(watch_text(json_object_get(begin, "trace"), "traceId"),
                        "7a010000000000000000000000000000");
    expect_data(&w, 60, 0, 5);
    expect_end(&w, "TAKEN_OVER", 0);
    watch_done(&w);
}

/* Two traces of one vCPU are two feeds, also for who comes before the end of the first was seen. */
static void another_traces_feed_is_another_feed(void **state)
{
    struct watching before, after;

    (void)state;
    (void)open_begun(&before, "{" WEB "}");
    r.traces[0] = trace_rig_trace(2);
    (void)open_begun(&after, "{" WEB "}");
    assert_int_equal(r.watches, 2);
    assert_memory_equal(r.watch.trace_id, r.traces[0].trace_id, 16);
    watch_done(&before);
    watch_done(&after);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_byte_comes_at_its_position_and_every_loss_is_declared),
        TEST(each_vcpu_is_a_stream_of_its_own),
        TEST(who_comes_late_begins_with_the_oldest_byte_that_is_held),
        TEST(who_is_too_slow_is_told_what_was_overwritten),
        TEST(who_reads_the_same_gets_the_same_of_one_feed),
        TEST(while_nothing_is_produced_it_says_that_it_lives),
        TEST(each_end_has_its_reason),
        TEST(a_failure_is_told_with_the_end),
        TEST(what_is_over_and_held_is_read_to_its_end),
        TEST(with_a_deadline_it_says_where_it_was),
        TEST(when_the_gateway_stops_every_stream_says_where_it_was),
        TEST(another_policy_ends_what_it_does_not_allow_and_nothing_else),
        TEST(what_fails_before_it_has_begun_is_an_error_like_any_other),
        TEST(a_mapper_that_goes_ends_it),
        TEST(a_stream_goes_on_exactly_behind_its_cursor),
        TEST(a_cursor_that_is_too_old_says_how_much_is_missing),
        TEST(a_cursor_is_good_for_its_caller_vcpu_and_trace_only),
        TEST(a_cursor_finds_its_trace_among_those_that_are_held),
        TEST(another_traces_feed_is_another_feed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
