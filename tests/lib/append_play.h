/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A feed that appends, played by a test: the mapper's own spool writes it, in a ring that is small enough
 * to overtake readers, and what each byte is follows from where it is in the source, so that a byte in
 * another's place is seen. The test's own thread.
 */
#ifndef XENRES_TESTS_APPEND_PLAY_H
#define XENRES_TESTS_APPEND_PLAY_H

#include "tests/lib/feed_source.h"

#include <assert.h>

#include "server/mapper/spool.h"

enum {
    APPEND_CAPACITY_BYTES = 4096,
    APPEND_SEGMENTS_MAX = 256,
    APPEND_BYTES_MAX = 4096, /* of one call */
};

struct append_play {
    struct allowance memory;
    struct spool spool;
    struct feed_source_play feed; /* as the mapper's answers tell it */
    uint64_t source; /* bytes that the source made: more than are told of, behind open losses */
    /* Where in the source each segment begins, its number over all segments, and its epoch. */
    struct append_segment {
        uint64_t source, bytes_before;
        uint32_t epoch;
    } segments[APPEND_SEGMENTS_MAX];
    uint64_t now_ns; /* of the last sample */
};

static inline uint8_t append_byte(uint64_t source)
{
    return (uint8_t)(source * 37 + (source >> 8) * 11);
}

/* Another sample, `ms` later. */
static inline struct feed_stamp append_stamp(struct append_play *p, uint64_t ms)
{
    p->now_ns += ms * CLOCK_NS_PER_MS;
    return (struct feed_stamp){ .wall_ns = p->now_ns, .monotonic_ns = p->now_ns };
}

static inline void append_begin(struct append_play *p, enum feed_begin_reason reason)
{
    const struct feed_begin shape = { .reason = reason };
    const struct feed_stamp stamp = append_stamp(p, 1);

    assert_int_equal(spool_begin(&p->spool, &stamp, &shape, 0, NULL), 0);
    assert_true(p->spool.segment < APPEND_SEGMENTS_MAX);
    p->segments[p->spool.segment] = (struct append_segment){ .source = p->source,
                                                             .bytes_before = p->spool.blocks,
                                                             .epoch = p->spool.epoch };
}

static inline void append_new(struct append_play *p, uint32_t number)
{
    *p = (struct append_play){ .now_ns = CLOCK_NS_PER_S };
    allowance_init(&p->memory, SPOOL_MIN_BYTES);
    spool_init(&p->spool, 0, &p->memory);
    p->spool.most_bytes = APPEND_CAPACITY_BYTES; /* less than the mapper makes */
    append_begin(p, FEED_BEGIN_START);
    p->feed = (struct feed_source_play){ .ring = p->spool.ring,
                                         .capacity_bytes = APPEND_CAPACITY_BYTES,
                                         .number = number,
                                         .id = { FEED_SOURCE_ID } };
    memcpy(p->feed.id + 4, &number, sizeof(number));
}

static inline void append_free(struct append_play *p)
{
    spool_done(&p->spool);
}

static inline void append_bytes(struct append_play *p, size_t len_bytes)
{
    static uint8_t bytes[APPEND_BYTES_MAX];
    const struct feed_stamp stamp = append_stamp(p, 1);

    assert(len_bytes <= sizeof(bytes));
    for (size_t i = 0; i < len_bytes; i++) {
        bytes[i] = append_byte(p->source + i);
    }
    p->source += len_bytes;
    const struct spool_run run = { bytes, len_bytes, (int64_t)len_bytes / 2, p->source };

    assert_int_equal(spool_bytes(&p->spool, &stamp, &run, NULL), 0);
}

static inline void append_loss(struct append_play *p, uint64_t len_bytes)
{
    const struct feed_stamp stamp = append_stamp(p, 1);

    p->source += len_bytes;
    assert_int_equal(spool_loss(&p->spool, &stamp, FEED_LOSS_PAUSED, len_bytes, false, NULL), 0);
}

/* `len_bytes` are known to be lost, and `more` are lost as well. A segment has to begin. */
static inline void append_open_loss(struct append_play *p, uint64_t len_bytes, uint64_t more)
{
    const struct feed_stamp stamp = append_stamp(p, 1);

    p->source += len_bytes + more;
    assert_int_equal(spool_loss(&p->spool, &stamp, FEED_LOSS_LAPPED, len_bytes, true, NULL), 0);
}

/* So long without bytes that a record says so. */
static inline void append_still(struct append_play *p)
{
    const struct feed_stamp stamp = append_stamp(p, (uint64_t)SPOOL_STILL_S * 1000);

    assert_int_equal(spool_still(&p->spool, &stamp, NULL), 0);
}

static inline void append_end(struct append_play *p, enum feed_end_reason reason)
{
    const struct feed_end shape = { .wall_ns = p->now_ns,
                                    .monotonic_ns = p->now_ns,
                                    .reason = reason };

    assert_int_equal(spool_end(&p->spool, &shape, NULL), 0);
    p->feed.is_over = true;
}

/* Where a byte of a segment is in the source. */
static inline uint64_t append_source(const struct append_play *p, uint32_t segment, uint64_t offset)
{
    return p->segments[segment].source + offset;
}

/* Are these bytes those of the source? */
static inline bool append_is_true(const struct append_play *p, const struct feed_bytes *b,
                                  const uint8_t *contents)
{
    const struct append_segment *s = &p->segments[b->segment];
    bool same = b->segment <= p->spool.segment && b->epoch == s->epoch &&
                b->bytes_before == s->bytes_before + b->offset;

    for (uint32_t i = 0; same && i < b->len_bytes; i++) {
        same = contents[i] == append_byte(append_source(p, b->segment, b->offset + i));
    }
    return same;
}

#endif
