/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/clock.h"

#include <assert.h>
#include <stddef.h>
#include <time.h>

/* Written before threads start, read by all. */
static struct clock_source source;

static int64_t wall_shift_ns; /* atomic */

static uint64_t kernel_ns(clockid_t id)
{
    struct timespec now;
    int result = clock_gettime(id, &now);

    assert(result == 0 && now.tv_sec >= 0); /* both clocks are always there */
    return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return source.monotonic_ns != NULL ? source.monotonic_ns(source.arg)
                                       : kernel_ns(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ns(void)
{
    uint64_t now_ns =
        source.wall_ns != NULL ? source.wall_ns(source.arg) : kernel_ns(CLOCK_REALTIME);
    int64_t shift_ns = __atomic_load_n(&wall_shift_ns, __ATOMIC_RELAXED);

    if (shift_ns >= 0) {
        return now_ns + (uint64_t)shift_ns;
    }
    uint64_t back_ns = -(uint64_t)shift_ns;

    return back_ns < now_ns ? now_ns - back_ns : 0;
}

void clock_shift_wall(int64_t by_ns)
{
    (void)__atomic_fetch_add(&wall_shift_ns, by_ns, __ATOMIC_RELAXED);
}

int clock_poll_timeout_ms(uint64_t deadline_ns, int cap_ms)
{
    assert(cap_ms >= 0);
    uint64_t now_ns = clock_monotonic_ns();

    if (deadline_ns <= now_ns) {
        return 0;
    }
    uint64_t left_ns = deadline_ns - now_ns;
    /* Up, or a caller whose deadline is less than 1 ms away would spin until it is there. */
    uint64_t left_ms = left_ns / CLOCK_NS_PER_MS + (left_ns % CLOCK_NS_PER_MS != 0);

    return left_ms < (uint64_t)cap_ms ? (int)left_ms : cap_ms;
}

void clock_set_source(const struct clock_source *new_source)
{
    source = new_source != NULL ? *new_source : (struct clock_source){ .arg = NULL };
}
