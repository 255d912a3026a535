/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Several batches of changes → the blocks that are different after the last of them, each once, as it is
 * then. Parts of a batch that is not complete are left out of it. Reused; one thread at a time.
 */
#ifndef XENRES_RESOURCE_MERGE_H
#define XENRES_RESOURCE_MERGE_H

#include "common/feed_record.h"

enum {
    /* Blocks that are gathered, the same one as often as it came. */
    MERGE_BLOCKS_MAX = FEED_IMAGE_MAX_BYTES / FEED_BLOCK_BYTES,
    MERGE_KEPT_BLOCKS = 16384, /* room that one keeps for the next time: 1 MiB */
};

struct merge {
    uint64_t *keys; /* number of the block, and which of the contents is its, in the lower half */
    uint8_t *contents;
    size_t room; /* blocks */
    size_t count, complete;
};
/* Zeros are an empty one. */
void merge_done(struct merge *m);

/* Empties it. */
void merge_reset(struct merge *m);
/* -ERROR_RESOURCE_EXHAUSTED: above MERGE_BLOCKS_MAX, or no memory; nothing is added then. */
int merge_add(struct merge *m, const uint32_t *blocks, const uint8_t *contents, uint32_t count,
              struct failure *f);
/* What was added so far ends a batch. */
void merge_complete(struct merge *m);

struct merged {
    uint32_t block_count;
    const uint32_t *blocks;  /* ascending */
    const uint8_t *contents; /* FEED_BLOCK_BYTES each */
};
/* Of all complete batches, at least one: one piece of memory, to free(). NULL: no memory. */
struct merged *merge_finish(struct merge *m);

#endif
