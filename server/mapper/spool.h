/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What is written of one feed: its ring, and the numbers by which a reader knows what it has missed. The
 * one place that makes records of common/feed_record.h, but for those of domains. The ring is made with
 * the first BEGIN, when the size of the image is known. One thread at a time.
 */
#ifndef XENRES_MAPPER_SPOOL_H
#define XENRES_MAPPER_SPOOL_H

#include "common/feed_record.h"
#include "common/ring.h"
#include "server/mapper/allowance.h"
#include "server/mapper/diff.h"

enum {
    SPOOL_MIN_BYTES = 128 << 10,
    SPOOL_STILL_S =
        5, /* so long without a record, and there is one that says that nothing changed */
};

struct spool {
    struct allowance *memory;
    uint64_t most_bytes; /* of the ring: a power of two */
    struct ring *ring;   /* NULL: nothing was written yet */
    struct ring *ready;  /* made before it is needed; NULL: not */
    uint64_t capacity_bytes;
    uint64_t batch;         /* batches so far; append: losses that may be larger */
    uint64_t blocks;        /* in them; append: bytes, those lost included */
    uint32_t segment;       /* the one that is open */
    uint64_t offset;        /* append: within the segment, of the next byte */
    uint32_t epoch;         /* append: of the segment; one more for each FEED_BEGIN_RESET */
    uint32_t samples;       /* taken since the last record */
    uint32_t failures;      /* not taken, and told of in no record yet */
    struct feed_stamp last; /* of the last sample; zeros: there was none */
    uint64_t told_ns;       /* monotonic: when the last record was written */
};

/* `most_bytes`: what a ring may have, rounded down to a power of two, at least SPOOL_MIN_BYTES. */
void spool_init(struct spool *s, uint64_t most_bytes, struct allowance *memory);
void spool_done(struct spool *s); /* what others have open of it stays readable */

/* Append: makes the ring before there is anything to write, as that takes its time. Where it cannot be made,
 * the first segment's beginning tries again, and says so. */
void spool_prepare(struct spool *s);

/* How many blocks one batch may have: more would not fit in half the ring. */
uint32_t spool_batch_most(const struct spool *s);
/* The same for a ring of at most `most_bytes`. */
uint32_t spool_batch_room(uint64_t most_bytes);

/*
 * A sample was taken at `stamp`, of which `since_monotonic_ns` is filled in here. Of frames exactly one of
 * these for each sample, of append sources as many as it takes.
 *
 * A segment begins with what `shape` says of its frames (its numbers, epoch and stamp are filled in), and
 * `lost_blocks` > 0 says that a batch of so many blocks is in no record, but in the new image.
 */
int spool_begin(struct spool *s, const struct feed_stamp *stamp, const struct feed_begin *shape,
                uint32_t lost_blocks, struct failure *f);
/* The blocks of one batch, in as many records as it takes; none: as spool_still(). */
int spool_changes(struct spool *s, const struct feed_stamp *stamp, const struct diff *changes,
                  struct failure *f);
/* Nothing has changed: a record now and then. */
int spool_still(struct spool *s, const struct feed_stamp *stamp, struct failure *f);
/* Append: bytes that follow those before, in as many records as it takes; those that are known to be lost, at
 * least one, or at least so many. After a loss that may be larger a segment has to begin, or the feed to
 * end. */
struct spool_run {
    const void *bytes;
    size_t len_bytes;    /* > 0 */
    int64_t sync_offset; /* from the first of them on; -1: none */
    uint64_t tsc;        /* the host's at the stamp's time; 0: none */
};
int spool_bytes(struct spool *s, const struct feed_stamp *stamp, const struct spool_run *run,
                struct failure *f);
/* So many fit in one record. */
size_t spool_bytes_most(const struct spool *s);
int spool_loss(struct spool *s, const struct feed_stamp *stamp, enum feed_loss_reason reason,
               uint64_t len_bytes, bool at_least, struct failure *f);

/* A sample could not be taken; says so now and then. */
int spool_failed(struct spool *s, uint64_t now_ns, struct failure *f);
/* The last record; its numbers are filled in. Without a ring there is none to write. */
int spool_end(struct spool *s, const struct feed_end *shape, struct failure *f);

#endif
