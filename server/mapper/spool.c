/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See spool.h. */
#include "server/mapper/spool.h"

#include <assert.h>
#include <string.h>

#include "common/clock.h"

/* What one block costs in a record: its number and its content. */
enum { BLOCK_COST_BYTES = sizeof(uint32_t) + FEED_BLOCK_BYTES };

void spool_init(struct spool *s, uint64_t most_bytes, struct allowance *memory)
{
    uint64_t capacity = SPOOL_MIN_BYTES;
    while (capacity * 2 <= most_bytes && capacity < RING_CAPACITY_MAX) {
        capacity *= 2;
    }
    *s = (struct spool){ .memory = memory, .most_bytes = capacity };
}

static void drop_ring(struct spool *s, struct ring **ring)
{
    if (*ring) {
        ring_free(*ring);
        allowance_give(s->memory, s->capacity_bytes);
    }
    *ring = NULL;
}

void spool_done(struct spool *s)
{
    drop_ring(s, &s->ring);
    drop_ring(s, &s->ready);
}

static int make_ring(struct spool *s, uint64_t image_bytes, struct ring **out, struct failure *f)
{
    uint64_t capacity = image_bytes > 0 ? SPOOL_MIN_BYTES : s->most_bytes;
    while (capacity < 2 * image_bytes && capacity < s->most_bytes) {
        capacity *= 2;
    }
    int result = allowance_take(s->memory, capacity, f);
    if (result < 0) {
        return result;
    }
    result = ring_new(capacity, NULL, out, f);
    if (result < 0) {
        allowance_give(s->memory, capacity);
        return result;
    }
    s->capacity_bytes = capacity;
    return 0;
}

void spool_prepare(struct spool *s)
{
    struct failure f;
    assert(!s->ring && !s->ready);
    (void)make_ring(s, 0, &s->ready, &f);
}

static int open_ring(struct spool *s, uint64_t image_bytes, struct failure *f)
{
    assert(!s->ready || image_bytes == 0);
    s->ring = s->ready;
    s->ready = NULL;
    return s->ring ? 0 : make_ring(s, image_bytes, &s->ring, f);
}

/* Blocks that one record holds. */
static uint32_t blocks_a_record(uint64_t capacity_bytes)
{
    uint64_t room = ring_record_max(capacity_bytes) - sizeof(struct feed_changes) -
                    sizeof(uint32_t); /* numbers are padded to 8 */
    return (uint32_t)(room / BLOCK_COST_BYTES);
}

uint32_t spool_batch_room(uint64_t most_bytes)
{
    /* A record is less than a quarter of the ring: two are less than half. */
    return 2 * blocks_a_record(most_bytes);
}

uint32_t spool_batch_most(const struct spool *s)
{
    return spool_batch_room(s->capacity_bytes);
}

static struct feed_stamp complete(const struct spool *s, const struct feed_stamp *stamp)
{
    struct feed_stamp whole = *stamp;
    bool is_same = stamp->monotonic_ns == s->last.monotonic_ns; /* another record of one sample */
    whole.since_monotonic_ns = is_same ? s->last.since_monotonic_ns : s->last.monotonic_ns;
    return whole;
}

/* Samples that a record of one taken at `stamp` tells of: those since the record before. */
static uint32_t samples_with(const struct spool *s, const struct feed_stamp *stamp)
{
    bool is_counted = stamp->monotonic_ns == s->last.monotonic_ns; /* with another record of it */
    return s->samples + (is_counted ? 0 : 1);
}

/* A record was written of a sample that is now the last one. */
static void told(struct spool *s, const struct feed_stamp *stamp)
{
    s->last = complete(s, stamp);
    s->told_ns = stamp->monotonic_ns;
    s->samples = 0;
}

int spool_begin(struct spool *s, const struct feed_stamp *stamp, const struct feed_begin *shape,
                uint32_t lost_blocks, struct failure *f)
{
    bool is_first = s->ring == NULL;
    int result = is_first ? open_ring(s, shape->image_bytes, f) : 0;
    if (result < 0) {
        return result;
    }
    struct feed_begin record = *shape;
    record.stamp = complete(s, stamp);
    record.batch = s->batch + (lost_blocks > 0);
    record.blocks_before = s->blocks + lost_blocks;
    record.segment = is_first ? 0 : s->segment + 1;
    record.epoch = s->epoch + (shape->reason == FEED_BEGIN_RESET);
    const struct ring_part part = { &record, sizeof(record) };
    result = ring_append(s->ring, FEED_RECORD_BEGIN, &part, 1, f);
    if (result < 0) {
        return result;
    }
    s->batch = record.batch;
    s->blocks = record.blocks_before;
    s->segment = record.segment;
    s->epoch = record.epoch;
    s->offset = 0;
    uint32_t samples = samples_with(s, stamp);
    told(s, stamp);
    /* Of frames it is the image's. Else the next record tells of it. */
    s->samples = shape->image_bytes == 0 ? samples : 0;
    return 0;
}

static int put_changes(struct spool *s, struct feed_changes *head, const uint32_t *blocks,
                       const uint8_t *contents, struct failure *f)
{
    static const uint32_t padding;
    size_t numbers_bytes = head->block_count * sizeof(*blocks);
    size_t even_bytes = numbers_bytes / 8 * 8;
    uint32_t last[2] = { blocks[head->block_count - 1], padding };
    const struct ring_part parts[] = {
        { head, sizeof(*head) },
        { blocks, even_bytes },
        { last, numbers_bytes > even_bytes ? sizeof(last) : 0 },
        { contents, (size_t)head->block_count * FEED_BLOCK_BYTES },
    };
    return ring_append(s->ring, FEED_RECORD_CHANGES, parts, sizeof(parts) / sizeof(parts[0]), f);
}

