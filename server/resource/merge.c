/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/merge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/scope.h"

void merge_done(struct merge *m)
{
    scope_free(&m->keys);
    scope_free(&m->contents);
    *m = (struct merge){ 0 };
}

void merge_reset(struct merge *m)
{
    if (m->room > MERGE_KEPT_BLOCKS) {
        merge_done(m);
    }
    m->count = m->complete = 0;
}

static int cannot_grow(struct failure *f)
{
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory to merge changes");

    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    return failure_next(f, result, "free memory, or watch with a shorter period");
}

static int make_room(struct merge *m, size_t blocks, struct failure *f)
{
    if (blocks > MERGE_BLOCKS_MAX) {
        return cannot_grow(f);
    }
    size_t room = m->room > 0 ? m->room : 64;

    while (room < blocks) {
        room *= 2;
    }
    if (room == m->room) {
        return 0;
    }
    uint64_t *keys = realloc(m->keys, room * sizeof(*keys));

    if (keys == NULL) {
        return cannot_grow(f);
    }
    m->keys = keys;
    uint8_t *contents = realloc(m->contents, room * FEED_BLOCK_BYTES);

    if (contents == NULL) {
        return cannot_grow(f);
    }
    m->contents = contents;
    m->room = room;
    return 0;
}

int merge_add(struct merge *m, const uint32_t *blocks, const uint8_t *contents, uint32_t count,
              struct failure *f)
{
    int result = make_room(m, m->count + count, f);

    if (result != 0) {
        return result;
    }
    for (uint32_t i = 0; i < count; i++) {
        m->keys[m->count + i] = (uint64_t)blocks[i] << 32 | (m->count + i);
    }
    memcpy(m->contents + m->count * FEED_BLOCK_BYTES, contents, (size_t)count * FEED_BLOCK_BYTES);
    m->count += count;
    return 0;
}

void merge_complete(struct merge *m)
{
    m->complete = m->count;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Of each block the last: they are in the order in which they came. How many are left. */
static size_t keep_last(uint64_t *keys, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (i + 1 == count || keys[i + 1] >> 32 != keys[i] >> 32) {
            keys[kept++] = keys[i];
        }
    }
    return kept;
}

struct merged *merge_finish(struct merge *m)
{
    assert(m->complete > 0);
    qsort(m->keys, m->complete, sizeof(*m->keys), compare);
    size_t count = keep_last(m->keys, m->complete);
    size_t numbers_bytes = (count * sizeof(uint32_t) + 7) / 8 * 8;
    struct merged *out = malloc(sizeof(*out) + numbers_bytes + count * FEED_BLOCK_BYTES);

    if (out == NULL) {
        return NULL;
    }
    uint32_t *blocks = (uint32_t *)(out + 1);
    uint8_t *contents = (uint8_t *)(out + 1) + numbers_bytes;

    for (size_t i = 0; i < count; i++) {
        blocks[i] = (uint32_t)(m->keys[i] >> 32);
        memcpy(contents + i * FEED_BLOCK_BYTES,
               m->contents + (size_t)(uint32_t)m->keys[i] * FEED_BLOCK_BYTES, FEED_BLOCK_BYTES);
    }
    *out =
        (struct merged){ .block_count = (uint32_t)count, .blocks = blocks, .contents = contents };
    return out;
}
