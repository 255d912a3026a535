/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include <stdlib.h>
#include <string.h>

#include "server/resource/feed_piece.h"
#include "server/resource/merge.h"

/* A block of one value. */
static int add(struct merge *m, uint32_t block, uint8_t value)
{
    uint8_t contents[FEED_BLOCK_BYTES];

    memset(contents, value, sizeof(contents));
    return merge_add(m, &block, contents, 1, NULL);
}

static void each_block_is_there_once_as_it_was_last(void **state)
{
    struct merge m = { 0 };

    (void)state;
    assert_int_equal(add(&m, 9, 1), 0);
    assert_int_equal(add(&m, 2, 2), 0);
    assert_int_equal(add(&m, 9, 3), 0);
    assert_int_equal(add(&m, 5, 4), 0);
    assert_int_equal(add(&m, 2, 5), 0);
    merge_complete(&m);
    struct merged *out = merge_finish(&m);

    assert_non_null(out);
    assert_int_equal(out->block_count, 3);
    assert_memory_equal(out->blocks, ((uint32_t[]){ 2, 5, 9 }), 12);
    for (int i = 0; i < FEED_BLOCK_BYTES; i++) {
        assert_int_equal(out->contents[i], 5);
        assert_int_equal(out->contents[FEED_BLOCK_BYTES + i], 4);
        assert_int_equal(out->contents[2 * FEED_BLOCK_BYTES + i], 3);
    }
    free(out);
    merge_done(&m);
}

static void what_is_not_complete_is_left_out(void **state)
{
    struct merge m = { 0 };

    (void)state;
    assert_int_equal(add(&m, 1, 1), 0);
    merge_complete(&m);
    assert_int_equal(add(&m, 1, 2), 0);
    assert_int_equal(add(&m, 3, 2), 0);
    struct merged *out = merge_finish(&m);

    assert_non_null(out);
    assert_int_equal(out->block_count, 1);
    assert_int_equal(out->contents[0], 1);
    free(out);
    merge_reset(&m);
    assert_int_equal(add(&m, 4, 7), 0);
    merge_complete(&m);
    out = merge_finish(&m);
    assert_non_null(out);
    assert_int_equal(out->block_count, 1);
    assert_int_equal(out->blocks[0], 4);
    free(out);
    merge_done(&m);
}

static void so_many_blocks_are_gathered_and_no_more(void **state)
{
    enum { AT_ONCE = 1 << 16 };
    uint32_t *blocks = malloc(AT_ONCE * sizeof(*blocks));
    uint8_t *contents = calloc(AT_ONCE, FEED_BLOCK_BYTES);
    struct merge m = { 0 };
    struct failure f = { 0 };

    (void)state;
    assert_true(blocks != NULL && contents != NULL);
    for (uint32_t at = 0; at < MERGE_BLOCKS_MAX; at += AT_ONCE) {
        for (uint32_t i = 0; i < AT_ONCE; i++) {
            blocks[i] = at + i;
        }
        assert_int_equal(merge_add(&m, blocks, contents, AT_ONCE, &f), 0);
    }
    merge_complete(&m);
    assert_int_equal(merge_add(&m, blocks, contents, 1, &f), -ERROR_RESOURCE_EXHAUSTED);
    struct merged *out = merge_finish(&m);

    assert_non_null(out);
    assert_int_equal(out->block_count, MERGE_BLOCKS_MAX);
    assert_int_equal(out->blocks[MERGE_BLOCKS_MAX - 1], MERGE_BLOCKS_MAX - 1);
    free(out);
    assert_true(m.room > MERGE_KEPT_BLOCKS);
    merge_reset(&m); /* so much is not kept for the next time */
    assert_int_equal(m.room, 0);
    assert_int_equal(merge_add(&m, blocks, contents, MERGE_KEPT_BLOCKS, &f), 0);
    merge_reset(&m);
    assert_int_equal(m.room, MERGE_KEPT_BLOCKS);
    merge_done(&m);
    free(blocks);
    free(contents);
}

static void so_much_scratch_memory_is_kept_and_no_more(void **state)
{
    struct scratches s;
    struct scratch *taken[FEED_SCRATCHES_KEPT + 1];

    (void)state;
    scratches_init(&s);
    for (unsigned i = 0; i <= FEED_SCRATCHES_KEPT; i++) {
        taken[i] = scratches_take(&s, 64);
        assert_non_null(taken[i]);
    }
    for (unsigned i = 0; i <= FEED_SCRATCHES_KEPT; i++) {
        scratches_give(&s, taken[i]);
        assert_int_equal(s.count, i < FEED_SCRATCHES_KEPT ? i + 1 : FEED_SCRATCHES_KEPT);
    }
    struct scratch *x = scratches_take(&s, 1 << 20); /* has the room that is asked for */

    assert_non_null(x);
    assert_int_equal(x->room_bytes, 1 << 20);
    assert_int_equal(s.count, FEED_SCRATCHES_KEPT - 1);
    scratches_give(&s, x);
    scratches_give(&s, NULL);
    scratches_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_block_is_there_once_as_it_was_last),
        cmocka_unit_test(what_is_not_complete_is_left_out),
        cmocka_unit_test(so_many_blocks_are_gathered_and_no_more),
        cmocka_unit_test(so_much_scratch_memory_is_kept_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
