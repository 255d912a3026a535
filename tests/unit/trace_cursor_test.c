/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Cursors of TraceService.ReadTrace: from where a stream goes on, whose they are, and of which trace. */
#include "tests/lib/trace_stream.h"

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, trace_stream_begin, trace_stream_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_goes_on_exactly_behind_its_cursor),
        TEST(a_cursor_that_is_too_old_says_how_much_is_missing),
        TEST(a_cursor_is_good_for_its_caller_vcpu_and_trace_only),
        TEST(a_cursor_finds_its_trace_among_those_that_are_held),
        TEST(another_traces_feed_is_another_feed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
