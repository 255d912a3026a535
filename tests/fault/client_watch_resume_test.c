/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Watches that are cut, and go on: where from, what is told again and not delivered twice, and what is
 * told as lost. */
#include "tests/lib/client_watch_cuts.h"

/* --- from a checkpoint --- */

static void what_was_delivered_is_not_delivered_again(void **state)
{
    static const enum tls_server_then cuts[] = { TLS_SERVER_CLOSE, TLS_SERVER_RESET,
                                                 TLS_SERVER_KEEP /* ends without a last word */ };

    (void)state;
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct script s = { .count = 0 };
        struct buffer *b = begun(&s);

        say_batch(b, 4);
        say_batch(b, 5);
        script_then(&s, cuts[i]);
        b = resumed(&s, 3);
        say_batch(b, 4);
        say_checkpoint(b, 4, "c4"); /* older than what was delivered: kept, not told */
        say_batch(b, 5);
        say_batch(b, 6);
        script_then(&s, cuts[i]);
        b = resumed(&s, 4);
        say_batch(b, 5);
        say_batch(b, 6);
        say_checkpoint(b, 6, "c6");
        ended(&s, b, 6);
        expect_watch(&s, 0,
                     BEGUN "changes 4\nchanges 5\ninterrupted at 5 [c3]\nbegin a behind 5\n"
                           "changes 6\ninterrupted at 6 [c4]\nbegin a behind 6\ncheckpoint 6\n"
                           "end incarnation_ended\n");
    }
}

/* What the second stream merged over what was delivered speaks of what is new only. */
static void merged_messages_are_cut_short(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    say_batch(b, 4);
    say_batch(b, 5);
    script_then(&s, TLS_SERVER_CLOSE);
    b = resumed(&s, 3);
    say_changes(b, (struct say_changes){ .first = 4, .sequence = 7 });
    script_then(&s, TLS_SERVER_CLOSE);
    b = resumed(&s, 3);
    say_gap(b, XENRES_GAP_TOO_SLOW, 4, 9);
    say_image(b, (struct say_image){ .sequence = 9 });
    say_checkpoint(b, 9, "c9");
    say_batch(b, 10);
    script_then(&s, TLS_SERVER_CLOSE);
    b = resumed(&s, 9);
    say_image(b, (struct say_image){ .first = 10, .sequence = 12 });
    ended(&s, b, 12);
    expect_watch(&s, 0,
                 BEGUN "changes 4\nchanges 5\ninterrupted at 5 [c3]\nbegin a behind 5\n"
                       "changes 6-7\ninterrupted at 7 [c3]\nbegin a behind 7\n"
                       "gap too_slow 8-9\nimage 9\ncheckpoint 9\nchanges 10\n"
                       "interrupted at 10 [c9]\nbegin a behind 10\nimage 11-12\n"
                       "end incarnation_ended\n");
}

/* What decoding goes on from comes again, at the number where it was left: it is nothing new, and no lie
 * once. */
static void content_that_decoding_goes_on_from_is_not_delivered_again(void **state)
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
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .decode = true });
    say_decoded(b, 0, 3, true, false);
    say_checkpoint(b, 3, "c3");
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .decode = true, .resumed = true, .sequence = 3 });
    say_decoded(b, 0, 3, true, false);
    say_decoded(b, 0, 3, true, false);
    script_then(&s, TLS_SERVER_KEEP);
    expect_watch_of(&s, &query, XENRES_INTERNAL,
                    "begin a\nwhole 3\ncheckpoint 3\ninterrupted at 3 [c3]\nbegin a behind 3\n");
}

/* What is different from a place before what was delivered cannot be cut short as bytes can: what changed and
 * changed back is not in it. */
static void decoded_and_merged_it_goes_on_from_content(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);
    xenres_watch_query query = XENRES_WATCH_QUERY_INIT("1", XENRES_GRANT_TABLE, 0);

    (void)state;
    query.decode = true;
    query.mode = XENRES_WATCH_LATEST;
    say_begin(b, (struct say_begin){ .decode = true, .mode = XENRES_WATCH_LATEST });
    say_decoded(b, 0, 3, true, false);
    say_checkpoint(b, 3, "c3");
    say_decoded(b, 4, 5, false, false);
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .decode = true, .mode = XENRES_WATCH_LATEST });
    say_decoded(b, 0, 7, true, false);
    say_checkpoint(b, 7, "c7");
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s); /* nothing came since */
    say_begin(b, (struct say_begin){
                     .decode = true, .mode = XENRES_WATCH_LATEST, .resumed = true, .sequence = 7 });
    say_decoded(b, 0, 7, true, false);
    say_decoded(b, 8, 9, false, false);
    ended(&s, b, 9);
    expect_watch_of(&s, &query, 0,
                    "begin a\nwhole 3\ncheckpoint 3\ndecoded 4-5\ninterrupted at 5 [c3]\nbegin a\n"
                    "whole 6-7\ncheckpoint 7\ninterrupted at 7 [c7]\nbegin a behind 7\n"
                    "decoded 8-9\nend incarnation_ended\n");
}

