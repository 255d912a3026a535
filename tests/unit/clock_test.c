/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/clock.h"

#include <limits.h>
#include <time.h>

#include "tests/lib/unit.h"

static uint64_t read_fake(void *arg)
{
    return *(uint64_t *)arg;
}

static int stop_faking(void **state)
{
    (void)state;
    clock_set_source(NULL);
    return 0;
}

static void kernel_clocks_are_the_kernels(void **state)
{
    uint64_t before = clock_monotonic_ns();
    struct timespec now;

    (void)state;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    uint64_t between = (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;

    assert_true(before <= between && between <= clock_monotonic_ns());
    assert_true(clock_wall_ns() / CLOCK_NS_PER_S >= (uint64_t)time(NULL) - 1);
}

static void a_test_can_move_time(void **state)
{
    uint64_t fake_ns = 5;
    struct clock_source source = { .monotonic_ns = read_fake, .arg = &fake_ns };

    (void)state;
    clock_set_source(&source);
    memset(&source, 0, sizeof(source)); /* was copied */
    assert_int_equal(clock_monotonic_ns(), 5);
    fake_ns = 6;
    assert_int_equal(clock_monotonic_ns(), 6);
    assert_true(clock_wall_ns() > CLOCK_NS_PER_S); /* the kernel's, as none was given */
}

static void the_wall_clock_can_be_set_and_the_other_stands(void **state)
{
    uint64_t wall_ns = 100 * CLOCK_NS_PER_S;
    struct clock_source source = { .wall_ns = read_fake, .arg = &wall_ns };

    (void)state;
    clock_set_source(&source);
    uint64_t monotonic_ns = clock_monotonic_ns();

    clock_shift_wall(7);
    clock_shift_wall(-10);
    assert_int_equal(clock_wall_ns(), wall_ns - 3);
    clock_shift_wall(-(int64_t)(200 * CLOCK_NS_PER_S));
    assert_int_equal(clock_wall_ns(), 0);
    assert_true(clock_monotonic_ns() - monotonic_ns < 50 * CLOCK_NS_PER_S);
    clock_shift_wall((int64_t)(200 * CLOCK_NS_PER_S) + 3);
    assert_int_equal(clock_wall_ns(), wall_ns);
}

static void a_poll_waits_until_its_deadline_and_not_less(void **state)
{
    uint64_t fake_ns = 10 * CLOCK_NS_PER_S;
    struct clock_source source = { .monotonic_ns = read_fake, .arg = &fake_ns };

    (void)state;
    clock_set_source(&source);
    assert_int_equal(clock_poll_timeout_ms(0, 100), 0);
    assert_int_equal(clock_poll_timeout_ms(fake_ns - 1, 100), 0);
    assert_int_equal(clock_poll_timeout_ms(fake_ns, 100), 0);
    assert_int_equal(clock_poll_timeout_ms(fake_ns + 1, 100), 1);
    assert_int_equal(clock_poll_timeout_ms(fake_ns + CLOCK_NS_PER_MS, 100), 1);
    assert_int_equal(clock_poll_timeout_ms(fake_ns + CLOCK_NS_PER_MS + 1, 100), 2);
    assert_int_equal(clock_poll_timeout_ms(fake_ns + 100 * CLOCK_NS_PER_MS, 100), 100);
    assert_int_equal(clock_poll_timeout_ms(fake_ns + 101 * CLOCK_NS_PER_MS, 100), 100);
    assert_int_equal(clock_poll_timeout_ms(UINT64_MAX, 0), 0);
    assert_int_equal(clock_poll_timeout_ms(UINT64_MAX, INT_MAX), INT_MAX);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_clocks_are_the_kernels),
        cmocka_unit_test_teardown(a_test_can_move_time, stop_faking),
        cmocka_unit_test_teardown(the_wall_clock_can_be_set_and_the_other_stands, stop_faking),
        cmocka_unit_test_teardown(a_poll_waits_until_its_deadline_and_not_less, stop_faking),
    };

    return UNIT_RUN(tests);
}
