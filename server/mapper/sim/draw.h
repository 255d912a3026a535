/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Numbers of the simulation's own (splitmix64): the same from the same seed, everywhere. What moves
 * by itself has a state of its own, so that it never depends on when something else moved. */
#ifndef XENRES_SIM_DRAW_H
#define XENRES_SIM_DRAW_H

#include <stdint.h>

static inline uint64_t draw_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

#endif