static void unfinished_batches_come_again_whole(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    say_changes(b, (struct say_changes){ .sequence = 4, .more = true });
    script_then(&s, TLS_SERVER_CLOSE);
    b = resumed(&s, 3);
    say_changes(b, (struct say_changes){ .sequence = 4, .more = true });
    say_changes(b, (struct say_changes){ .sequence = 4 });
    script_then(&s, TLS_SERVER_CLOSE);
    b = resumed(&s, 3);
    say_changes(b,
                (struct say_changes){ .sequence = 4, .more = true }); /* not new: not unfinished */
    script_then(&s, TLS_SERVER_CLOSE);
    ended(&s, resumed(&s, 3), 4);
    expect_watch(&s, 0,
                 BEGUN "changes 4...\ninterrupted at 3 unfinished [c3]\nbegin a behind 3\n"
                       "changes 4...\nchanges 4\ninterrupted at 4 [c3]\nbegin a behind 4\n"
                       "interrupted at 4 try 1 [c3]\nbegin a behind 4\nend incarnation_ended\n");
}

/* It was overtaken within a batch: what came of that is void, and its number is in the gap. */
static void a_gap_instead_of_the_rest_of_a_batch(void **state)
{
    static const struct say_changes part = {
        .sequence = 5, .blocks = { 7 }, .block_count = 1, .more = true
    };
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    say_batch(b, 4);
    say_changes(b, part);
    say_gap(b, XENRES_GAP_TOO_SLOW, 5, 6);
    say_image(b, (struct say_image){ .sequence = 6 });
    /* Of blocks as well: they begin anew. */
    say_changes(b, (struct say_changes){ .sequence = 7, .blocks = { 1 }, .block_count = 1 });
    say_changes(
        b, (struct say_changes){ .sequence = 8, .blocks = { 3 }, .block_count = 1, .more = true });
    ended(&s, b, 8);
    expect_watch(&s, 0,
                 BEGUN "changes 4\nchanges 5...\ngap too_slow 5-6 (7 blocks)\nimage 6\nchanges 7\n"
                       "changes 8...\ngap at_end 8-8\nend incarnation_ended\n");
}

static void unfinished_images_come_again_whole(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);

    (void)state;
    say_begin(b, (struct say_begin){ .silence_ms = 20000 });
    say_image(b, (struct say_image){ .sequence = 3, .len = 64, .more = true });
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .silence_ms = 20000 });
    say_image(b, (struct say_image){ .sequence = 5 });
    ended(&s, b, 5);
    expect_watch(&s, 0,
                 "begin a\nimage 3 @0...\ninterrupted at 0 unfinished []\nbegin a\nimage 5\n"
                 "end incarnation_ended\n");
}

static void shutting_down_goes_on_from_its_cursor(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    say_batch(b, 4);
    say_end(b, XENRES_END_SHUTTING_DOWN, 5, "e4");
    script_then(&s, TLS_SERVER_CLOSE);
    b = resumed(&s, 4);
    say_batch(b, 5);
    ended(&s, b, 5);
    expect_watch(&s, 0,
                 BEGUN "changes 4\ninterrupted at 4 shutting_down [e4]\nbegin a behind 4\n"
                       "changes 5\nend incarnation_ended\n");
}

/* What it failed at may pass, as its own code says: the mapper was not there for a moment. Else it is an end. */
static void what_may_pass_is_gone_on_from(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    say_batch(b, 4);
    say_end_so(b, XENRES_END_FAILED, 5, "e4",
               "{\"error\":{\"code\":\"unavailable\",\"message\":\"no mapper\"}}");
    script_then(&s, TLS_SERVER_KEEP);
    b = resumed(&s, 4);
    say_batch(b, 5);
    say_end_so(b, XENRES_END_FAILED, 5, "",
               "{\"error\":{\"code\":\"data_loss\",\"message\":\"no spool\"}}");
    script_then(&s, TLS_SERVER_KEEP);
    expect_watch(&s, 0,
                 BEGUN "changes 4\ninterrupted at 4 failed [e4]\nbegin a behind 4\n"
                       "changes 5\nend failed\n");
}

