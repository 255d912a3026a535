/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The spool of a feed: a ring of records in shared memory. One process writes and waits for nobody;
 * any number of readers in another one see it read-only, each at a place of its own. A reader that
 * falls behind is told, and learns exactly how many records and bytes it missed; it never gets a torn
 * record, and nobody else notices.
 *
 * Positions count the ring's bytes since its beginning, headers and padding included. They never wrap,
 * so that a place names one record for ever. Records are opaque: a kind that is the user's, and bytes.
 *
 * This is the writer's half; readers have ring_view.h. One thread at a time. It owns the memfd and the
 * only writable mapping that there will ever be of it: the seals see to that, so that it may believe
 * what it reads there. The memory is allocated when the ring is made; a writer never faults for want of
 * it. It may be killed between any two stores: what it published stays readable.
 *
 * Nothing here waits or wakes; see common/doorbell.h.
 */
#ifndef XENRES_COMMON_RING_H
#define XENRES_COMMON_RING_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum {
    RING_HEADER_BYTES = 32,      /* of a record, before its bytes; the whole is padded to 8 */
    RING_CAPACITY_MIN = 256,     /* capacities are powers of two */
    RING_CAPACITY_MAX = 1 << 30, /* without the page of control words */
    RING_RECORD_FRACTION = 4,    /* a record with its header takes at most a quarter of the ring */
    RING_CONTROL_BYTES = 4096,   /* of the memfd, before the records */
};
/* Where a ring ends: after 29 years at 10 GB/s. */
#define RING_POSITION_MAX ((uint64_t)INT64_MAX)

/* A record's place: all that a cursor has to carry, but for the ring's name, which is its owner's. */
struct ring_place {
    uint64_t position; /* a multiple of 8 */
    uint64_t sequence; /* records before it */
    uint64_t bytes;    /* of records before it, without headers and padding */
};

/* The most bytes that a record of a ring of `capacity_bytes` may have; a multiple of 8. */
static inline uint32_t ring_record_max(uint64_t capacity_bytes)
{
    return (uint32_t)(capacity_bytes / RING_RECORD_FRACTION - RING_HEADER_BYTES);
}

struct ring;

/* An empty ring, whose first record will be at `first` (NULL: all zero). -ERROR_INVALID_ARGUMENT: a
 * capacity that cannot be. -ERROR_RESOURCE_EXHAUSTED: no memory or descriptor. */
int ring_new(uint64_t capacity_bytes, const struct ring_place *first, struct ring **out,
             struct failure *f);
void ring_free(struct ring *r); /* NULL is fine; views stay readable */
/* The sealed memfd, for the reader; the ring's. */
int ring_fd(const struct ring *r);
/* Where the next record will be. */
struct ring_place ring_next(const struct ring *r);

struct ring_part {
    const void *bytes;
    size_t len_bytes;
};

/*
 * Adds a record made of `parts`, each but the last a multiple of 8 bytes long. Records that were in its
 * place are gone, whoever was about to read them. -ERROR_RESOURCE_EXHAUSTED, and nothing is written:
 * more bytes than ring_record_max(), or the end of all positions (a new ring is needed).
 */
int ring_append(struct ring *r, uint32_t kind, const struct ring_part *parts, size_t part_count,
                struct failure *f);

#endif
