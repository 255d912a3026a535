/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A feed as a mapper writes it, played by a test: an image that the test changes, and the ring that its
 * records go to, lies included. The test's own thread.
 */
#ifndef XENRES_TESTS_FEED_SOURCE_H
#define XENRES_TESTS_FEED_SOURCE_H

#include "tests/lib/unit.h"

#include <stdint.h>
#include <string.h>

#include "common/clock.h"
#include "common/feed_record.h"
#include "common/ring.h"

enum {
    FEED_SOURCE_BLOCKS_MAX = 4 * FEED_BLOCKS_A_FRAME,
    FEED_SOURCE_ID = 0x5e, /* first byte of ids */
};

struct feed_source_play {
    struct ring *ring;
    uint8_t id[FEED_ID_BYTES];
    uint32_t number;
    uint64_t capacity_bytes;
    uint8_t image[FEED_SOURCE_BLOCKS_MAX * FEED_BLOCK_BYTES];
    uint32_t block_count; /* of the image */
    uint64_t batch, blocks;
    uint32_t segment;
    uint64_t samples; /* of records that were published */
    bool is_over;     /* there is no image any more */
};

static inline struct feed_stamp feed_play_stamp(const struct feed_source_play *p)
{
    return (struct feed_stamp){ .wall_ns = 1000 + p->samples,
                                .monotonic_ns = 2000 + p->samples,
                                .since_monotonic_ns = p->samples > 0 ? 1999 + p->samples : 0,
                                .duration_ns = 3 };
}

static inline void feed_play_append(struct feed_source_play *p, enum feed_record_kind kind,
                                    const struct ring_part *parts, size_t part_count)
{
    assert_int_equal(ring_append(p->ring, kind, parts, part_count, NULL), 0);
}

/* A new segment, whose image the test has changed as it likes. `batches` and `blocks` are lost with it. */
static inline void feed_play_begin(struct feed_source_play *p, enum feed_begin_reason reason,
                                   uint64_t batches, uint64_t blocks)
{
    p->segment += reason == FEED_BEGIN_START ? 0 : 1;
    p->batch += batches;
    p->blocks += blocks;
    struct feed_begin b = {
        .stamp = feed_play_stamp(p),
        .batch = p->batch,
        .blocks_before = p->blocks,
        .segment = p->segment,
        .reason = reason,
        .image_bytes = p->block_count * FEED_BLOCK_BYTES,
    };

    feed_play_append(p, FEED_RECORD_BEGIN, &(struct ring_part){ &b, sizeof(b) }, 1);
}

static inline void feed_play_new(struct feed_source_play *p, uint64_t capacity_bytes,
                                 uint32_t block_count, uint32_t number)
{
    *p = (struct feed_source_play){ .capacity_bytes = capacity_bytes,
                                    .block_count = block_count,
                                    .number = number,
                                    .id = { FEED_SOURCE_ID } };
    memcpy(p->id + 4, &number, sizeof(number));
    assert_int_equal(ring_new(capacity_bytes, NULL, &p->ring, NULL), 0);
}

static inline void feed_play_free(struct feed_source_play *p)
{
    ring_free(p->ring);
    p->ring = NULL;
}

/* One record of a batch: the image's blocks as they are, `count` of them, ascending. */
static inline void feed_play_part(struct feed_source_play *p, const uint32_t *blocks,
                                  uint32_t count, bool more)
{
    struct feed_changes c = {
        .stamp = feed_play_stamp(p),
        .batch = p->batch + 1,
        .blocks_before = p->blocks,
        .segment = p->segment,
        .block_count = count,
        .more = more,
        .samples = more ? 0 : 1,
    };
    uint32_t numbers[FEED_SOURCE_BLOCKS_MAX + 1] = { 0 };
    static uint8_t contents[FEED_SOURCE_BLOCKS_MAX * FEED_BLOCK_BYTES];

    memcpy(numbers, blocks, count * sizeof(*blocks));
    for (uint32_t i = 0; i < count; i++) {
        memcpy(contents + i * FEED_BLOCK_BYTES, p->image + (size_t)blocks[i] * FEED_BLOCK_BYTES,
               FEED_BLOCK_BYTES);
    }
    struct ring_part parts[] = { { &c, sizeof(c) },
                                 { numbers, (count * sizeof(*blocks) + 7) / 8 * 8 },
                                 { contents, (size_t)count * FEED_BLOCK_BYTES } };

    feed_play_append(p, FEED_RECORD_CHANGES, parts, 3);
    p->blocks += count;
    p->samples += more ? 0 : 1;
    p->batch += more ? 0 : 1;
}

/* A batch that changes one block to `value`. */
static inline void feed_play_change(struct feed_source_play *p, uint32_t block, uint8_t value)
{
    memset(p->image + (size_t)block * FEED_BLOCK_BYTES, value, FEED_BLOCK_BYTES);
    feed_play_part(p, &block, 1, false);
}

static inline void feed_play_still(struct feed_source_play *p, uint32_t samples, uint32_t failures)
{
    struct feed_still s = {
        .stamp = feed_play_stamp(p),
        .batch = p->batch,
        .blocks_before = p->blocks,
        .segment = p->segment,
        .samples = samples,
        .failures = failures,
    };

    feed_play_append(p, FEED_RECORD_STILL, &(struct ring_part){ &s, sizeof(s) }, 1);
    p->samples += samples;
}

static inline void feed_play_end(struct feed_source_play *p, enum feed_end_reason reason)
{
    struct feed_end e = { .wall_ns = 7,
                          .monotonic_ns = 8,
                          .batch = p->batch,
                          .blocks_before = p->blocks,
                          .reason = reason };

    feed_play_append(p, FEED_RECORD_END, &(struct ring_part){ &e, sizeof(e) }, 1);
    p->is_over = true;
}

static inline void feed_play_domain(struct feed_source_play *p, enum feed_domain_kind kind,
                                    uint16_t domid)
{
    struct feed_domain d = {
        .wall_ns = 5,
        .monotonic_ns = 6,
        .number = p->batch + 1,
        .generation = p->batch + 1,
        .kind = kind,
        .now = { .identity = { .domid = domid, .name = "guest" },
                 .type = DOMAIN_PVH,
                 .state = DOMAIN_RUNNING },
    };

    feed_play_append(p, FEED_RECORD_DOMAIN, &(struct ring_part){ &d, sizeof(d) }, 1);
    p->batch++;
}

#endif
