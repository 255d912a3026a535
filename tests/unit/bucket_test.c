/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/bucket.h"

#include "common/clock.h"
#include "tests/lib/unit.h"

static void a_burst_is_there_and_not_one_more(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 10, 5, 0);
    for (int i = 0; i < 5; i++) {
        assert_true(bucket_take(&b, 1, 0));
    }
    assert_false(bucket_take(&b, 1, 0));
    assert_true(bucket_take(&b, 0, 0));
}

static void more_than_a_burst_is_never_there(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 10, 5, 0);
    assert_false(bucket_take(&b, 6, UINT64_MAX));
    assert_int_equal(bucket_wait_ns(&b, 6, UINT64_MAX), BUCKET_NEVER);
    assert_int_equal(bucket_wait_ns(&b, 5, UINT64_MAX), 0);
}

static void the_wait_is_exact_to_the_nanosecond(void **state)
{
    static const uint64_t rates[] = { 1, 3, 7, 999, 1000000007, UINT64_C(5000000000) };

    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct bucket b;
        uint64_t now_ns = 12345;

        bucket_init(&b, rates[i], 4, now_ns);
        assert_true(bucket_take(&b, 4, now_ns));
        for (int again = 0; again < 100; again++) {
            uint64_t wait_ns = bucket_wait_ns(&b, 4, now_ns);

            assert_true(wait_ns > 0);
            assert_false(bucket_take(&b, 4, now_ns + wait_ns - 1));
            now_ns += wait_ns;
            assert_int_equal(bucket_wait_ns(&b, 4, now_ns), 0);
            assert_true(bucket_take(&b, 4, now_ns));
        }
    }
}

/* A nanosecond at a time, a rate of which none brings a whole unit. */
static void many_short_looks_lose_nothing(void **state)
{
    struct bucket b;
    uint64_t taken = 0;

    (void)state;
    bucket_init(&b, 333333333, 2, 0); /* of one that is full the rest of a unit is none */
    assert_true(bucket_take(&b, 2, 0));
    for (uint64_t now_ns = 1; now_ns <= 3000000; now_ns++) {
        taken += bucket_take(&b, 1, now_ns) ? 1 : 0;
    }
    assert_int_equal(taken, 3000000 * UINT64_C(333333333) / CLOCK_NS_PER_S);
}

static void what_is_owed_is_paid_before_anything_is_there(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 1000, 10, 0);
    bucket_charge(&b, 2010, 0);
    assert_int_equal(bucket_wait_ns(&b, 0, 0), 2 * CLOCK_NS_PER_S);
    assert_int_equal(bucket_wait_ns(&b, 1, 0), 2 * CLOCK_NS_PER_S + CLOCK_NS_PER_MS);
    assert_false(bucket_take(&b, 0, 2 * CLOCK_NS_PER_S - 1));
    assert_true(bucket_take(&b, 0, 2 * CLOCK_NS_PER_S));
}

static void extremes_neither_overflow_nor_wrap(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, UINT64_MAX, UINT64_MAX, 0);
    for (int i = 0; i < 5; i++) {
        bucket_charge(&b, UINT64_MAX, 0);
    }
    assert_int_equal(b.units, -(int64_t)BUCKET_UNITS_MAX);
    assert_int_equal(bucket_wait_ns(&b, 0, 0), CLOCK_NS_PER_S);
    assert_true(bucket_is_full(&b, UINT64_MAX));
    bucket_init(&b, 1, UINT64_MAX, 0);
    bucket_charge(&b, UINT64_MAX, 0);
    bucket_charge(&b, UINT64_MAX, 0);
    assert_true(bucket_wait_ns(&b, BUCKET_UNITS_MAX, 0) < BUCKET_NEVER);
    assert_false(bucket_take(&b, 1, UINT64_MAX / 1000000));
}

static void time_that_goes_back_brings_nothing(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 10, 1, 1000);
    assert_true(bucket_take(&b, 1, CLOCK_NS_PER_S));
    assert_false(bucket_take(&b, 1, 5));
    assert_int_equal(bucket_wait_ns(&b, 1, CLOCK_NS_PER_S - 7), CLOCK_NS_PER_S / 10 + 7);
    assert_true(bucket_take(&b, 1, CLOCK_NS_PER_S + CLOCK_NS_PER_S / 10));
}

