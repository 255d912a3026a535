/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One who is subscribed: what subscription.c (its life: from the answer of the mapper to the end, with
 * the images in between), subscription_read.c (what it reads of the spool) and subscription_append.c (what
 * is otherwise where bytes follow each other) share.
 *
 * Owned by whoever began it; one thread at a time, but for `member`, which is the feed's lock's.
 */
#ifndef XENRES_RESOURCE_SUBSCRIPTION_H
#define XENRES_RESOURCE_SUBSCRIPTION_H

#include "server/resource/feed_keeper.h"

enum subscription_step {
    STEP_STARTING, /* the feed is */
    STEP_IMAGE,    /* an image is on its way */
    STEP_IN_HAND,  /* BEGUN or GAP was given, and the IMAGE is next */
    STEP_READING,
    STEP_ENDING, /* GAP was given, and ENDED is next */
    STEP_OVER,
};

enum {
    SUBSCRIPTION_RETRY_MS = 1,    /* where the spool was written faster than it was read */
    SUBSCRIPTION_MISSES_MAX = 20, /* looks for the end of a feed that the mapper says is over */
};

struct subscription {
    struct feed_member member;
    struct feeds *feeds; /* the feed's */
    struct feed *feed;   /* counted */
    enum subscription_mode mode;
    enum subscription_step step;
    bool is_begun, is_image_needed;
    bool is_cut;          /* over, and one may go on from there */
    unsigned gap_reason;  /* of what is missing until the image; 0: nothing is, for its mode */
    uint64_t period_ns;   /* admitted */
    uint64_t deadline_ns; /* of the first item */
    uint64_t due_ns;      /* no item before it, where its period is longer than the feed's */
    struct feed_cursor *cursor; /* to go on from; NULL */

    struct feed_position position; /* behind all that was told */
    struct ring_place from;        /* an image has to be here or behind it */
    bool has_from; /* before it has begun: `from` is where the feed was when it came */
    uint64_t image_round;
    unsigned misses; /* the mapper knew no such feed, and there was no end of it */
    uint64_t samples, failures;

    /* What the item holds that was given last; counted. `image` also from BEGUN or GAP on. */
    struct feed_piece *piece;
    struct feed_image *image;
    struct merged *merged;
    struct feed_last *last; /* of STEP_ENDING */
};

/* The next item of one that is reading. 0, or a failure. */
int subscription_read(struct subscription *u, struct subscription_item *out, struct failure *f);

/* Nothing is there: `wake` will be called, or look again at a time. */
int subscription_wait(struct subscription_item *out, uint64_t wake_ns);
/* An image is needed from `from` on, and then it. */
int subscription_get_image(struct subscription *u, unsigned gap_reason,
                           const struct ring_place *from, struct subscription_item *out,
                           struct failure *f);
/* The feed is over, and `position` is not behind all of it, or `mapper_gone`: what is missing, and the
 * end. */
int subscription_finish(struct subscription *u, struct subscription_item *out, struct failure *f);
/* The END that was read; NULL: all was read that its mapper left, which is gone. */
int subscription_end_with(struct subscription *u, const struct feed_end *end,
                          struct subscription_item *out);
int subscription_find_last(struct subscription *u, struct feed_last *out, struct failure *f);
int subscription_find_oldest(struct subscription *u, struct feed_position *out, struct failure *f);
/* Fills a GAP of what lies between where it is and `batch`, `blocks`. */
void subscription_gap(struct subscription *u, unsigned reason, uint64_t batch, uint64_t blocks,
                      struct subscription_item *out);
/* BEGUN at a position. */
int subscription_begun(struct subscription *u, bool resumed, const struct feed_position *at,
                       struct subscription_item *out);
/* What to do where a cursor is of no use. Gives back `result`. */
int subscription_anew(const struct subscription *u, struct failure *f, int result);

/* --- append: subscription_append.c -------------------------------------------------------------------- */

/* -ERROR_INVALID_ARGUMENT: what is wanted of one makes no sense. */
int subscription_check_append(const struct subscription_request *request, struct failure *f);
/* BEGUN at the oldest record. */
int subscription_begin_append(struct subscription *u, struct subscription_item *out,
                              struct failure *f);
/* The failure of one whose `position`, a cursor's, lies before the oldest record. */
int subscription_out_of_bytes(const struct subscription *u, const struct feed_position *oldest,
                              struct failure *f);
/* It was overtaken: goes to the oldest record. GAP, or NOTHING where nothing is missing. */
int subscription_skip_bytes(struct subscription *u, struct subscription_item *out,
                            struct failure *f);
struct subscription_offset subscription_offset(const struct feed_position *p);

#endif
