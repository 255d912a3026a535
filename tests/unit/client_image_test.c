/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres_image: pieces and changes put together, each whole or not at all. */
#include "tests/lib/unit.h"

#include "client/include/xenres.h"

enum { FRAME = 256 };

static int piece(xenres_image *image, uint64_t sequence, uint32_t frames, uint64_t offset,
                 const void *bytes, size_t len, bool complete)
{
    const xenres_observation observation = { .frame_count = frames, .frame_bytes = FRAME };
    const xenres_watch_image p = { .sequence = sequence,
                                   .observation = offset == 0 ? &observation : NULL,
                                   .offset_bytes = offset,
                                   .bytes = bytes,
                                   .len_bytes = len,
                                   .complete = complete };

    return xenres_image_apply_piece(image, &p, NULL);
}

static xenres_image *one_frame(uint8_t byte, size_t max_bytes)
{
    xenres_image *image;
    uint8_t bytes[FRAME];

    memset(bytes, byte, sizeof(bytes));
    assert_int_equal(xenres_image_new(max_bytes, &image, NULL), 0);
    assert_int_equal(piece(image, 3, 1, 0, bytes, FRAME, true), 0);
    return image;
}

static int change(xenres_image *image, uint64_t sequence, uint32_t block, uint8_t byte, bool more)
{
    uint8_t content[64];
    const xenres_watch_changes c = { .first_sequence = sequence,
                                     .sequence = sequence,
                                     .blocks = &block,
                                     .block_count = 1,
                                     .content = content,
                                     .more = more };

    memset(content, byte, sizeof(content));
    return xenres_image_apply_changes(image, &c, NULL);
}

/* A byte of each block, and the number. */
static void expect(const xenres_image *image, uint64_t sequence, const char *blocks)
{
    size_t len;
    uint64_t of;
    const char *bytes = xenres_image_bytes(image, &len, &of);

    assert_non_null(bytes);
    assert_int_equal(of, sequence);
    assert_int_equal(len, strlen(blocks) * 64);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(bytes[i], blocks[i / 64]);
    }
}

static void there_is_nothing_before_the_last_piece(void **state)
{
    xenres_image *image;
    size_t len = 1;
    uint64_t sequence = 1;
    uint8_t bytes[FRAME];

    (void)state;
    memset(bytes, 'a', sizeof(bytes));
    assert_int_equal(xenres_image_new(0, &image, NULL), 0);
    assert_null(xenres_image_bytes(image, &len, &sequence));
    assert_int_equal(piece(image, 3, 1, 0, bytes, 100, false), 0);
    assert_null(xenres_image_bytes(image, &len, &sequence));
    assert_int_equal(len + sequence, 0);
    assert_int_equal(piece(image, 3, 1, 100, bytes, 156, true), 0);
    expect(image, 3, "aaaa");
    assert_non_null(xenres_image_bytes(image, NULL, NULL));
    xenres_image_free(image);
    xenres_image_free(NULL);
}

static void changes_come_with_the_last_part(void **state)
{
    xenres_image *image = one_frame('a', 0);

    (void)state;
    assert_int_equal(change(image, 4, 1, 'b', false), 0);
    expect(image, 4, "abaa");
    assert_int_equal(change(image, 5, 0, 'c', true), 0);
    expect(image, 4, "abaa");
    assert_int_equal(change(image, 5, 3, 'd', false), 0);
    expect(image, 5, "cbad");
    xenres_image_free(image);
}

static void unfinished_parts_are_dropped(void **state)
{
    xenres_image *image = one_frame('a', 0);

    (void)state;
    /* The same batch again, from its beginning. */
    assert_int_equal(change(image, 4, 1, 'x', true), 0);
    assert_int_equal(change(image, 4, 1, 'b', true), 0);
    assert_int_equal(change(image, 4, 2, 'b', false), 0);
    expect(image, 4, "abba");
    /* Another batch. */
    assert_int_equal(change(image, 5, 0, 'x', true), 0);
    assert_int_equal(change(image, 6, 3, 'c', false), 0);
    expect(image, 6, "abbc");
    /* A new image. */
    uint8_t bytes[2 * FRAME];

    memset(bytes, 'd', sizeof(bytes));
    assert_int_equal(change(image, 7, 0, 'x', true), 0);
    assert_int_equal(piece(image, 9, 2, 0, bytes, FRAME, false), 0);
    expect(image, 6, "abbc");
    assert_int_equal(piece(image, 9, 2, 0, bytes, 2 * FRAME, true), 0);
    expect(image, 9, "dddddddd");
    xenres_image_free(image);
}

