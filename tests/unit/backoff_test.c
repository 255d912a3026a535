/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Waits between tries: doubled, bounded, with jitter over the upper half. */
#include "tests/lib/unit.h"

#include "server/resource/backoff.h"

static void waits_double_up_to_the_bound_and_begin_again(void **state)
{
    static const uint32_t whole[] = { 20, 40, 80, 100, 100, 100 };
    struct backoff b;

    (void)state;
    backoff_init(&b, 20, 100);
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
            assert_in_range(backoff_next_ms(&b), whole[i] / 2, whole[i]);
        }
        backoff_reset(&b);
    }
}

static void bounds_that_are_equal_or_huge_hold(void **state)
{
    struct backoff b;

    (void)state;
    backoff_init(&b, 1, 1);
    assert_int_equal(backoff_next_ms(&b), 1);
    assert_int_equal(backoff_next_ms(&b), 1);
    backoff_init(&b, UINT32_MAX / 2 + 1, UINT32_MAX);
    (void)backoff_next_ms(&b);
    assert_in_range(backoff_next_ms(&b), UINT32_MAX / 2, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_up_to_the_bound_and_begin_again),
        cmocka_unit_test(bounds_that_are_equal_or_huge_hold),
    };

    return UNIT_RUN(tests);
}
