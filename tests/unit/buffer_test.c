/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/buffer.h"

#include <stdlib.h>

#include "tests/lib/unit.h"

enum { MAX_BYTES = 1000 };

static void what_is_appended_is_there_in_order(void **state)
{
    BUFFER_AUTO(b, MAX_BYTES);

    (void)state;
    assert_true(buffer_append(&b, "ab", 2));
    assert_true(buffer_append_string(&b, "cd"));
    assert_true(buffer_append_byte(&b, 'e'));
    assert_true(buffer_printf(&b, "%d-%s", 42, "x"));
    assert_string_equal(buffer_string(&b), "abcde42-x");
    assert_int_equal(b.len_bytes, 9);
}

static void an_empty_one_is_an_empty_string(void **state)
{
    BUFFER_AUTO(b, 0);

    (void)state;
    assert_string_equal(buffer_string(&b), "");
    assert_true(buffer_append(&b, NULL, 0));
    assert_true(buffer_printf(&b, "%s", ""));
    assert_string_equal(buffer_string(&b), "");
    assert_false(buffer_append_byte(&b, 'x'));
}

static void the_maximum_fits_and_one_byte_more_fails(void **state)
{
    (void)state;
    for (size_t first = 0; first <= MAX_BYTES; first += 250) {
        BUFFER_AUTO(b, MAX_BYTES);

        assert_non_null(buffer_extend(&b, first));
        assert_non_null(buffer_extend(&b, MAX_BYTES - first));
        assert_false(b.failed);
        assert_non_null(buffer_string(&b)); /* the NUL has a place of its own */
        assert_false(buffer_append_byte(&b, 0));
        assert_true(b.failed);
    }
}

static void after_a_failure_everything_fails(void **state)
{
    BUFFER_AUTO(b, 4);
    size_t len = 0;

    (void)state;
    assert_true(buffer_append_string(&b, "ab"));
    assert_false(buffer_append_string(&b, "cde"));
    assert_false(buffer_append_byte(&b, 'c'));
    assert_false(buffer_append(&b, "", 0));
    assert_false(buffer_printf(&b, "c"));
    assert_null(buffer_extend(&b, 1));
    assert_null(buffer_string(&b));
    assert_null(buffer_take(&b, &len));
    assert_int_equal(b.len_bytes, 2);
}

static void a_reset_forgets_failure_and_content_but_not_the_maximum(void **state)
{
    BUFFER_AUTO(b, 4);

    (void)state;
    assert_false(buffer_append_string(&b, "abcde"));
    buffer_reset(&b);
    assert_true(buffer_append_string(&b, "abcd"));
    assert_string_equal(buffer_string(&b), "abcd");
    assert_false(buffer_append_byte(&b, 'e'));
}

static void a_format_may_fill_exactly_to_the_maximum(void **state)
{
    char text[MAX_BYTES + 2];

    (void)state;
    memset(text, 'x', sizeof(text));
    /* Around the first capacity, its doubling and the maximum. */
    static const size_t lens[] = { 1, 254, 255, 256, 257, 511, 512, 999, 1000 };

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        BUFFER_AUTO(b, MAX_BYTES);

        assert_true(buffer_printf(&b, "%.*s", (int)lens[i], text));
        assert_int_equal(b.len_bytes, lens[i]);
        assert_int_equal(strlen(buffer_string(&b)), lens[i]);
    }
    BUFFER_AUTO(b, MAX_BYTES);

    assert_false(buffer_printf(&b, "%.*s", MAX_BYTES + 1, text));
    assert_true(b.failed);
}

static void a_huge_length_fails_without_wrapping(void **state)
{
    BUFFER_AUTO(b, MAX_BYTES);

    (void)state;
    assert_true(buffer_append_byte(&b, 1));
    assert_null(buffer_extend(&b, SIZE_MAX));
    buffer_reset(&b);
    assert_null(buffer_extend(&b, SIZE_MAX - 1));
}

static void taking_moves_the_content_out(void **state)
{
    BUFFER_AUTO(b, MAX_BYTES);
    size_t len = 77;

    (void)state;
    assert_null(buffer_take(&b, &len));
    assert_int_equal(len, 77);
    assert_true(buffer_append_string(&b, "content"));
    uint8_t *taken = buffer_take(&b, &len);

    assert_int_equal(len, 7);
    assert_memory_equal(taken, "content", 7);
    free(taken);
    assert_null(b.data);
    assert_true(buffer_append_string(&b, "again"));
    assert_string_equal(buffer_string(&b), "again");
}

static void memory_stays_within_twice_the_content_and_the_maximum(void **state)
{
    BUFFER_AUTO(b, 100000);

    (void)state;
    for (int i = 0; i < 100000; i++) {
        assert_true(buffer_append_byte(&b, (uint8_t)i));
        assert_true(b.capacity_bytes <= b.max_bytes + 1);
        assert_true(b.capacity_bytes <= 2 * b.len_bytes + 512);
    }
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(b.data[i], (uint8_t)i);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_is_there_in_order),
        cmocka_unit_test(an_empty_one_is_an_empty_string),
        cmocka_unit_test(the_maximum_fits_and_one_byte_more_fails),
        cmocka_unit_test(after_a_failure_everything_fails),
        cmocka_unit_test(a_reset_forgets_failure_and_content_but_not_the_maximum),
        cmocka_unit_test(a_format_may_fill_exactly_to_the_maximum),
        cmocka_unit_test(a_huge_length_fails_without_wrapping),
        cmocka_unit_test(taking_moves_the_content_out),
        cmocka_unit_test(memory_stays_within_twice_the_content_and_the_maximum),
    };

    return UNIT_RUN(tests);
}
