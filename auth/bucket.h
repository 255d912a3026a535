/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A token bucket: so many units a second, and so many at once after a rest. Exact in whole numbers: what
 * a nanosecond brings is kept to the billionth of a unit, so that neither many short looks nor few long
 * ones give more, or less, than the rate. The time is the caller's, monotonic; one that seems to go back
 * (threads look before they have the lock) brings nothing.
 *
 * Units are taken where they are there, or charged where they are known afterwards only; then the bucket
 * may owe some, at most BUCKET_UNITS_MAX, and nothing is there until that is paid. One thread at a time.
 */
#ifndef XENRES_AUTH_BUCKET_H
#define XENRES_AUTH_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#define BUCKET_UNITS_MAX (UINT64_C(1) << 50) /* of a rate, a burst and a debt; more is as much */
#define BUCKET_NEVER     UINT64_MAX

struct bucket {
    uint64_t per_second; /* 0: no limit, and then nothing else counts */
    uint64_t burst;      /* at least 1 */
    int64_t units;       /* there; below 0: owed */
    uint32_t billionths; /* of the next one */
    uint64_t filled_ns;
};

/* Full. */
void bucket_init(struct bucket *b, uint64_t per_second, uint64_t burst, uint64_t now_ns);
/* Another rate from now on: what is there, or owed, stays, within the burst. */
void bucket_set_rate(struct bucket *b, uint64_t per_second, uint64_t burst, uint64_t now_ns);

/* All of them or none; a burst at most is ever there. */
bool bucket_take(struct bucket *b, uint64_t units, uint64_t now_ns);
/* Whatever is there. */
void bucket_charge(struct bucket *b, uint64_t units, uint64_t now_ns);
/* Gives back what was taken for nothing. */
void bucket_return(struct bucket *b, uint64_t units);
/* How long until so many are there, if nobody takes any: 0 now, BUCKET_NEVER for more than a burst. Not a
 * nanosecond less than that, nor more. */
uint64_t bucket_wait_ns(struct bucket *b, uint64_t units, uint64_t now_ns);
/* Nothing is to be remembered of it. */
bool bucket_is_full(struct bucket *b, uint64_t now_ns);

#endif
