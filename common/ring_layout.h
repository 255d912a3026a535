/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the two halves of the ring, and nobody else, agree upon: the words in the shared memory, and
 * the order in which they are written and read.
 *
 * The protocol, and why it holds in C's memory model and not only on x86. Every access to what is
 * shared is one to an atomic word of 64 bits, so that nothing is a data race.
 *
 *    writer                                     reader
 *    1  oldest    := …          release         1  committed            acquire: is there a record?
 *    2  reserved  := its end    release         2  header, bytes        relaxed
 *    3  fence                   release         3  fence                acquire
 *    4  header, bytes := …      relaxed         4  reserved             acquire: was I overtaken?
 *    5  last      := its start  release
 *    6  committed := its end    release
 *
 * - Complete: what reader 1 acquires was released by writer 6, after 4: no older word can be read.
 * - Not torn: if reader 2 sees one word that a later lap wrote (4), the fences (3, 3) synchronise, so
 *   that reader 4 sees the reservation (2) that came before that word, and discards all.
 * - Resynchronisation: `oldest` and `last` are released after the record that they name was written,
 *   and acquired before it is read, which is as complete; the check of `reserved` follows as above.
 *   Who sees a reservation (2) sees what `oldest` was before it (1): a second look is a newer one.
 * - Writer killed: before 6 nothing of the record is visible. What was reserved is given up.
 *
 * A record's header holds its position, masked with a number that no guest knows: neither bytes of a
 * record nor an earlier lap pass for a header.
 */
#ifndef XENRES_COMMON_RING_LAYOUT_H
#define XENRES_COMMON_RING_LAYOUT_H

#include <assert.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/ring.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010 /* Linux 5.1; glibc's <fcntl.h> may lack it */
#endif

/* Tests that stop the protocol between its steps have their own. */
#ifndef RING_LOAD
#define RING_LOAD(word, order)         atomic_load_explicit(word, order)
#define RING_STORE(word, value, order) atomic_store_explicit(word, value, order)
#define RING_FENCE(order)              atomic_thread_fence(order)
#endif

static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && sizeof(_Atomic uint64_t) == 8,
              "words are shared between processes, one of which cannot write");

#define RING_MAGIC     UINT64_C(0x31474e4952534552) /* "RESRING1" */
#define RING_NO_RECORD UINT64_MAX
enum { RING_SEALS = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL };

struct ring_control {
    /* Written before anybody else has the descriptor. */
    _Atomic uint64_t magic, capacity_bytes, mask;
    _Atomic uint64_t first_position, first_sequence, first_bytes;
    alignas(64) _Atomic uint64_t oldest; /* positions of records: where the oldest begins, */
    _Atomic uint64_t last;               /* and the newest, RING_NO_RECORD before the first one */
    _Atomic uint64_t reserved;           /* up to where bytes may be in the midst of a change */
    _Atomic uint64_t committed;          /* up to where records are complete */
};
static_assert(sizeof(struct ring_control) <= RING_CONTROL_BYTES, "it has its page");

/* A record's header, in words. */
enum { RING_WORD_SHAPE, RING_WORD_SEQUENCE, RING_WORD_BYTES, RING_WORD_MARK, RING_HEADER_WORDS };
static_assert(RING_HEADER_WORDS * 8 == RING_HEADER_BYTES, "the header is what is announced");

static inline bool ring_capacity_can_be(uint64_t bytes)
{
    return bytes >= RING_CAPACITY_MIN && bytes <= RING_CAPACITY_MAX && (bytes & (bytes - 1)) == 0;
}

/* Of a record of `len_bytes`, which may be any number. */
static inline uint64_t ring_whole_bytes(uint64_t len_bytes)
{
    return RING_HEADER_BYTES + (len_bytes + 7) / 8 * 8;
}

/* Always one of the ring's, whatever the position. */
static inline size_t ring_word_of(uint64_t position, uint64_t capacity_bytes)
{
    return (size_t)(position & (capacity_bytes - 1)) / 8;
}

#endif
