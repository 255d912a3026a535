/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a watch makes of proper streams, of their ends, and of the calls that it cannot make sense of. */
#include "tests/lib/client_watch.h"

/* A begin, an image at 3, and a checkpoint there. */
static struct buffer *begun(struct script *s)
{
    struct buffer *b = script_stream(s);

    say_begin(b, (struct say_begin){ .silence_ms = 20000 });
    say_image(b, (struct say_image){ .sequence = 3 });
    say_checkpoint(b, 3, "c3");
    return b;
}

static void ended(struct script *s, struct buffer *b, uint64_t sequence)
{
    say_end(b, XENRES_END_INCARNATION_ENDED, sequence, "");
    script_then(s, TLS_SERVER_KEEP);
}

static void all_messages_come_in_their_order(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    say_batch(b, 4);
    say_changes(b, (struct say_changes){
                       .sequence = 5, .more = true, .blocks = { 1, 2 }, .block_count = 2 });
    say_changes(b, (struct say_changes){ .sequence = 5, .blocks = { 7 }, .block_count = 1 });
    say_changes(b,
                (struct say_changes){ .first = 6, .sequence = 8 }); /* and nothing is different */
    say_heartbeat(b, 8);
    say_gap(b, XENRES_GAP_TOO_SLOW, 9, 20);
    say_heartbeat(b, 21);
    say_image(b, (struct say_image){ .sequence = 22, .first = 21, .len = 4000, .more = true });
    say_image(b, (struct say_image){ .sequence = 22, .offset = 4000, .len = 96 });
    say_checkpoint(b, 22, "c22");
    say_image(b, (struct say_image){ .sequence = 22, .segment = 1 });
    say_changes(b, (struct say_changes){
                       .sequence = 23, .segment = 1, .blocks = { 0, 63 }, .block_count = 2 });
    ended(&s, b, 23);
    expect_watch(
        &s, 0,
        "begin a\nimage 3\ncheckpoint 3\nchanges 4\nchanges 5...\nchanges 5\nchanges 6-8\n"
        "heartbeat 8\ngap too_slow 9-20 (7 blocks)\nheartbeat 21\nimage 21-22 @0...\n"
        "image 21-22 @4000\ncheckpoint 22\nimage 22 s1\nchanges 23\nend incarnation_ended\n");
}

static void decoded_messages_come_in_their_order(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);
    xenres_watch_query query = XENRES_WATCH_QUERY_INIT("1", XENRES_GRANT_TABLE, 0);

    (void)state;
    query.decode = true;
    say_begin(b, (struct say_begin){ .decode = true });
    say_decoded(b, 0, 3, true, true);
    say_decoded(b, 0, 3, true, false);
    say_checkpoint(b, 3, "c3");
    say_decoded(b, 4, 4, false, false);
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .decode = true, .resumed = true, .sequence = 3 });
    say_gap(b, XENRES_GAP_RESUMED, 4, 5);
    say_decoded(b, 0, 5, true, false);
    ended(&s, b, 5);
    expect_watch_of(&s, &query, 0,
                    "begin a\nwhole 3...\nwhole 3\ncheckpoint 3\ndecoded 4\ninterrupted at 4 [c3]\n"
                    "begin a behind 4\ngap resumed 5-5\nwhole 5\nend incarnation_ended\n");
}

/* Who decodes has to begin with all that there is, also where nothing has changed: that is told once. */
static void decoded_content_comes_again_where_it_goes_on(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);
    xenres_watch_query query = XENRES_WATCH_QUERY_INIT("1", XENRES_GRANT_TABLE, 0);

    (void)state;
    query.decode = true;
    say_begin(b, (struct say_begin){ .decode = true });
    say_decoded(b, 0, 3, true, false);
    say_checkpoint(b, 3, "c3");
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .decode = true, .resumed = true, .sequence = 3 });
    say_decoded(b, 0, 3, true, true);
    say_decoded(b, 0, 3, true, false);
    say_decoded(b, 4, 4, false, false);
    ended(&s, b, 4);
    expect_watch_of(&s, &query, 0,
                    "begin a\nwhole 3\ncheckpoint 3\ninterrupted at 3 [c3]\nbegin a behind 3\n"
                    "decoded 4\nend incarnation_ended\n");
}

