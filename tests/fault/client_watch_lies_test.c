/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Gateways whose numbers, pieces or parts are not what they have to be: each is found out, named, and
 * never taken for a cut that one goes on from. */
#include "tests/lib/client_watch.h"

/* An image at 3 in segment 1, of one frame. */
static void begin(struct buffer *b)
{
    say_begin(b, (struct say_begin){ .silence_ms = 20000 });
    say_image(b, (struct say_image){ .sequence = 3, .segment = 1 });
}

static void part(struct buffer *b, uint64_t sequence, uint32_t block)
{
    say_changes(b, (struct say_changes){ .sequence = sequence,
                                         .segment = 1,
                                         .blocks = { block },
                                         .block_count = 1,
                                         .more = true });
}

#define IMAGE(...)   say_image(b, (struct say_image){ __VA_ARGS__ })
#define CHANGES(...) say_changes(b, (struct say_changes){ __VA_ARGS__ })
#define PIECE(...)   IMAGE(.sequence = 9, .first = 4, .segment = 1, __VA_ARGS__)

/* Each begins a stream, and tells its lie last. */
#define LIES(LIE)                                                                                  \
    LIE(no_begin, say_heartbeat(b, 0))                                                             \
    LIE(begins_twice, begin(b), say_begin(b, (struct say_begin){ .silence_ms = 1000 }))            \
    LIE(no_feed, say_begin(b, (struct say_begin){ .feed = "short" }))                              \
    LIE(other_blocks, say_begin(b, (struct say_begin){ .block_bytes = 32 }))                       \
    LIE(other_mode, say_begin(b, (struct say_begin){ .mode = XENRES_WATCH_FULL }))                 \
    LIE(decoded_unasked, say_begin(b, (struct say_begin){ .decode = true }))                       \
    LIE(other_frames, say_begin(b, (struct say_begin){ .first_frame = 1 }))                        \
    LIE(goes_on_unasked, say_begin(b, (struct say_begin){ .resumed = true, .sequence = 3 }))       \
    LIE(changes_before_image, say_begin(b, (struct say_begin){ .silence_ms = 1000 }),              \
        say_batch(b, 1))                                                                           \
    LIE(gap_before_image, say_begin(b, (struct say_begin){ .silence_ms = 1000 }),                  \
        say_gap(b, 1, 1, 2))                                                                       \
    LIE(checkpoint_before_image, say_begin(b, (struct say_begin){ .silence_ms = 1000 }),           \
        say_checkpoint(b, 0, "c"))                                                                 \
    LIE(first_image_with_numbers, say_begin(b, (struct say_begin){ .silence_ms = 1000 }),          \
        IMAGE(.first = 2, .sequence = 3))                                                          \
    LIE(hole_before_changes, begin(b), CHANGES(.sequence = 5, .segment = 1))                       \
    LIE(changes_again, begin(b), CHANGES(.sequence = 3, .segment = 1))                             \
    LIE(changes_overlap, begin(b), CHANGES(.first = 3, .sequence = 4, .segment = 1))               \
    LIE(changes_end_before_they_begin, begin(b), CHANGES(.first = 4, .sequence = 2, .segment = 1)) \
    LIE(changes_of_number_none, begin(b),                                                          \
        CHANGES(.first = 4, .sequence = UINT64_MAX, .segment = 1))                                 \
    LIE(changes_of_earlier_segment, begin(b), CHANGES(.sequence = 4))                              \
    LIE(changes_of_later_segment, begin(b), CHANGES(.sequence = 4, .segment = 2))                  \
    LIE(part_of_another, begin(b), part(b, 4, 1), part(b, 5, 2))                                   \
    LIE(image_within_parts, begin(b), part(b, 4, 1),                                               \
        IMAGE(.first = 4, .sequence = 4, .segment = 1))                                            \
    LIE(checkpoint_within_parts, begin(b), part(b, 4, 1), say_checkpoint(b, 3, "c"))               \
    LIE(heartbeat_within_parts, begin(b), part(b, 4, 1), say_heartbeat(b, 4))                      \
    LIE(gap_behind_parts, begin(b), part(b, 4, 1), say_gap(b, 1, 5, 6))                            \
    LIE(gap_within_pieces, begin(b), PIECE(.len = 64, .more = true), say_gap(b, 1, 4, 9))          \
    LIE(block_twice, begin(b), part(b, 4, 1), part(b, 4, 1))                                       \
    LIE(blocks_fall, begin(b),                                                                     \
        CHANGES(.sequence = 4, .segment = 1, .blocks = { 2, 1 }, .block_count = 2))                \
    LIE(blocks_repeat, begin(b),                                                                   \
        CHANGES(.sequence = 4, .segment = 1, .blocks = { 2, 2 }, .block_count = 2))                \
    LIE(block_beyond, begin(b),                                                                    \
        CHANGES(.sequence = 4, .segment = 1, .blocks = { 64 }, .block_count = 1))                  \
    LIE(block_without_bytes, begin(b),                                                             \
        CHANGES(.sequence = 4, .segment = 1, .blocks = { 1, 2 }, .block_count = 2,                 \
                .missing_bytes = 64))                                                              \
    LIE(block_with_few_bytes, begin(b),                                                            \
        CHANGES(.sequence = 4, .segment = 1, .blocks = { 1 }, .block_count = 1,                    \
                .missing_bytes = 1))                                                               \
    LIE(image_twice, begin(b), IMAGE(.sequence = 3, .segment = 1))                                 \
    LIE(image_behind_hole, begin(b), IMAGE(.sequence = 5, .segment = 1))                           \
    LIE(image_speaks_of_hole, begin(b), IMAGE(.first = 5, .sequence = 6, .segment = 1))            \
    LIE(image_speaks_again, begin(b), IMAGE(.first = 3, .sequence = 6, .segment = 1))              \
    LIE(image_goes_back, begin(b), IMAGE(.sequence = 2, .segment = 1))                             \
    LIE(image_of_earlier_segment, begin(b), IMAGE(.first = 4, .sequence = 4))                      \
    LIE(image_without_observation, begin(b), PIECE(.without_observation = true))                   \
    LIE(image_too_long, begin(b), PIECE(.len = 4097))                                              \
    LIE(image_too_short, begin(b), PIECE(.len = 4095))                                             \
    LIE(image_does_not_end, begin(b), PIECE(.more = true))                                         \
    LIE(pieces_with_hole, begin(b), PIECE(.len = 64, .more = true),                                \
        PIECE(.offset = 128, .len = 3968))                                                         \
    LIE(pieces_overlap, begin(b), PIECE(.len = 64, .more = true),                                  \
        PIECE(.offset = 63, .len = 4033))                                                          \
    LIE(pieces_begin_again, begin(b), PIECE(.len = 64, .more = true), PIECE(.more = false))        \
    LIE(pieces_of_two_images, begin(b), PIECE(.len = 64, .more = true),                            \
        IMAGE(.first = 4, .sequence = 10, .segment = 1, .offset = 64, .len = 4032))                \
    LIE(pieces_of_two_segments, begin(b), PIECE(.len = 64, .more = true),                          \
        IMAGE(.first = 4, .sequence = 9, .segment = 2, .offset = 64, .len = 4032))                 \
    LIE(changes_within_pieces, begin(b), PIECE(.len = 64, .more = true),                           \
        CHANGES(.sequence = 4, .segment = 1))                                                      \
    LIE(image_begins_in_the_middle, begin(b), PIECE(.offset = 64, .len = 4032))                    \
    LIE(decoded_within_bytes, say_begin(b, (struct say_begin){ .silence_ms = 1000 }),              \
        IMAGE(.sequence = 3), say_decoded(b, 4, 4, false, false))                                  \
    LIE(gap_with_hole, begin(b), say_gap(b, 1, 5, 6))                                              \
    LIE(gap_again, begin(b), say_gap(b, 1, 3, 6))                                                  \
    LIE(gap_of_nothing, begin(b), say_gap(b, 1, 4, 3))                                             \
    LIE(changes_behind_gap, begin(b), say_gap(b, 1, 4, 6), CHANGES(.sequence = 7, .segment = 1))   \
    LIE(checkpoint_behind_gap, begin(b), say_gap(b, 1, 4, 6), say_checkpoint(b, 6, "c"))           \
    LIE(image_older_than_gap, begin(b), say_gap(b, 1, 4, 6), IMAGE(.sequence = 5, .segment = 1))   \
    LIE(image_later_than_gap, begin(b), say_gap(b, 1, 4, 6), IMAGE(.sequence = 8, .segment = 1))   \
    LIE(checkpoint_ahead, begin(b), say_checkpoint(b, 4, "c"))                                     \
    LIE(checkpoint_behind, begin(b), say_checkpoint(b, 2, "c"))                                    \
    LIE(checkpoint_without_cursor, begin(b), say_checkpoint(b, 3, ""))                             \
    LIE(checkpoint_that_cannot_be_kept, begin(b), say_checkpoint(b, 3, "c\n"))                     \
    LIE(heartbeat_behind, begin(b), say_heartbeat(b, 2))                                           \
    LIE(end_behind, begin(b), say_end(b, XENRES_END_RENAMED, 2, ""))                               \
    LIE(end_with_no_cursor, begin(b), say_end(b, XENRES_END_RENAMED, 3, "c\xc3\xa4"))

