/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Time. Everything that waits or stamps asks here, so that tests can move it: with
 * clock_set_source() a test supplies its own clock for the whole process, and clock_shift_wall()
 * moves the wall clock alone while it runs. Any thread.
 */
#ifndef XENRES_COMMON_CLOCK_H
#define XENRES_COMMON_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_PER_US UINT64_C(1000)
#define CLOCK_NS_PER_MS UINT64_C(1000000)
#define CLOCK_NS_PER_S  UINT64_C(1000000000)

/* CLOCK_MONOTONIC and CLOCK_REALTIME, in nanoseconds. */
uint64_t clock_monotonic_ns(void);
uint64_t clock_wall_ns(void);

/* Milliseconds from now until `deadline_ns` (monotonic), rounded up, at least 0, at most `cap_ms`:
 * what poll() takes. */
int clock_poll_timeout_ms(uint64_t deadline_ns, int cap_ms);

struct clock_source {
    uint64_t (*monotonic_ns)(void *arg);
    uint64_t (*wall_ns)(void *arg);
    void *arg;
};
/* NULL: the kernel's clocks again. Before other threads start. */
void clock_set_source(const struct clock_source *source);

/* From now on this process sees the wall clock so much later, or earlier, than it saw it: as when
 * somebody sets it. Shifts add up. At any time; it never is before 1970. */
void clock_shift_wall(int64_t by_ns);

#endif