int spool_changes(struct spool *s, const struct feed_stamp *stamp, const struct diff *changes,
                  struct failure *f)
{
    if (changes->count == 0) {
        return spool_still(s, stamp, f);
    }
    assert(changes->count <= spool_batch_most(s));
    uint32_t most = blocks_a_record(s->capacity_bytes);
    struct feed_changes head = { .stamp = complete(s, stamp),
                                 .batch = s->batch + 1,
                                 .segment = s->segment,
                                 .samples = s->samples + 1 };
    for (uint32_t done = 0; done < changes->count; done += head.block_count) {
        uint32_t left = changes->count - done;
        head.block_count = left < most ? left : most;
        head.more = left > most;
        head.blocks_before = s->blocks;
        int result = put_changes(s, &head, changes->blocks + done,
                                 changes->contents + (size_t)done * FEED_BLOCK_BYTES, f);
        if (result < 0) {
            return result;
        }
        s->blocks += head.block_count;
        s->batch = head.batch;
        head.samples = 0; /* they are counted */
    }
    told(s, stamp);
    return 0;
}

static int put_still(struct spool *s, uint64_t now_ns, struct failure *f)
{
    if (now_ns - s->told_ns < SPOOL_STILL_S * CLOCK_NS_PER_S) {
        return 0;
    }
    const struct feed_still record = { .stamp = s->last,
                                       .batch = s->batch,
                                       .blocks_before = s->blocks,
                                       .offset = s->offset,
                                       .segment = s->segment,
                                       .epoch = s->epoch,
                                       .samples = s->samples,
                                       .failures = s->failures };
    const struct ring_part part = { &record, sizeof(record) };
    int result = ring_append(s->ring, FEED_RECORD_STILL, &part, 1, f);
    if (result == 0) {
        s->samples = s->failures = 0;
        s->told_ns = now_ns;
    }
    return result;
}

int spool_still(struct spool *s, const struct feed_stamp *stamp, struct failure *f)
{
    s->last = complete(s, stamp);
    s->samples++;
    return put_still(s, stamp->monotonic_ns, f);
}

int spool_failed(struct spool *s, uint64_t now_ns, struct failure *f)
{
    s->failures++;
    return s->ring ? put_still(s, now_ns, f) : 0;
}

size_t spool_bytes_most(const struct spool *s)
{
    size_t fits = ring_record_max(s->capacity_bytes) - sizeof(struct feed_bytes);
    return fits < FEED_BYTES_MAX ? fits : (size_t)FEED_BYTES_MAX;
}

int spool_bytes(struct spool *s, const struct feed_stamp *stamp, const struct spool_run *run,
                struct failure *f)
{
    size_t most = spool_bytes_most(s);
    for (size_t done = 0; done < run->len_bytes;) {
        size_t len = run->len_bytes - done < most ? run->len_bytes - done : most;
        int64_t sync = run->sync_offset - (int64_t)done;
        const struct feed_bytes head = {
            .stamp = complete(s, stamp),
            .offset = s->offset,
            .bytes_before = s->blocks,
            .segment = s->segment,
            .epoch = s->epoch,
            .open_losses = (uint32_t)s->batch,
            .samples = done == 0 ? samples_with(s, stamp) : 0,
            .len_bytes = (uint32_t)len,
            .sync_offset = sync >= 0 && sync < (int64_t)len ? (int32_t)sync : -1,
            .tsc = run->tsc,
        };
        const struct ring_part parts[] = { { &head, sizeof(head) },
                                           { (const uint8_t *)run->bytes + done, len } };
        int result = ring_append(s->ring, FEED_RECORD_BYTES, parts, 2, f);
        if (result < 0) {
            return result;
        }
        done += len;
        s->offset += len;
        s->blocks += len;
        told(s, stamp);
    }
    return 0;
}

int spool_loss(struct spool *s, const struct feed_stamp *stamp, enum feed_loss_reason reason,
               uint64_t len_bytes, bool at_least, struct failure *f)
{
    assert(len_bytes > 0 || at_least);
    const struct feed_loss record = { .stamp = complete(s, stamp),
                                      .offset = s->offset,
                                      .bytes_before = s->blocks,
                                      .len_bytes = len_bytes,
                                      .segment = s->segment,
                                      .epoch = s->epoch,
                                      .open_losses = (uint32_t)s->batch,
                                      .samples = samples_with(s, stamp),
                                      .reason = reason,
                                      .at_least = at_least };
    const struct ring_part part = { &record, sizeof(record) };
    int result = ring_append(s->ring, FEED_RECORD_LOSS, &part, 1, f);
    if (result < 0) {
        return result;
    }
    s->offset += len_bytes;
    s->blocks += len_bytes;
    s->batch += at_least;
    told(s, stamp);
    return 0;
}

int spool_end(struct spool *s, const struct feed_end *shape, struct failure *f)
{
    if (!s->ring) {
        return 0;
    }
    struct feed_end record = *shape;
    record.batch = s->batch;
    record.blocks_before = s->blocks;
    const struct ring_part part = { &record, sizeof(record) };
    return ring_append(s->ring, FEED_RECORD_END, &part, 1, f);
}
