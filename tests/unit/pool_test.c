/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The memory of one exchange: its maximum, and that what is made in it stays whole. */
#include "tests/lib/unit.h"

#include <stdalign.h>
#include <stdint.h>

#include "server/rpc/pool.h"

enum { FIRST_BYTES = 64, MAX_BYTES = 32768 };

static void memory_is_zeroed_and_aligned_and_does_not_overlap(void **state)
{
    alignas(max_align_t) unsigned char first[FIRST_BYTES];
    struct pool p;
    unsigned char *blocks[100];

    (void)state;
    memset(first, 0xff, sizeof(first));
    pool_init(&p, first, sizeof(first), MAX_BYTES);
    for (size_t i = 0; i < 100; i++) {
        blocks[i] = pool_alloc(&p, i + 1);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k <= i; k++) {
            assert_int_equal(blocks[i][k], 0);
        }
        memset(blocks[i], (int)i, i + 1);
    }
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(blocks[i][0], i);
        assert_int_equal(blocks[i][i], i);
    }
    assert_false(p.failed);
    pool_done(&p);
}

static void its_maximum_can_be_had_and_not_one_byte_more(void **state)
{
    struct pool p;

    (void)state;
    pool_init(&p, NULL, 0, MAX_BYTES);
    assert_non_null(pool_alloc(&p, MAX_BYTES));
    assert_false(p.failed);
    assert_null(pool_alloc(&p, 1));
    assert_true(p.failed);
    pool_done(&p);
    pool_init(&p, NULL, 0, MAX_BYTES);
    assert_null(pool_alloc(&p, MAX_BYTES + 1));
    assert_null(pool_alloc(&p, SIZE_MAX));
    assert_null(pool_array(&p, SIZE_MAX / 2, 3));
    assert_string_equal(pool_string(&p, "a"), ""); /* stays failed, and is never NULL */
    assert_string_equal(pool_printf(&p, "%d", 1), "");
    pool_done(&p);
}

static void texts_of_any_length_are_whole(void **state)
{
    alignas(max_align_t) unsigned char first[FIRST_BYTES];
    char text[5000], more[5000];
    struct pool p;

    (void)state;
    pool_init(&p, first, sizeof(first), 1 << 20);
    for (size_t len = 0; len < sizeof(text) && !p.failed; len = len * 2 + 1) {
        memset(text, 'x', len);
        text[len] = '\0';
        char *copy = pool_printf(&p, "%s", text);
        char *next = pool_printf(&p, "%s!", text);

        memcpy(more, text, len);
        memcpy(more + len, "!", 2);
        assert_string_equal(copy, text);
        assert_string_equal(next, more);
        assert_string_equal(pool_string(&p, text), text);
    }
    assert_false(p.failed);
    pool_done(&p);
}

static void numbers_are_decimal(void **state)
{
    alignas(max_align_t) unsigned char first[FIRST_BYTES];
    struct pool p;

    (void)state;
    pool_init(&p, first, sizeof(first), MAX_BYTES);
    assert_string_equal(pool_number(&p, 0), "0");
    assert_string_equal(pool_number(&p, 1090), "1090");
    assert_string_equal(pool_number(&p, UINT64_MAX), "18446744073709551615");
    pool_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned_and_does_not_overlap),
        cmocka_unit_test(its_maximum_can_be_had_and_not_one_byte_more),
        cmocka_unit_test(texts_of_any_length_are_whole),
        cmocka_unit_test(numbers_are_decimal),
    };

    return UNIT_RUN(tests);
}
