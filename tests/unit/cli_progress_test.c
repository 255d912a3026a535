/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* When the progress line appears, on a clock that the test moves. */
#include "tests/lib/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "client/cli/progress.h"
#include "common/clock.h"

static uint64_t now_ns = 1000;

static uint64_t fake_monotonic_ns(void *arg)
{
    (void)arg;
    return now_ns;
}

static const struct clock_source fake = { .monotonic_ns = fake_monotonic_ns,
                                          .wall_ns = fake_monotonic_ns };

static void advance_ms(uint64_t ms)
{
    now_ns += ms * CLOCK_NS_PER_MS;
}

static void short_work_shows_nothing(void **state)
{
    struct progress p;

    (void)state;
    progress_begin(&p);
    p.wanted = true;
    advance_ms(499);
    progress_update(&p, 1, 2);
    assert_false(p.shown);
    progress_end(&p);
}

/* What is shown goes to nobody: it would be read as a result of the tests. */
static int silence_stderr(void)
{
    int kept = dup(STDERR_FILENO);
    int nowhere = open("/dev/null", O_WRONLY);

    assert_true(kept >= 0 && nowhere >= 0);
    dup2(nowhere, STDERR_FILENO);
    close(nowhere);
    return kept;
}

static void restore_stderr(int kept)
{
    dup2(kept, STDERR_FILENO);
    close(kept);
}

static void long_work_is_shown_ten_times_a_second(void **state)
{
    struct progress p;
    int kept = silence_stderr();

    (void)state;
    progress_begin(&p);
    p.wanted = true;
    advance_ms(500);
    progress_update(&p, 1, 2);
    assert_true(p.shown);
    uint64_t last_ns = p.last_ns;

    advance_ms(99);
    progress_update(&p, 1, 2);
    assert_int_equal(p.last_ns, last_ns);
    advance_ms(1);
    progress_update(&p, 2, 2);
    assert_int_equal(p.last_ns, last_ns + 100 * CLOCK_NS_PER_MS);
    progress_end(&p);
    assert_false(p.shown);
    restore_stderr(kept);
}

static void nothing_is_shown_where_nobody_looks(void **state)
{
    struct progress p;

    (void)state;
    progress_begin(&p);
    assert_int_equal(p.wanted, isatty(STDERR_FILENO) == 1);
    p.wanted = false;
    advance_ms(10000);
    progress_update(&p, 1, 2);
    assert_false(p.shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_work_shows_nothing),
        cmocka_unit_test(long_work_is_shown_ten_times_a_second),
        cmocka_unit_test(nothing_is_shown_where_nobody_looks),
    };

    clock_set_source(&fake);
    return UNIT_RUN(tests);
}
