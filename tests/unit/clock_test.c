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
        cmocka_unit_test_teardown(a_poll_waits_until_its_deadline_and_not_less, stop_faking),
    };

    return UNIT_RUN(tests);
}
