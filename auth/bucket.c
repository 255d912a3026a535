/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/bucket.h"

enum { BILLION = 1000000000 }; /* nanoseconds in a second, and parts of a unit */

typedef unsigned __int128 wide; /* billionths of units: a debt, a burst, an age at any rate */

static uint64_t at_most(uint64_t value)
{
    return value < BUCKET_UNITS_MAX ? value : BUCKET_UNITS_MAX;
}

static bool is_full(const struct bucket *b)
{
    return b->units >= (int64_t)b->burst;
}

static void keep_within_burst(struct bucket *b)
{
    if (is_full(b)) {
        b->units = (int64_t)b->burst;
        b->billionths = 0;
    }
}

void bucket_init(struct bucket *b, uint64_t per_second, uint64_t burst, uint64_t now_ns)
{
    *b = (struct bucket){ .per_second = at_most(per_second),
                          .burst = burst > 0 ? at_most(burst) : 1,
                          .filled_ns = now_ns };
    b->units = (int64_t)b->burst;
}

static void fill(struct bucket *b, uint64_t now_ns)
{
    if (now_ns <= b->filled_ns) {
        return;
    }
    wide brought = (wide)(now_ns - b->filled_ns) * b->per_second + b->billionths;
    wide units = brought / BILLION;
    uint64_t room = (uint64_t)((int64_t)b->burst - b->units);

    b->filled_ns = now_ns;
    b->billionths = (uint32_t)(brought % BILLION);
    b->units += (int64_t)(units < room ? (uint64_t)units : room);
    keep_within_burst(b);
}

void bucket_set_rate(struct bucket *b, uint64_t per_second, uint64_t burst, uint64_t now_ns)
{
    if (b->per_second == 0) {
        bucket_init(b, per_second, burst, now_ns);
        return;
    }
    fill(b, now_ns);
    b->per_second = at_most(per_second);
    b->burst = burst > 0 ? at_most(burst) : 1;
    keep_within_burst(b);
}

bool bucket_take(struct bucket *b, uint64_t units, uint64_t now_ns)
{
    if (b->per_second == 0) {
        return true;
    }
    fill(b, now_ns);
    if (b->units < 0 || units > (uint64_t)b->units) {
        return false;
    }
    b->units -= (int64_t)units;
    return true;
}

void bucket_charge(struct bucket *b, uint64_t units, uint64_t now_ns)
{
    if (b->per_second == 0) {
        return;
    }
    fill(b, now_ns);
    b->units -= (int64_t)at_most(units);
    if (b->units < -(int64_t)BUCKET_UNITS_MAX) {
        b->units = -(int64_t)BUCKET_UNITS_MAX;
    }
}

void bucket_return(struct bucket *b, uint64_t units)
{
    b->units += (int64_t)at_most(units);
    keep_within_burst(b);
}

uint64_t bucket_wait_ns(struct bucket *b, uint64_t units, uint64_t now_ns)
{
    if (b->per_second == 0) {
        return 0;
    }
    fill(b, now_ns);
    if (units > b->burst) {
        return BUCKET_NEVER;
    }
    if ((int64_t)units <= b->units) {
        return 0;
    }
    wide lacking = (wide)(uint64_t)((int64_t)units - b->units) * BILLION - b->billionths;
    wide wait_ns = (lacking + b->per_second - 1) / b->per_second;
    /* Where time seemed to go back, what it brings is counted from when it last did not. */
    wide behind_ns = b->filled_ns > now_ns ? b->filled_ns - now_ns : 0;

    return wait_ns + behind_ns < BUCKET_NEVER ? (uint64_t)(wait_ns + behind_ns) : BUCKET_NEVER - 1;
}

bool bucket_is_full(struct bucket *b, uint64_t now_ns)
{
    if (b->per_second == 0) {
        return true;
    }
    fill(b, now_ns);
    return is_full(b);
}
