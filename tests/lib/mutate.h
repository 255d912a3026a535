/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Bytes changed at random, the same ones in each run: MUTATION_SEED=n begins with another seed.
 */
#ifndef XENRES_TESTS_MUTATE_H
#define XENRES_TESTS_MUTATE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MUTATE_CHANGES_MAX = 4, /* in one file */
    MUTATE_MAX_BYTES = 16384,
};

static uint64_t mutate_seed;

static inline void mutate_begin(void)
{
    const char *given = getenv("MUTATION_SEED");

    mutate_seed = given != NULL ? strtoull(given, NULL, 10) : 1;
    mutate_seed = mutate_seed != 0 ? mutate_seed : 1;
}

static inline uint32_t mutate_any(uint32_t below)
{
    mutate_seed ^= mutate_seed << 13;
    mutate_seed ^= mutate_seed >> 7;
    mutate_seed ^= mutate_seed << 17;
    return (uint32_t)(mutate_seed >> 32) % below;
}

/* One change: a byte, a bit, some bytes gone, moved, or doubled, or all behind a place gone. `bytes` has room
 * for MUTATE_MAX_BYTES. */
static inline size_t mutate_change(uint8_t *bytes, size_t len)
{
    size_t at = len > 0 ? mutate_any((uint32_t)len) : 0;
    size_t run = len > at ? 1 + mutate_any((uint32_t)(len - at < 40 ? len - at : 40)) : 0;

    if (len == 0 || len + 40 > MUTATE_MAX_BYTES) {
        return len;
    }
    switch (mutate_any(6)) {
    case 0: bytes[at] = (uint8_t)mutate_any(256); return len;
    case 1: bytes[at] ^= (uint8_t)(1U << mutate_any(8)); return len;
    case 2: memmove(bytes + at, bytes + at + run, len - at - run); return len - run;
    case 3: memmove(bytes + at + run, bytes + at, len - at); return len + run;
    case 4: memmove(bytes + mutate_any((uint32_t)(len - run + 1)), bytes + at, run); return len;
    default: return mutate_any(8) == 0 ? at : len;
    }
}

static inline size_t mutate(uint8_t *bytes, size_t len)
{
    for (uint32_t i = 1 + mutate_any(MUTATE_CHANGES_MAX); i > 0; i--) {
        len = mutate_change(bytes, len);
    }
    return len;
}

#endif
