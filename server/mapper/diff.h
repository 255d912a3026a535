/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What has changed between two looks at the same pages, in blocks of FEED_BLOCK_BYTES: found by comparing
 * a private copy with a private image, gathered, and put into the image once it is known to be true.
 * Pure. One thread.
 */
#ifndef XENRES_MAPPER_DIFF_H
#define XENRES_MAPPER_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/feed_record.h"

/* Bit n: block n differs. `len_bytes`: at most MESSAGE_FRAME_BYTES, a multiple of FEED_BLOCK_BYTES; both
 * are aligned to 8. */
uint64_t diff_blocks(const void *a, const void *b, size_t len_bytes);

/* Blocks that changed, by number in the image, ascending, with their new content. */
struct diff {
    uint32_t *blocks;
    uint8_t *contents; /* FEED_BLOCK_BYTES each */
    uint32_t count;
    uint32_t most; /* kept: more and it is full, and says nothing but that */
    uint32_t room; /* for so many there is memory; `most` is no more */
    bool is_full;
};

/* False: no memory. */
bool diff_init(struct diff *d, uint32_t room);
void diff_done(struct diff *d); /* of zeros is fine */
void diff_reset(struct diff *d, uint32_t most);
/* Gathers what differs between `image` and `fresh`, which begin at block number `first`; as above. */
void diff_gather(struct diff *d, uint32_t first, const void *image, const void *fresh,
                 size_t len_bytes);
/* Puts what was gathered into the image. */
void diff_apply(const struct diff *d, void *image);

#endif
