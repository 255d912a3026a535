/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/diff.h"

#include <stdlib.h>

#include "tests/lib/unit.h"

enum { FRAMES = 4, IMAGE_BYTES = FRAMES * MESSAGE_FRAME_BYTES, ROUNDS = 3000 };
enum { BLOCKS = IMAGE_BYTES / FEED_BLOCK_BYTES };

static _Alignas(64) uint8_t image[IMAGE_BYTES], fresh[IMAGE_BYTES];

/* Byte by byte. */
static bool differs(uint32_t block)
{
    for (uint32_t i = 0; i < FEED_BLOCK_BYTES; i++) {
        if (image[block * FEED_BLOCK_BYTES + i] != fresh[block * FEED_BLOCK_BYTES + i]) {
            return true;
        }
    }
    return false;
}

static void fill(void)
{
    for (size_t i = 0; i < IMAGE_BYTES; i++) {
        image[i] = (uint8_t)random();
    }
    memcpy(fresh, image, IMAGE_BYTES);
}

/* A few bytes here and there, single bits and whole pages. */
static void mutate(void)
{
    for (long i = random() % 40; i > 0; i--) {
        fresh[random() % IMAGE_BYTES] ^= (uint8_t)(1U << random() % 8);
    }
    if (random() % 10 == 0) {
        memset(fresh + random() % FRAMES * MESSAGE_FRAME_BYTES, (int)random(), MESSAGE_FRAME_BYTES);
    }
}

static void gather(struct diff *d, uint32_t most)
{
    diff_reset(d, most);
    for (uint32_t frame = 0; frame < FRAMES; frame++) {
        size_t at = (size_t)frame * MESSAGE_FRAME_BYTES;

        diff_gather(d, frame * FEED_BLOCKS_A_FRAME, image + at, fresh + at, MESSAGE_FRAME_BYTES);
    }
}

static void what_differs_is_found_and_nothing_else(void **state)
{
    struct diff d;

    (void)state;
    srandom(6);
    assert_true(diff_init(&d, BLOCKS));
    for (int round = 0; round < ROUNDS; round++) {
        if (round % 100 == 0) {
            fill();
        }
        mutate();
        gather(&d, BLOCKS);
        uint32_t found = 0;

        for (uint32_t block = 0; block < BLOCKS; block++) {
            if (!differs(block)) {
                continue;
            }
            assert_true(found < d.count);
            assert_int_equal(d.blocks[found], block);
            assert_memory_equal(d.contents + found * FEED_BLOCK_BYTES,
                                fresh + block * FEED_BLOCK_BYTES, FEED_BLOCK_BYTES);
            found++;
        }
        assert_int_equal(found, d.count);
        assert_false(d.is_full);
        diff_apply(&d, image);
        assert_memory_equal(image, fresh, IMAGE_BYTES);
    }
    diff_done(&d);
}

static void every_bit_of_a_page_counts(void **state)
{
    (void)state;
    fill();
    for (uint32_t bit = 0; bit < MESSAGE_FRAME_BYTES * 8; bit++) {
        fresh[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(diff_blocks(image, fresh, MESSAGE_FRAME_BYTES),
                         UINT64_C(1) << bit / 8 / FEED_BLOCK_BYTES);
        fresh[bit / 8] = image[bit / 8];
    }
    assert_int_equal(diff_blocks(image, fresh, MESSAGE_FRAME_BYTES), 0);
}

static void a_part_of_a_page_is_looked_at_alone(void **state)
{
    (void)state;
    fill();
    memset(fresh, 0, MESSAGE_FRAME_BYTES);
    memset(image, 1, MESSAGE_FRAME_BYTES);
    assert_int_equal(diff_blocks(image, fresh, 0), 0);
    assert_int_equal(diff_blocks(image, fresh, 3 * FEED_BLOCK_BYTES), 7);
    assert_int_equal(diff_blocks(image, fresh, MESSAGE_FRAME_BYTES), UINT64_MAX);
}

static void as_many_as_there_is_room_for_and_one_more(void **state)
{
    struct diff d;

    (void)state;
    fill();
    assert_true(diff_init(&d, 10));
    for (uint32_t i = 0; i < 11; i++) {
        fresh[i * 17 * FEED_BLOCK_BYTES % IMAGE_BYTES] ^= 1;
        gather(&d, 10);
        assert_int_equal(d.is_full, i == 10);
        assert_int_equal(d.count, i == 10 ? 10 : i + 1);
    }
    gather(&d, 11); /* more than there is memory for is not asked for */
    assert_true(d.is_full);
    gather(&d, 3);
    assert_true(d.is_full);
    assert_int_equal(d.count, 3);
    diff_reset(&d, 10);
    assert_false(d.is_full);
    diff_done(&d);
    diff_done(&d);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_differs_is_found_and_nothing_else),
        cmocka_unit_test(every_bit_of_a_page_counts),
        cmocka_unit_test(a_part_of_a_page_is_looked_at_alone),
        cmocka_unit_test(as_many_as_there_is_room_for_and_one_more),
    };

    return UNIT_RUN(tests);
}
