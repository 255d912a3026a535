/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One feed as xenresd has it: what is known of it, who is subscribed, and what they share: records that
 * were read, and an image. For feeds.c, who owns the table of them, and subscription.c, who reads.
 *
 * Counted: the table, each subscription and each call on its way to the mapper have a reference.
 * Locks: `lock` of the table's owner (struct feeds), then a feed's own, then the mapper client's.
 */
#ifndef XENRES_RESOURCE_FEED_H
#define XENRES_RESOURCE_FEED_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "server/resource/feed_piece.h"
#include "server/resource/feed_position.h"

enum {
    FEED_IMAGE_KEPT_MS = 100, /* for others who need one at about the same time */
    FEED_RETRY_MS = 20,       /* after the mapper's client had no room for a request */
};

/* One who is subscribed, as a feed sees it. With the feed's lock. */
struct feed_member {
    LIST_ENTRY(feed_member) link, armed_link;
    bool is_armed;         /* to be waked when the feed moves */
    struct holder *holder; /* whose it is: the table's lock's */
    uint64_t period_ns;
    void (*wake)(void *arg);
    void *arg;
};
LIST_HEAD(feed_members, feed_member);

/* The image of an answer, immutable and counted. */
struct feed_image {
    atomic_uint refs;
    struct mapper_slot *slot;
    struct message_image_answer answer;
    uint64_t until_ns; /* to be given to others */
};
struct feed_image *feed_image_ref(struct feed_image *i);
void feed_image_unref(struct feed_image *i); /* NULL is fine */

enum feed_phase {
    FEED_STARTING, /* the mapper is asked */
    FEED_LIVE,     /* a spool is there */
    FEED_FAILED,   /* the mapper refused: `failure` */
};

struct feed {
    atomic_uint refs;
    struct feeds *feeds; /* counted */
    struct feed_source source;
    enum feed_kind kind;

    /* With the table's lock. */
    struct feed *chain;
    bool is_listed;   /* in the table */
    bool is_asking;   /* a WATCH is on its way */
    int live_index;   /* among those that are looked at; -1: not */
    uint64_t ask_ns;  /* when to send WATCH (again); UINT64_MAX: not */
    uint64_t drop_ns; /* when to let it go; UINT64_MAX: somebody is subscribed */
    uint64_t asked_period_ns;
    struct holder *payer; /* of its spool; NULL: it is in no table */

    /* Changes with both locks; once somebody reads there, not at all. */
    enum feed_phase phase;
    struct ring_view *view;
    uint8_t id[FEED_ID_BYTES];
    uint32_t number; /* the mapper's */
    _Atomic uint64_t period_ns;
    uint64_t least_period_ns;

    pthread_mutex_t lock; /* of what follows */
    struct feed_members members, armed;
    unsigned member_count;
    struct failure *failure;
    bool is_gone; /* its mapper is, or it has ended; nothing behind `gone_position` is looked at */
    uint64_t gone_position;
    struct feed_pieces pieces;
    struct feed_image *image;
    bool is_image_asked;
    uint64_t image_round, failed_round; /* how often one was asked for; when that failed last */
    struct failure *image_failure;
};

/* One reference; in no table. */
int feed_new(struct feeds *s, const struct feed_source *source, struct feed **out,
             struct failure *f);
struct feed *feed_ref(struct feed *y);
void feed_unref(struct feed *y); /* NULL is fine */
bool feed_source_equal(const struct feed_source *a, const struct feed_source *b);
enum feed_kind feed_source_kind(const struct feed_source *source);

void feed_enter(struct feed *y, struct feed_member *m);
bool feed_exit(struct feed *y, struct feed_member *m); /* true: it was the last */
/* Who is there beside it; NULL: nobody. Takes the lock. */
struct holder *feed_other_holder(struct feed *y);
/* Wakes all who are armed. Takes the lock, and lets it go now and then. */
void feed_wake(struct feed *y);
/* The same with the lock, which is let go in between: who is woken will want it. */
void feed_wake_locked(struct feed *y);
void feed_arm_locked(struct feed *y, struct feed_member *m);
/* The mapper is gone, or it has ended. Takes the lock, and wakes everybody. */
void feed_go(struct feed *y);
/* As failed, with why. With both locks. */
void feed_fail(struct feed *y, const struct failure *why);
/* The smallest period of those who are subscribed; UINT64_MAX: nobody is. Takes the lock. */
uint64_t feed_wanted_period(struct feed *y);
/* Forgets an image that was kept long enough; when that is due, else. Takes the lock. */
uint64_t feed_tend_image(struct feed *y, uint64_t now_ns);

/* --- for who is subscribed; each takes the lock ------------------------------------------------------- */

/* To be waked when something is behind `place` (NULL: when the phase changes, or an image comes). False:
 * that is so already, or the mapper is gone; nothing is armed. */
bool feed_arm(struct feed *y, struct feed_member *m, const struct ring_place *place);

/* As feed_piece_read(), with the pieces that are shared. */
int feed_read(struct feed *y, struct ring_place *at, struct scratch *x, struct feed_piece **out,
              struct failure *f);
/* Why the mapper refused it; 0: it did not. */
int feed_refusal(struct feed *y, struct failure *f);
/* What was made of a piece, and what is kept of it (takes the reference); with one for the caller. */
struct shared_bytes *feed_shared(struct feed *y, struct feed_piece *p, unsigned variant);
struct shared_bytes *feed_share(struct feed *y, struct feed_piece *p, unsigned variant,
                                struct shared_bytes *b);
/* The mapper is gone, or it has ended: what there is to be told is not to wait. */
bool feed_is_gone(struct feed *y);
/* Is `place` behind all that will be looked at? */
bool feed_is_over_at(struct feed *y, const struct ring_place *place);

enum feed_image_answer {
    FEED_IMAGE_HERE,  /* with a reference */
    FEED_IMAGE_WAIT,  /* armed */
    FEED_IMAGE_RETRY, /* no room for the question: in FEED_RETRY_MS */
    FEED_IMAGE_GONE,  /* the mapper is, or the feed has ended */
};
/* An image that is at `from` or behind it, and whose place is still in the spool.
 * `round` is the asker's, 0 at first: which question it waits for. Failures are the mapper's. */
int feed_get_image(struct feed *y, struct feed_member *m, const struct ring_place *from,
                   uint64_t *round, struct feed_image **out, struct failure *f);

/* What the spool holds at its end. */
struct feed_last {
    struct feed_position position; /* behind the newest record; without a segment */
    bool has_end;
    struct feed_end end;
};
/* Reads all that is there: when it is over, and of a feed of domains before it begins. */
int feed_find_last(struct feed *y, struct scratch *x, struct feed_last *out, struct failure *f);
/* The place of the oldest record that is held, with what is before it: of a feed that appends all of it,
 * of others no segment. -ERROR_UNAVAILABLE: not now. -ERROR_DATA_LOSS: also if there is none. */
int feed_find_oldest(struct feed *y, struct scratch *x, struct feed_position *out,
                     struct failure *f);

#endif