/* Overtaken between two parts. */
static void rest_of_a_batch_may_be_lost(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);

    (void)state;
    say_begin(b, (struct say_begin){ .silence_ms = 1000 });
    say_image(b, (struct say_image){ .sequence = 3 });
    say_changes(
        b, (struct say_changes){ .sequence = 4, .blocks = { 9 }, .block_count = 1, .more = true });
    say_gap(b, XENRES_GAP_TOO_SLOW, 4, 6);
    say_image(b, (struct say_image){ .sequence = 6 });
    say_changes(b, (struct say_changes){ .sequence = 7, .blocks = { 1 }, .block_count = 1 });
    ended(&s, b, 7);
    expect_watch(&s, 0,
                 "begin a\nimage 3\nchanges 4...\ngap too_slow 4-6 (7 blocks)\nimage 6\nchanges 7\n"
                 "end incarnation_ended\n");
}

/* In these modes a watcher wants the newest: what was merged is not lost. */
static void merged_content_is_no_loss(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);
    xenres_watch_query query = XENRES_WATCH_QUERY_INIT("1", XENRES_GRANT_TABLE, 0);

    (void)state;
    query.mode = XENRES_WATCH_FULL;
    say_begin(b, (struct say_begin){ .mode = XENRES_WATCH_FULL });
    say_image(b, (struct say_image){ .sequence = 3 });
    say_image(b, (struct say_image){ .first = 4, .sequence = 9 });
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .mode = XENRES_WATCH_FULL });
    say_image(b, (struct say_image){ .sequence = 12 });
    ended(&s, b, 12);
    expect_watch_of(&s, &query, 0,
                    "begin a\nimage 3\nimage 4-9\ninterrupted at 9 []\nbegin a\nimage 10-12\n"
                    "end incarnation_ended\n");
}

static void unknown_messages_are_passed_over(void **state)
{
    static const char later[] = { '\xa2', 6, 0 }; /* field 100 */
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    stream_envelope(b, 0, later, sizeof(later));
    say_batch(b, 4);
    say_end(b, 77, 4, "");
    script_then(&s, TLS_SERVER_KEEP);
    expect_watch(&s, 0, "begin a\nimage 3\ncheckpoint 3\nchanges 4\nend \n");
}

/* --- ends --- */

static void each_end_is_told(void **state)
{
    static const uint32_t ends[] = { XENRES_END_INCARNATION_ENDED,
                                     XENRES_END_RENAMED,
                                     XENRES_END_RESOURCE_GONE,
                                     XENRES_END_SAMPLING_FAILED,
                                     XENRES_END_PERMISSION_WITHDRAWN,
                                     XENRES_END_DEADLINE,
                                     XENRES_END_FAILED,
                                     XENRES_END_CREDENTIALS_EXPIRED };

    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct script s = { .count = 0 };
        char lines[128];

        say_end(begun(&s), ends[i], 3, "");
        script_then(&s, TLS_SERVER_KEEP);
        (void)snprintf(lines, sizeof(lines), "begin a\nimage 3\ncheckpoint 3\nend %s\n",
                       xenres_end_reason_name(ends[i]));
        expect_watch(&s, 0, lines);
    }
}

static void what_was_not_sent_before_the_end_is_told_as_lost(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    say_changes(b, (struct say_changes){ .sequence = 4, .more = true });
    ended(&s, b, 6);
    expect_watch(&s, 0,
                 "begin a\nimage 3\ncheckpoint 3\nchanges 4...\ngap at_end 4-6\n"
                 "end incarnation_ended\n");
    b = begun(&s);
    ended(&s, b, 0); /* it does not know */
    expect_watch(&s, 0, "begin a\nimage 3\ncheckpoint 3\ngap at_end 4-0?\nend incarnation_ended\n");
}

static void first_try_fails_as_any_call(void **state)
{
    struct script s = { .count = 0 };

    (void)state;
    script_error(&s, "{\"error\":{\"code\":\"not_found\",\"message\":\"no such domain\"}}");
    expect_watch(&s, XENRES_NOT_FOUND, "");
    script_error(&s, "{\"error\":{\"code\":\"unavailable\",\"message\":\"no mapper\"}}");
    expect_watch(&s, XENRES_UNAVAILABLE, "");
    script_error(&s, "{\"error\":{\"code\":\"aborted\",\"message\":\"another\"}}");
    expect_watch(&s, XENRES_ABORTED, "");
}

static void first_try_is_repeated_as_any_call(void **state)
{
    const xenres_options options = { .size = sizeof(options),
                                     .timeout_ms = 10000,
                                     .retry_wait_ms = 1 };
    static struct watching w;
    struct script s = { .count = 0 };

    (void)state;
    script_error(&s, "{\"error\":{\"code\":\"unavailable\",\"message\":\"no mapper\"}}");
    ended(&s, begun(&s), 3);
    watching_start(&w, &s);
    xenres_free(w.f.handle);
    fixture_connect(&w.f, options);
    watching_run(&w);
    assert_int_equal(w.result, 0);
    assert_string_equal(buffer_string(&w.told.lines),
                        "begin a\nimage 3\ncheckpoint 3\nend incarnation_ended\n");
    watching_stop(&w);
    script_done(&s);
}