static void no_rate_is_no_limit(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 0, 0, 0);
    bucket_charge(&b, UINT64_MAX, 0);
    assert_true(bucket_take(&b, UINT64_MAX, 0));
    assert_int_equal(bucket_wait_ns(&b, UINT64_MAX, 0), 0);
    assert_true(bucket_is_full(&b, 0));
    bucket_set_rate(&b, 10, 3, 0);
    assert_true(bucket_take(&b, 3, 0));
    assert_false(bucket_take(&b, 1, 0));
}

static void another_rate_forgives_nothing_and_gives_nothing(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 10, 10, 0);
    bucket_charge(&b, 30, 0);
    bucket_set_rate(&b, 1, 100, 0);
    assert_int_equal(bucket_wait_ns(&b, 0, 0), 20 * CLOCK_NS_PER_S);
    bucket_set_rate(&b, 1, 4, 1000 * CLOCK_NS_PER_S);
    assert_false(bucket_take(&b, 5, 1000 * CLOCK_NS_PER_S));
    assert_true(bucket_take(&b, 4, 1000 * CLOCK_NS_PER_S));
}

/* --- against a model that adds what each nanosecond brings ------------------------------------------- */

static uint64_t random_state = 11;

static uint64_t pick(uint64_t count)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (random_state >> 33) % count;
}

struct model {
    uint64_t per_second, burst, now_ns;
    __int128 parts; /* billionths */
};

static void model_pass(struct model *m, uint64_t by_ns)
{
    const __int128 most = (__int128)m->burst * 1000000000;

    m->now_ns += by_ns;
    for (uint64_t i = 0; i < by_ns; i++) {
        m->parts = m->parts + m->per_second < most ? m->parts + m->per_second : most;
    }
}

static bool model_take(struct model *m, uint64_t units)
{
    if ((__int128)units * 1000000000 > m->parts) {
        return false;
    }
    m->parts -= (__int128)units * 1000000000;
    return true;
}

static uint64_t model_wait(struct model m, uint64_t units)
{
    uint64_t waited_ns = 0;

    for (; m.parts < (__int128)units * 1000000000; waited_ns++) {
        m.parts += m.per_second;
    }
    return waited_ns;
}

static void it_does_as_a_slow_model_does_in_200000_steps(void **state)
{
    (void)state;
    for (int run = 0; run < 200; run++) {
        struct model m = { .per_second = UINT64_C(20000000) + pick(UINT64_C(4000000000)),
                           .burst = 1 + pick(200) };
        struct bucket b;

        m.parts = (__int128)m.burst * 1000000000;
        bucket_init(&b, m.per_second, m.burst, 0);
        for (int step = 0; step < 1000; step++) {
            uint64_t units = pick(m.burst + 2);

            model_pass(&m, pick(3) == 0 ? pick(400) : pick(3));
            switch (pick(3)) {
            case 0:
                bucket_charge(&b, units, m.now_ns);
                m.parts -= (__int128)units * 1000000000;
                break;
            case 1:
                if (units <= m.burst) {
                    assert_int_equal(bucket_wait_ns(&b, units, m.now_ns), model_wait(m, units));
                }
                break;
            default:
                assert_int_equal(bucket_take(&b, units, m.now_ns), model_take(&m, units));
                break;
            }
            assert_true((__int128)b.units * 1000000000 + b.billionths == m.parts ||
                        b.filled_ns != m.now_ns);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_there_and_not_one_more),
        cmocka_unit_test(more_than_a_burst_is_never_there),
        cmocka_unit_test(the_wait_is_exact_to_the_nanosecond),
        cmocka_unit_test(many_short_looks_lose_nothing),
        cmocka_unit_test(what_is_owed_is_paid_before_anything_is_there),
        cmocka_unit_test(extremes_neither_overflow_nor_wrap),
        cmocka_unit_test(time_that_goes_back_brings_nothing),
        cmocka_unit_test(no_rate_is_no_limit),
        cmocka_unit_test(another_rate_forgives_nothing_and_gives_nothing),
        cmocka_unit_test(it_does_as_a_slow_model_does_in_200000_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
