/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A writer of a small ring, that moves between any two steps of who reads it. Included by one test. */
#ifndef XENRES_TESTS_LAP_WRITER_H
#define XENRES_TESTS_LAP_WRITER_H

#include <string.h>

#include "server/mapper/lap.h"
#include "tests/lib/unit.h"

enum {
    SIZE = 64, /* of which 8 are evidence, and as many at its end */
    CHUNK = 16,
    END = 8,
    VALUES = 251, /* above them: what was there before */
    WRITTEN_MAX = 2000,
    STEPS_MAX = 40,
};

static struct {
    uint8_t ring[SIZE];
    uint64_t written, base; /* bytes; those before the last reset */
    bool is_stuck;          /* the position stays */
    uint64_t stuck_at;
    uint8_t choices[STEPS_MAX]; /* of each step: an index of `moves` */
    unsigned step, steps;       /* taken; of them explored */
    const int *moves;
    unsigned move_count;
    uint64_t unsafe_from; /* beyond, a reset cannot be seen by anybody */
    bool was_reset, fails;
    uint64_t same_from, same_to; /* offsets with bytes that never change */
} writer;

enum { RESET = -1 };

/* Before a reset, where there are some that are always the same at an offset. */
static inline uint8_t byte_of(uint64_t number)
{
    uint64_t offset = number % SIZE;

    return offset >= writer.same_from && offset < writer.same_to ? VALUES
                                                                 : (uint8_t)(number % VALUES);
}

static inline void advance(uint64_t count)
{
    for (; count > 0; count--) {
        assert_true(writer.written < WRITTEN_MAX);
        writer.ring[(writer.written - writer.base) % SIZE] = byte_of(writer.written);
        writer.written++;
    }
}

static inline void reset(void)
{
    if (!writer.was_reset && writer.written <= writer.unsafe_from) {
        writer.base = writer.written;
        writer.was_reset = true;
    }
}

static inline void step(void)
{
    if (writer.step < writer.steps) {
        int move = writer.moves[writer.choices[writer.step++]];

        if (move == RESET) {
            reset();
        } else {
            advance((uint64_t)move);
        }
    }
}

static inline int position(void *context, uint64_t *out, struct failure *f)
{
    (void)context, (void)f;
    step();
    *out = writer.is_stuck ? writer.stuck_at : (writer.written - writer.base) % SIZE;
    return 0;
}

static inline int read_ring(void *context, uint64_t offset, void *to, size_t len_bytes,
                            struct failure *f)
{
    (void)context;
    assert_true(offset + len_bytes <= SIZE && len_bytes > 0);
    for (size_t i = 0; i < len_bytes; i++) { /* also within what is read at once */
        if (i % CHUNK == 0) {
            step();
        }
        ((uint8_t *)to)[i] = writer.ring[offset + i];
    }
    return writer.fails ? failure_set(f, ERROR_ABORTED, "it was to fail") : 0;
}

static const struct lap_ring ring = { position, read_ring, NULL };

#endif