static void errors_within_the_stream_end_it(void **state)
{
    struct script s = { .count = 0 };

    (void)state;
    stream_end(begun(&s), "{\"error\":{\"code\":\"data_loss\",\"message\":\"the spool\"}}");
    script_then(&s, TLS_SERVER_KEEP);
    expect_watch(&s, XENRES_DATA_LOSS, "begin a\nimage 3\ncheckpoint 3\n");
}

/* --- what is asked --- */

static void request_says_what_was_asked_for(void **state)
{
    static struct watching w;
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);

    (void)state;
    say_begin(b, (struct say_begin){ .first_frame = 3, .mode = XENRES_WATCH_LATEST });
    ended(&s, b, 0);
    watching_start(&w, &s);
    w.query.domain = "uuid:" UUID_A;
    w.query.incarnation = LIFE_A;
    w.query.first_frame = 3;
    w.query.frame_count = 2;
    w.query.period_ms = 1250;
    w.query.mode = XENRES_WATCH_LATEST;
    w.query.cursor = "from-elsewhere";
    watching_run(&w);
    assert_int_equal(w.result, 0);
    Xenres__V1__WatchRequest *request = xenres__v1__watch_request__unpack(
        NULL, w.f.server.body_len - 5, (const uint8_t *)w.f.server.body + 5);

    assert_non_null(request);
    assert_string_equal(request->domain, "uuid:" UUID_A);
    assert_string_equal(request->incarnation, LIFE_A);
    assert_int_equal(request->type, XENRES_GRANT_TABLE);
    assert_int_equal(request->first_frame, 3);
    assert_int_equal(request->frame_count, 2);
    assert_int_equal(request->period->seconds, 1);
    assert_int_equal(request->period->nanos, 250000000);
    assert_int_equal(request->mode, XENRES_WATCH_LATEST);
    assert_string_equal(request->cursor, "from-elsewhere");
    xenres__v1__watch_request__free_unpacked(request, NULL);
    watching_stop(&w);
    script_done(&s);
}

static void refuse(struct watching *w, const xenres_watch_query *query, const char *field)
{
    const xenres_watch_sink sink = told_sink(&w->told);

    assert_int_equal(xenres_watch(w->f.handle, query, &sink, &w->f.error),
                     -XENRES_INVALID_ARGUMENT);
    assert_string_equal(w->f.error.field, field);
}

static void wrong_use_is_told(void **state)
{
    static struct watching w;
    static char long_cursor[4097];
    struct script s = { .count = 0 };
    const xenres_watch_query good = XENRES_WATCH_QUERY_INIT("1", XENRES_GRANT_TABLE, 0);
    xenres_watch_query bad;

    (void)state;
    watching_start(&w, &s);
    refuse(&w, &(xenres_watch_query){ .size = 8 }, "");
    bad = good;
    bad.domain = NULL;
    refuse(&w, &bad, "domain");
    bad = good;
    bad.incarnation = "short";
    refuse(&w, &bad, "incarnation");
    bad = good;
    bad.type = 9;
    refuse(&w, &bad, "type");
    bad = good;
    bad.mode = 4;
    refuse(&w, &bad, "mode");
    bad = good;
    bad.period_ms = 3600 * 1000 + 1;
    refuse(&w, &bad, "period");
    bad = good;
    bad.feed = "no feed";
    refuse(&w, &bad, "feed");
    bad = good;
    bad.outage_max_ms = 86400 * 1000 + 1;
    refuse(&w, &bad, "outage_max_ms");
    memset(long_cursor, 'c', sizeof(long_cursor) - 1);
    bad = good;
    bad.cursor = long_cursor;
    refuse(&w, &bad, "cursor");
    assert_int_equal(xenres_watch(w.f.handle, &good, &(xenres_watch_sink){ .size = 8 }, &w.f.error),
                     -XENRES_INVALID_ARGUMENT);
    assert_int_equal(xenres_watch(w.f.handle, NULL, NULL, NULL), -XENRES_INVALID_ARGUMENT);
    watching_stop(&w);
    assert_int_equal(w.f.server.connections, 0);
}

