/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See diff.h. Most pages are as they were: libc's memcmp() says so fastest. */
#include "server/mapper/diff.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_A_BLOCK = FEED_BLOCK_BYTES / 8 };
_Static_assert(FEED_BLOCKS_A_FRAME == 64, "a page's blocks are the bits of a word");

static bool block_differs(const uint64_t *a, const uint64_t *b)
{
    uint64_t difference = 0;
    for (int i = 0; i < WORDS_A_BLOCK; i++) {
        difference |= a[i] ^ b[i];
    }
    return difference != 0;
}

uint64_t diff_blocks(const void *a, const void *b, size_t len_bytes)
{
    assert(len_bytes <= MESSAGE_FRAME_BYTES && len_bytes % FEED_BLOCK_BYTES == 0);
    if (memcmp(a, b, len_bytes) == 0) {
        return 0;
    }
    uint64_t mask = 0;
    const uint64_t *left = a, *right = b;
    for (size_t block = 0; block < len_bytes / FEED_BLOCK_BYTES; block++) {
        size_t at = block * WORDS_A_BLOCK;
        mask |= (uint64_t)block_differs(left + at, right + at) << block;
    }
    return mask;
}

bool diff_init(struct diff *d, uint32_t room)
{
    *d = (struct diff){ .room = room, .most = room };
    d->blocks = calloc(room, sizeof(*d->blocks));
    d->contents = calloc(room, FEED_BLOCK_BYTES);
    if (d->blocks && d->contents) {
        return true;
    }
    diff_done(d);
    return false;
}

void diff_done(struct diff *d)
{
    free(d->blocks);
    free(d->contents);
    *d = (struct diff){ 0 };
}

void diff_reset(struct diff *d, uint32_t most)
{
    d->count = 0;
    d->is_full = false;
    d->most = most < d->room ? most : d->room;
}

void diff_gather(struct diff *d, uint32_t first, const void *image, const void *fresh,
                 size_t len_bytes)
{
    uint64_t mask = diff_blocks(image, fresh, len_bytes);
    while (mask != 0 && !d->is_full) {
        uint32_t block = (uint32_t)__builtin_ctzll(mask);
        mask &= mask - 1;
        if (d->count == d->most) {
            d->is_full = true;
            return;
        }
        d->blocks[d->count] = first + block;
        memcpy(d->contents + (size_t)d->count * FEED_BLOCK_BYTES,
               (const uint8_t *)fresh + (size_t)block * FEED_BLOCK_BYTES, FEED_BLOCK_BYTES);
        d->count++;
    }
}

void diff_apply(const struct diff *d, void *image)
{
    assert(!d->is_full);
    for (uint32_t i = 0; i < d->count; i++) {
        memcpy((uint8_t *)image + (size_t)d->blocks[i] * FEED_BLOCK_BYTES,
               d->contents + (size_t)i * FEED_BLOCK_BYTES, FEED_BLOCK_BYTES);
    }
}