#define FUNCTION(name, ...)                                                                        \
    static void name(struct buffer *b)                                                             \
    {                                                                                              \
        (void)(__VA_ARGS__);                                                                       \
    }
LIES(FUNCTION)

#define ROW(name, ...) { #name, name },
static const struct {
    const char *name;
    void (*tell)(struct buffer *b);
} lies[] = { LIES(ROW) };

enum { LIES_COUNT = sizeof(lies) / sizeof(lies[0]) };

static void run(struct script *s, const char *name)
{
    static struct watching w;

    watching_start(&w, s);
    watching_run(&w);
    if (w.result != -XENRES_INTERNAL || w.f.error.message[0] == '\0' ||
        strstr(buffer_string(&w.told.lines), "end ") != NULL ||
        strstr(buffer_string(&w.told.lines), "interrupted") != NULL) {
        fail_msg("%s: %d, %s; %s", name, w.result, w.f.error.message, buffer_string(&w.told.lines));
    }
    watching_stop(&w);
    assert_int_equal(w.f.server.next_step, 1);
    script_done(s);
}

static void each_lie_is_found_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIES_COUNT; i++) {
        struct script s = { .count = 0 };

        lies[i].tell(script_stream(&s));
        script_then(&s, TLS_SERVER_KEEP);
        run(&s, lies[i].name);
    }
}