/* --- where there is no going on from the checkpoint --- */

static void lost_while_cut_off_is_told_exactly_in_the_same_feed(void **state)
{
    static const char *const refusals[] = {
        "{\"error\":{\"code\":\"out_of_range\",\"message\":\"7 batches were missed\"}}",
        /* a gateway that has new keys: "field": "cursor" */
        "{\"error\":{\"code\":\"invalid_argument\",\"message\":\"no cursor of mine\",\"details\":[{"
        "\"type\":\"google.rpc.BadRequest\",\"value\":\"CgoKBmN1cnNvchIA\"}]}}",
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct script s = { .count = 0 };
        struct buffer *b = begun(&s);

        say_batch(b, 4);
        script_then(&s, TLS_SERVER_CLOSE);
        script_error(&s, refusals[i]);
        b = script_stream(&s);
        say_begin(b, (struct say_begin){ .silence_ms = 20000 });
        say_image(b, (struct say_image){ .sequence = 12 });
        ended(&s, b, 12);
        expect_watch(&s, 0,
                     BEGUN "changes 4\ninterrupted at 4 [c3]\nbegin a\ngap interrupted 5-12\n"
                           "image 12\nend incarnation_ended\n");
    }
}

static void nothing_lost_is_no_gap(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);

    (void)state;
    say_begin(b, (struct say_begin){ .silence_ms = 20000 });
    say_image(b, (struct say_image){ .sequence = 3 });
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .silence_ms = 20000 });
    say_image(b, (struct say_image){ .sequence = 3 });
    ended(&s, b, 3);
    expect_watch(
        &s, 0, "begin a\nimage 3\ninterrupted at 3 []\nbegin a\nimage 3\nend incarnation_ended\n");
}

static void another_feed_begins_with_a_gap(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    say_batch(b, 4);
    say_end(b, XENRES_END_MAPPER_GONE, 6, "");
    script_then(&s, TLS_SERVER_KEEP);
    script_error(&s, "{\"error\":{\"code\":\"unavailable\",\"message\":\"no mapper\"}}");
    script_error(&s, "{\"error\":{\"code\":\"out_of_range\",\"message\":\"feed is gone\"}}");
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .feed = FEED_B });
    say_image(b, (struct say_image){ .sequence = 1 });
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .feed = FEED_A });
    say_image(b, (struct say_image){ .sequence = 1 });
    ended(&s, b, 1);
    expect_watch(&s, 0,
                 BEGUN "changes 4\ninterrupted at 4 mapper_gone [c3]\n"
                       "interrupted at 4 try 1 [c3]\ngap new_feed 5-6?\nbegin b\nimage 1\n"
                       "interrupted at 1 []\ngap new_feed 2-0?\nbegin a\nimage 1\n"
                       "end incarnation_ended\n");
}

/* What was told as lost stays lost: the gateway is asked for what is there now. */
static void behind_a_gap_there_is_no_old_checkpoint(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    say_gap(b, XENRES_GAP_TOO_SLOW, 4, 9);
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .silence_ms = 20000 });
    say_image(b, (struct say_image){ .sequence = 9 });
    ended(&s, b, 9);
    expect_watch(&s, 0,
                 BEGUN "gap too_slow 4-9 (7 blocks)\ninterrupted at 9 []\nbegin a\nimage 9\n"
                       "end incarnation_ended\n");
}

/* --- from a cursor of the caller's own --- */

static void cursor_from_elsewhere_goes_on(void **state)
{
    xenres_watch_query query = XENRES_WATCH_QUERY_INIT("1", XENRES_GRANT_TABLE, 0);
    struct script s = { .count = 0 };
    struct buffer *b = resumed(&s, 8);

    (void)state;
    query.cursor = "kept";
    say_batch(b, 9);
    ended(&s, b, 9);
    expect_watch_of(&s, &query, 0, "begin a behind 8\nchanges 9\nend incarnation_ended\n");

    /* With what had been delivered behind it. */
    query.feed = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    query.sequence = 10;
    b = resumed(&s, 8);
    say_batch(b, 9);
    say_batch(b, 10);
    say_batch(b, 11);
    ended(&s, b, 11);
    expect_watch_of(&s, &query, 0, "begin a behind 10\nchanges 11\nend incarnation_ended\n");
}

