/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The table of feeds, and what the mapper is told of them: the inside of feeds.h, for feeds.c and
 * feeds_table.c. All functions with the table's lock.
 *
 * WATCH and UNWATCH are sent with it, so that they arrive in the order in which the table changes: else an
 * UNWATCH of a feed that was let go could end the one that was asked for after it.
 */
#ifndef XENRES_RESOURCE_FEEDS_TABLE_H
#define XENRES_RESOURCE_FEEDS_TABLE_H

#include "server/resource/feed_keeper.h"

enum { FEEDS_TABLE_BUCKETS = 1024 };

/* A feed with a spool. One array of them, to be looked over quickly. */
struct live {
    const struct ring_view *view;
    uint64_t seen; /* how far it was written when it was looked at last */
    struct feed *feed;
};

/* One that was seen to have moved. */
struct moved {
    struct feed *feed; /* counted */
    bool has_ended;    /* its last record is there, and it is no longer in the table */
};

struct feeds {
    atomic_uint refs; /* one, and one for each feed */
    struct mapper_client *mapper;
    struct feeds_options options;
    pthread_t thread;
    int wake_fd;
    atomic_bool stop;
    _Atomic uint64_t due_ns;
    struct feeds_sums sums;
    struct scratches scratches;

    pthread_mutex_t lock; /* of what follows */
    struct feed *buckets[FEEDS_TABLE_BUCKETS];
    struct live *lives; /* feeds_max */
    uint32_t feed_count, live_count, subscriber_count;
    uint64_t spool_bytes;
    struct holders holders;
    int doorbell_fd; /* for the thread to take; -1 */
    bool is_stopping;

    struct moved *moved; /* feeds_max: the thread's own */
};

struct feed *feeds_table_find(struct feeds *s, const struct feed_source *source); /* NULL */
/* One that is held for nobody makes room for another: the one for which nobody came longest, of those that
 * `payer` pays for; NULL: of all. False: there is none, or the mapper cannot be told. */
bool feeds_table_make_room(struct feeds *s, const struct holder *payer);
void feeds_table_list(struct feeds *s, struct feed *y, struct holder *payer);
/* May he have a spool of so many bytes more; 0: of any? What he has for nobody goes first. */
int feeds_table_check_payer(struct feeds *s, const struct holder *payer, uint64_t spool_bytes,
                            struct failure *f);
/* He comes to a feed that is there: one that lingers is his from now on, if he may have it. */
int feeds_table_take_over(struct feeds *s, struct feed *y, struct holder *payer, struct failure *f);
/* Another pays from now on. Where it is in the table. */
void feeds_table_hand_over(struct feeds *s, struct feed *y, struct holder *payer);
/* Takes the table's reference away: the caller has one, or does not look at the feed any more. */
void feeds_table_unlist(struct feeds *s, struct feed *y);

/* It is over, for whoever comes; the mapper is told. The caller has a reference, and ends it for those who
 * are there with feed_go(). */
void feeds_table_retire(struct feeds *s, struct feed *y);

/* Asks the mapper for a feed, or for another period of it; sooner or later, with its answer, that is
 * LIVE or FAILED. May end and unlist it at once: the caller has a reference. */
void feeds_table_ask(struct feeds *s, struct feed *y);
/* Nobody wants it any more. False: the mapper cannot be told now. */
bool feeds_table_let_go(struct feeds *s, struct feed *y);
/* Sooner if `*due_ns` is later: sets it, and has the thread look by then. */
void feeds_table_look_again(struct feeds *s, uint64_t *due_ns, uint64_t in_ms);

/* The end of the doorbell to wait at, where it was not taken yet, for the thread. */
void feeds_table_take_doorbell(struct feeds *s);

#endif