/* A cursor's bound is exact. */
static void longest_cursor_is_kept(void **state)
{
    static char cursor[4097];

    (void)state;
    for (size_t len = 4095; len <= 4096; len++) {
        static struct watching w;
        struct script s = { .count = 0 };
        struct buffer *b = script_stream(&s);

        memset(cursor, 'c', len);
        begin(b);
        say_checkpoint(b, 3, cursor);
        say_end(b, XENRES_END_RENAMED, 3, "");
        script_then(&s, TLS_SERVER_KEEP);
        watching_start(&w, &s);
        watching_run(&w);
        assert_int_equal(w.result, len <= 4095 ? 0 : -XENRES_INTERNAL);
        watching_stop(&w);
        script_done(&s);
    }
}

static void nothing_follows_the_end(void **state)
{
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);
    Xenres__V1__WatchResponse m;
    Xenres__V1__WatchEnd end;

    (void)state;
    xenres__v1__watch_response__init(&m);
    xenres__v1__watch_end__init(&end);
    begin(b);
    m.content_case = XENRES__V1__WATCH_RESPONSE__CONTENT_END;
    m.end = &end;
    stream_message(b, &m.base);
    say_heartbeat(b, 3);
    script_then(&s, TLS_SERVER_KEEP);
    run(&s, "goes on behind its end");
}

/* --- after a cut --- */

static void lies_after(void (*tell)(struct buffer *b), const char *name)
{
    static struct watching w;
    struct script s = { .count = 0 };
    struct buffer *b = script_stream(&s);

    begin(b);
    say_checkpoint(b, 3, "c3");
    CHANGES(.sequence = 4, .segment = 1);
    script_then(&s, TLS_SERVER_CLOSE);
    tell(script_stream(&s));
    script_then(&s, TLS_SERVER_KEEP);
    watching_start(&w, &s);
    watching_run(&w);
    if (w.result != -XENRES_INTERNAL) {
        fail_msg("%s: %d, %s; %s", name, w.result, w.f.error.message, buffer_string(&w.told.lines));
    }
    watching_stop(&w);
    assert_int_equal(w.f.server.next_step, 2);
    script_done(&s);
}

#define RESUME(at, ...)                                                                            \
    say_begin(b, (struct say_begin){ .resumed = true, .sequence = (at), .segment = 1, __VA_ARGS__ })
#define ANEW() say_begin(b, (struct say_begin){ .silence_ms = 20000 })
#define LATER_LIES(LIE)                                                                            \
    LIE(resumed_elsewhere, RESUME(4, .silence_ms = 1000))                                          \
    LIE(resumed_in_another_feed, RESUME(3, .feed = FEED_B))                                        \
    LIE(resumed_with_hole, RESUME(3, .silence_ms = 1000), CHANGES(.sequence = 5, .segment = 1))    \
    LIE(resumed_with_image_at_once, RESUME(3, .silence_ms = 1000),                                 \
        IMAGE(.sequence = 3, .segment = 1))                                                        \
    LIE(feed_went_back, ANEW(), IMAGE(.sequence = 3, .segment = 1))                                \
    LIE(block_beyond_after_a_cut, RESUME(3, .silence_ms = 1000),                                   \
        CHANGES(.sequence = 4, .segment = 1, .blocks = { 64 }, .block_count = 1))

LATER_LIES(FUNCTION)

static void lies_after_a_cut_are_found_out(void **state)
{
    (void)state;
#define RUN(name, ...) lies_after(name, #name);
    LATER_LIES(RUN)
#undef RUN
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_lie_is_found_out),
        cmocka_unit_test(longest_cursor_is_kept),
        cmocka_unit_test(nothing_follows_the_end),
        cmocka_unit_test(lies_after_a_cut_are_found_out),
    };

    return UNIT_RUN(tests);
}
