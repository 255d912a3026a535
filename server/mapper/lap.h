/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a writer has put into a ring that it never waits for, where all that is told is at which offset the
 * next byte goes: a writer that went all the way round is not seen in that. So there is an image of the
 * whole ring, of what was in it when all up to `prev` had been written, and no byte more:
 *
 *   1. the position is asked for; what is from there to `prev` has to be as the image has it (all of it is
 *      compared), since it is of the lap before;
 *   2. what is from `prev` to the position is copied;
 *   3. what is right before `prev` is compared again: a writer that damages what is copied goes through it;
 *   4. whatever differed was written meanwhile: the position is asked for again, and all that differed must
 *      be between the two, with enough left between the second and `prev` to prove that it is no lap: few
 *      bytes prove nothing, as new ones may be the same as old ones by chance; the more so where the
 *      writer repeats itself, which is known from what it wrote.
 *
 * A reset by somebody else looks like a writer that went to the ring's end and on from 0: but what is
 * before the end was not written. (As much as a writer may leave there by chance is known from what it
 * wrote elsewhere.) So prev is never taken to be so close to the end that nothing could be told.
 *
 * After a lap or a reset a new image is taken, and proven in the same way. What is then found to be newest
 * in the ring is served, only as far as it was seen to be written since, and never across the ring's end. A
 * byte that differs from the image was written: so many were, at least, and that is the one bound that
 * holds whatever happened. Of a position that did not move it is one of what is lost only if the very byte
 * before it differs: else it may be stuck, short of a lap, and what was written yet be told.
 *
 * What no reader can see: a lap that writes the very bytes that were there before; and a reset by somebody
 * else that comes within one sample right at the ring's end, or once the writer has gone around that, or
 * while `prev` is at the ring's beginning, if more is written after it than was before: whoever samples looks
 * as soon as there is something new then.
 *
 * Pure: the ring is read and the position asked for by an accessor. One thread at a time.
 */
#ifndef XENRES_MAPPER_LAP_H
#define XENRES_MAPPER_LAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum {
    LAP_CHUNK_BYTES = 4096,      /* read at once, at most, to be compared */
    LAP_COPY_BYTES = 1 << 20,    /* and to be copied */
    LAP_EVIDENCE_BYTES = 4096,   /* at most: Intel PT with timestamps has one in it */
    LAP_EVIDENCE_FRACTION = 8,   /* of a small ring; of one … */
    LAP_REPETITIVE_FRACTION = 4, /* … whose writer repeats itself, at most */
    LAP_END_FRACTION = 2,        /* the same, of what nobody wrote before the ring's end */
    LAP_AGAIN_BYTES = 16384,     /* compared again behind the copy */
    LAP_LEARN_BYTES = 65536,     /* of what is new, looked at for what is as before by chance */
    LAP_TRIES = 2,               /* at a new image, in one sample */
};

/* The accessor. Failures are handed on; nothing was found then. */
struct lap_ring {
    /* Where the next byte goes: below the size. */
    int (*position)(void *context, uint64_t *out, struct failure *f);
    /* Within the ring, once. */
    int (*read)(void *context, uint64_t offset, void *to, size_t len_bytes, struct failure *f);
    void *context;
};

struct lap {
    const struct lap_ring *ring;
    uint64_t size_bytes; /* a power of two */
    uint8_t *image;      /* so many bytes, the owner's */
    uint8_t *scratch;    /* chunk_bytes, the owner's; a power of two */
    size_t chunk_bytes;
    uint64_t prev;     /* offset of the first byte that was not taken yet */
    uint64_t seen;     /* bytes from there on that are known to be written */
    uint64_t fresh;    /* … and that are in the image already */
    uint64_t position; /* as last asked for */
    uint64_t alike;    /* the longest run of bytes that were written anew as they were */
    uint64_t owed;     /* known to be written since `prev`, while nothing is known else */
    bool is_odd;       /* the position went back: no writer does that within one lap */
    bool is_unknown;   /* there is no image that can be believed */
    bool is_reset;     /* unknown by a reset, as it seems */
    bool is_vague;     /* not all of the ring was written, or the position may be stuck */
};

enum lap_kind {
    LAP_FOLLOWS = 1, /* what was found, perhaps nothing, follows what was taken before */
    LAP_LAPPED,      /* there may be more lost than `lost_bytes` in front of it */
    LAP_RESET,       /* the same, and the trace was reset meanwhile, as it seems */
    LAP_UNKNOWN,     /* the writer is too quick to take an image: nothing was found */
};

struct lap_found {
    enum lap_kind kind;
    uint64_t lost_bytes; /* LAPPED, RESET: at least */
    uint64_t from;       /* offset in the image; what is found may go on at 0 */
    uint64_t len_bytes;
};

/* `image` holds what the ring does, and nothing is written before the first byte at 0. */
void lap_init(struct lap *l, const struct lap_ring *ring, uint64_t size_bytes, uint8_t *image,
              uint8_t *scratch, size_t chunk_bytes);
/* Takes an image, of a ring that is not being written. */
int lap_begin(struct lap *l, struct failure *f);
/* So much of a ring that is not new is always enough to prove that it was not lapped. */
uint64_t lap_evidence_most(uint64_t size_bytes);

/* Asks for the position: so many bytes were written since, if it was not lapped. */
int lap_ask(struct lap *l, uint64_t *fill_bytes, struct failure *f);
/* Goes on from there. What is found is in the image until the next call. `is_last`: the writer has stopped,
 * and everything is found. */
int lap_look(struct lap *l, bool is_last, struct lap_found *out, struct failure *f);
/* So many of what was found were taken; the rest will be found again. */
void lap_take(struct lap *l, uint64_t len_bytes);

#endif
