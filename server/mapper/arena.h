/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The memory that snapshots are copied into and that the peer sees read-only: a memfd, cut into
 * extents of pages. An extent in use is a slot, named by index and generation.
 *
 * Owns the memfd and the only writable mapping that there will ever be of it: after that is made,
 * the seals forbid another one, and any change of size, to whoever holds the descriptor. An arena
 * is made anew for each peer, so that one that is gone, and may have kept the descriptor, sees
 * nothing of what is copied for the next.
 *
 * Nothing here waits: a full arena is -ERROR_RESOURCE_EXHAUSTED at once. Generations never repeat
 * within 2^32 uses of an index: a RELEASE that is late, doubled or made up frees nobody else's
 * slot, nor one that is still written; it is counted. One thread.
 */
#ifndef XENRES_MAPPER_ARENA_H
#define XENRES_MAPPER_ARENA_H

#include "common/error.h"
#include "common/message.h"

enum {
    ARENA_PAGE_BYTES = 4096,
    ARENA_SLOTS_MAX = 4096, /* in use at once, whatever their size */
};

struct arena;

/* `bytes` is a multiple of ARENA_PAGE_BYTES. */
int arena_new(uint64_t bytes, uint64_t slot_max_bytes, struct arena **out, struct failure *f);
void arena_free(struct arena *a); /* NULL is fine */

int arena_fd(const struct arena *a);
uint64_t arena_bytes(const struct arena *a);

/*
 * A slot of `len_bytes` (> 0), whose extent is rounded up to pages. The bytes are undefined: of an
 * earlier slot, or zero. -ERROR_RESOURCE_EXHAUSTED: larger than a slot may be, or no extent or no
 * index is free.
 */
int arena_take(struct arena *a, uint64_t len_bytes, struct message_slot *out, struct failure *f);
/* Where a slot that arena_take() gave is, for writing. */
void *arena_slot_bytes(struct arena *a, const struct message_slot *slot);
/* It is written, and the peer is told of it: from now on the peer may release it. */
void arena_hand_over(struct arena *a, const struct message_slot *slot);
/* Frees one that was not handed over. */
void arena_take_back(struct arena *a, const struct message_slot *slot);
/* Frees it, for the peer. False, and counted, where no such slot was handed over, or is no more. */
bool arena_release(struct arena *a, uint32_t index, uint32_t generation);

struct arena_usage {
    uint64_t used_bytes; /* extents */
    uint32_t slot_count;
    uint64_t false_releases;
};
struct arena_usage arena_usage(const struct arena *a);

#endif