static void callbacks_may_be_missing(void **state)
{
    static struct watching w;
    struct script s = { .count = 0 };
    const xenres_watch_sink none = XENRES_WATCH_SINK_INIT;
    struct buffer *b = begun(&s);

    (void)state;
    say_batch(b, 4);
    say_heartbeat(b, 4);
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .feed = FEED_B });
    say_image(b, (struct say_image){ .sequence = 0 });
    say_gap(b, XENRES_GAP_TOO_SLOW, 1, 2);
    ended(&s, b, 2);
    watching_start(&w, &s);
    assert_int_equal(xenres_watch(w.f.handle, &w.query, &none, &w.f.error), 0);
    watching_stop(&w);
    script_done(&s);
}

/* --- one message by itself --- */

static void recorded_message_is_shown(void **state)
{
    struct told t = { .calls = 0 };
    struct buffer stream;
    const xenres_watch_sink sink = told_sink(&t);
    xenres_error error;

    (void)state;
    buffer_init(&t.lines, 4096);
    buffer_init(&stream, 1 << 20);
    say_batch(&stream, 9);
    const uint8_t *message = (const uint8_t *)strstr((const char *)stream.data, "\r\n") + 2 + 5;
    size_t len = stream.len_bytes - (size_t)(message - stream.data) - 2;

    assert_int_equal(xenres_watch_message(message, len, &sink, &error), 0);
    assert_string_equal(buffer_string(&t.lines), "changes 9\n");
    assert_int_equal(t.raws, 0);
    assert_int_equal(xenres_watch_message(message, len - 1, &sink, &error), -XENRES_INTERNAL);
    assert_int_equal(xenres_watch_message("", 0, &sink, &error), 0); /* a later version's */
    t.stop_at = 2;
    assert_int_equal(xenres_watch_message(message, len, &sink, &error), -XENRES_CANCELED);
    buffer_done(&stream);
    buffer_done(&t.lines);
}

/* Whatever comes, it is shown or refused: the sanitizers look. */
static void mutated_messages_do_no_harm(void **state)
{
    static const xenres_watch_sink none = XENRES_WATCH_SINK_INIT;
    struct buffer stream;
    size_t refused = 0, tried = 0;

    (void)state;
    stream_begin(&stream);
    say_begin(&stream, (struct say_begin){ .silence_ms = 20000 });
    say_image(&stream, (struct say_image){ .sequence = 3, .frame_bytes = 64, .len = 64 });
    say_batch(&stream, 4);
    say_decoded(&stream, 0, 3, true, false);
    say_gap(&stream, XENRES_GAP_TOO_SLOW, 9, 20);
    say_checkpoint(&stream, 22, "c22");
    say_heartbeat(&stream, 8);
    say_end(&stream, XENRES_END_RENAMED, 6, "cursor");
    uint8_t *at = stream.data + strlen(STREAM_HEAD "\r\n");

    while (at < stream.data + stream.len_bytes) {
        char *after;
        size_t len = strtoul((char *)at, &after, 16);
        uint8_t *message = (uint8_t *)after + 2 + 5;

        for (size_t i = 0; len > 5 && i < len - 5; i++) {
            uint8_t was = message[i];

            for (unsigned byte = 0; byte < 256; byte += 5) {
                message[i] = (uint8_t)byte;
                refused += xenres_watch_message(message, len - 5, &none, NULL) != 0;
                tried++;
            }
            message[i] = was;
        }
        at = (uint8_t *)after + 2 + len + 2;
    }
    assert_true(tried > 10000);
    assert_true(refused > 1000 && refused < tried);
    buffer_done(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_messages_come_in_their_order),
        cmocka_unit_test(decoded_messages_come_in_their_order),
        cmocka_unit_test(decoded_content_comes_again_where_it_goes_on),
        cmocka_unit_test(rest_of_a_batch_may_be_lost),
        cmocka_unit_test(merged_content_is_no_loss),
        cmocka_unit_test(unknown_messages_are_passed_over),
        cmocka_unit_test(each_end_is_told),
        cmocka_unit_test(what_was_not_sent_before_the_end_is_told_as_lost),
        cmocka_unit_test(first_try_fails_as_any_call),
        cmocka_unit_test(first_try_is_repeated_as_any_call),
        cmocka_unit_test(errors_within_the_stream_end_it),
        cmocka_unit_test(request_says_what_was_asked_for),
        cmocka_unit_test(wrong_use_is_told),
        cmocka_unit_test(callbacks_may_be_missing),
        cmocka_unit_test(recorded_message_is_shown),
        cmocka_unit_test(mutated_messages_do_no_harm),
    };

    return UNIT_RUN(tests);
}