static void cursor_from_elsewhere_may_lead_nowhere(void **state)
{
    xenres_watch_query query = XENRES_WATCH_QUERY_INIT("1", XENRES_GRANT_TABLE, 0);
    struct script s = { .count = 0 };
    struct buffer *b;

    (void)state;
    query.cursor = "kept";
    for (int has_feed = 0; has_feed <= 1; has_feed++) {
        query.feed = has_feed != 0 ? FEED_A : NULL;
        query.sequence = 10;
        script_error(&s, "{\"error\":{\"code\":\"out_of_range\",\"message\":\"missed\"}}");
        b = script_stream(&s);
        say_begin(b, (struct say_begin){ .silence_ms = 20000 });
        say_image(b, (struct say_image){ .sequence = 12 });
        ended(&s, b, 12);
        expect_watch_of(&s, &query, 0,
                        has_feed != 0
                            ? "begin a\ngap interrupted 11-12\nimage 12\nend incarnation_ended\n"
                            : "gap interrupted 0-0?\nbegin a\nimage 12\nend incarnation_ended\n");
    }
    script_error(&s, "{\"error\":{\"code\":\"invalid_argument\",\"message\":\"no cursor\"}}");
    expect_watch_of(&s, &query, XENRES_INVALID_ARGUMENT, "");
}

/* --- another life --- */

static void another_incarnation_is_never_spliced(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = begun(&s);

    (void)state;
    say_batch(b, 4);
    script_then(&s, TLS_SERVER_CLOSE);
    b = script_stream(&s);
    say_begin(b, (struct say_begin){ .life = LIFE_B });
    say_image(b, (struct say_image){ .sequence = 5 });
    script_then(&s, TLS_SERVER_KEEP);
    expect_watch(
        &s, 0, BEGUN "changes 4\ninterrupted at 4 [c3]\ngap at_end 5-0?\nend incarnation_ended\n");

    /* Nor where the gateway says so. */
    say_batch(begun(&s), 4);
    script_then(&s, TLS_SERVER_CLOSE);
    script_error(&s, "{\"error\":{\"code\":\"aborted\",\"message\":\"another incarnation\"}}");
    expect_watch(
        &s, 0, BEGUN "changes 4\ninterrupted at 4 [c3]\ngap at_end 5-0?\nend incarnation_ended\n");

    begun(&s);
    script_then(&s, TLS_SERVER_CLOSE);
    script_error(&s, "{\"error\":{\"code\":\"not_found\",\"message\":\"no such domain\"}}");
    expect_watch(&s, 0, BEGUN "interrupted at 3 [c3]\ngap at_end 4-0?\nend not_found\n");
}

/* After the first begin, only this life is asked for. */
static void further_requests_name_the_incarnation(void **state)
{
    static struct watching w;
    struct script s = { .count = 0 };

    (void)state;
    begun(&s);
    script_then(&s, TLS_SERVER_CLOSE);
    ended(&s, resumed(&s, 3), 3);
    watching_start(&w, &s);
    watching_run(&w);
    assert_int_equal(w.result, 0);
    Xenres__V1__WatchRequest *request = xenres__v1__watch_request__unpack(
        NULL, w.f.server.body_len - 5, (const uint8_t *)w.f.server.body + 5);

    assert_non_null(request);
    assert_string_equal(request->incarnation, LIFE_A);
    assert_string_equal(request->cursor, "c3");
    xenres__v1__watch_request__free_unpacked(request, NULL);
    watching_stop(&w);
    script_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_delivered_is_not_delivered_again),
        cmocka_unit_test(merged_messages_are_cut_short),
        cmocka_unit_test(content_that_decoding_goes_on_from_is_not_delivered_again),
        cmocka_unit_test(decoded_and_merged_it_goes_on_from_content),
        cmocka_unit_test(unfinished_batches_come_again_whole),
        cmocka_unit_test(a_gap_instead_of_the_rest_of_a_batch),
        cmocka_unit_test(unfinished_images_come_again_whole),
        cmocka_unit_test(shutting_down_goes_on_from_its_cursor),
        cmocka_unit_test(what_may_pass_is_gone_on_from),
        cmocka_unit_test(lost_while_cut_off_is_told_exactly_in_the_same_feed),
        cmocka_unit_test(nothing_lost_is_no_gap),
        cmocka_unit_test(another_feed_begins_with_a_gap),
        cmocka_unit_test(behind_a_gap_there_is_no_old_checkpoint),
        cmocka_unit_test(cursor_from_elsewhere_goes_on),
        cmocka_unit_test(cursor_from_elsewhere_may_lead_nowhere),
        cmocka_unit_test(another_incarnation_is_never_spliced),
        cmocka_unit_test(further_requests_name_the_incarnation),
    };

    return UNIT_RUN(tests);
}