static void batch_without_a_block_is_one(void **state)
{
    xenres_image *image = one_frame('a', 0);
    const xenres_watch_changes none = { .first_sequence = 4, .sequence = 7, .content = "" };

    (void)state;
    assert_int_equal(xenres_image_apply_changes(image, &none, NULL), 0);
    expect(image, 7, "aaaa");
    xenres_image_free(image);
}

static void what_does_not_fit_changes_nothing(void **state)
{
    xenres_image *image = one_frame('a', 0);
    uint8_t bytes[FRAME + 1];
    const uint32_t falling[] = { 2, 1 };
    xenres_watch_changes c = {
        .first_sequence = 4, .sequence = 4, .blocks = falling, .block_count = 2, .content = bytes
    };

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    assert_int_equal(xenres_image_apply_changes(image, &c, NULL), -XENRES_INVALID_ARGUMENT);
    c.block_count = 1;
    c.segment = 1;
    assert_int_equal(xenres_image_apply_changes(image, &c, NULL), -XENRES_INVALID_ARGUMENT);
    assert_int_equal(change(image, 4, 4, 'x', false), -XENRES_INVALID_ARGUMENT);
    assert_int_equal(piece(image, 4, 1, 64, bytes, 64, false), -XENRES_INVALID_ARGUMENT);
    assert_int_equal(piece(image, 4, 1, 0, bytes, FRAME + 1, true), -XENRES_INVALID_ARGUMENT);
    assert_int_equal(piece(image, 4, 1, 0, bytes, FRAME - 1, true), -XENRES_INVALID_ARGUMENT);
    assert_int_equal(piece(image, 4, 1, 0, bytes, FRAME, false), -XENRES_INVALID_ARGUMENT);
    assert_int_equal(piece(image, 4, 1, 0, bytes, 64, false), 0);
    assert_int_equal(piece(image, 5, 1, 64, bytes, 192, true), -XENRES_INVALID_ARGUMENT);
    assert_int_equal(piece(image, 4, 1, 64, bytes, 192, true), -XENRES_INVALID_ARGUMENT);
    expect(image, 3, "aaaa");
    xenres_image_free(image);
}

static void changes_need_an_image(void **state)
{
    xenres_image *image;

    (void)state;
    assert_int_equal(xenres_image_new(0, &image, NULL), 0);
    assert_int_equal(change(image, 4, 0, 'x', false), -XENRES_INVALID_ARGUMENT);
    xenres_image_free(image);
}

static void largest_image_is_taken_and_none_larger(void **state)
{
    xenres_image *image = one_frame('a', FRAME);
    uint8_t bytes[2 * FRAME] = { 0 };
    xenres_error error;
    const xenres_observation observation = { .frame_count = 2, .frame_bytes = FRAME };
    const xenres_watch_image two = {
        .observation = &observation, .bytes = bytes, .len_bytes = sizeof(bytes), .complete = true
    };

    (void)state;
    expect(image, 3, "aaaa");
    assert_int_equal(xenres_image_apply_piece(image, &two, &error), -XENRES_RESOURCE_EXHAUSTED);
    assert_int_equal(error.code, XENRES_RESOURCE_EXHAUSTED);
    /* All of its blocks, in parts. */
    for (uint32_t block = 0; block < 4; block++) {
        assert_int_equal(change(image, 4, block, 'b', block < 3), 0);
    }
    expect(image, 4, "bbbb");
    xenres_image_free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_nothing_before_the_last_piece),
        cmocka_unit_test(changes_come_with_the_last_part),
        cmocka_unit_test(unfinished_parts_are_dropped),
        cmocka_unit_test(batch_without_a_block_is_one),
        cmocka_unit_test(what_does_not_fit_changes_nothing),
        cmocka_unit_test(changes_need_an_image),
        cmocka_unit_test(largest_image_is_taken_and_none_larger),
    };

    return UNIT_RUN(tests);
}
