/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Where a reader of a feed is, and whether the record that it finds there can be the next one: of the
 * same segment, with the numbers that follow, with blocks within the image. What cannot be is
 * -ERROR_DATA_LOSS: a mapper that is broken or lies ends a stream, and puts no hole into it. Pure.
 */
#ifndef XENRES_RESOURCE_FEED_POSITION_H
#define XENRES_RESOURCE_FEED_POSITION_H

#include "common/feed_record.h"
#include "common/ring.h"

enum feed_kind { FEED_FRAMES, FEED_APPEND, FEED_DOMAINS };

enum feed_seam {
    FEED_SEAM_NONE,  /* within a segment */
    FEED_SEAM_BEGIN, /* the BEGIN of `segment` and `epoch` is next */
    FEED_SEAM_LOSS,  /* behind an open loss: the next segment's BEGIN, or END, is next */
};

/* Of a feed of domains, batches are events, and there are neither blocks nor segments; of one that
 * appends, batches are open losses, and blocks are bytes (see common/feed_record.h). */
struct feed_position {
    struct ring_place place; /* of the next record */
    uint64_t batch, blocks;  /* before it */
    uint64_t offset;         /* append: within the segment */
    uint32_t segment, epoch; /* epoch: append */
    uint32_t image_bytes;    /* of the segment */
    bool is_in_batch;    /* parts of the batch behind `batch` are before it, and others behind it */
    enum feed_seam seam; /* append */
};

/* Goes behind `r`, but for `place`, which whoever read it has moved. A BEGIN moves segment and image
 * only: batches that it has and that were not read are missing. */
int feed_position_follow(struct feed_position *p, enum feed_kind kind, const struct feed_record *r,
                         struct failure *f);

/* Append: all but the place of one that stands before `r` and has read nothing. Fails as above. */
int feed_position_before(const struct feed_record *r, struct feed_position *out, struct failure *f);
/* Append: can one that is at `p` have missed what lies before `to`, which is further on? */
int feed_position_check_missed(const struct feed_position *p, const struct feed_position *to,
                               struct failure *f);

/* Where the image of an answer is. */
struct feed_position feed_position_of_image(const struct message_image_answer *a);
/* Can one that is at `p` go on from there? */
int feed_position_check_image(const struct feed_position *p, const struct message_image_answer *a,
                              struct failure *f);

#endif
