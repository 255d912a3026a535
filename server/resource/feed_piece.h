/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Records that were read out of a spool: copied and checked once for all subscribers who come to the same
 * one, with what others made of it. A feed keeps the last few; whoever is at a record holds it longer.
 *
 * A piece is immutable and counted, any thread, but for `made`, which is its feed's lock's, as is a
 * `struct feed_pieces`.
 */
#ifndef XENRES_RESOURCE_FEED_PIECE_H
#define XENRES_RESOURCE_FEED_PIECE_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/ring_view.h"
#include "server/resource/feeds.h"
#include "server/resource/merge.h"

enum {
    FEED_PIECES_BYTES_MAX = 1 << 20, /* that a feed keeps, or one piece */
    FEED_SCRATCHES_KEPT = 8,         /* as many threads read at once, as a rule */
};

struct shared_bytes {
    atomic_uint refs;
    size_t len_bytes;
    uint8_t bytes[];
};
struct shared_bytes *shared_bytes_new(const void *bytes, size_t len_bytes); /* NULL: no memory */
struct shared_bytes *shared_bytes_ref(struct shared_bytes *b);

struct feed_piece {
    atomic_uint refs;
    struct ring_place place, behind;
    struct feed_record record;
    size_t len_bytes;
    struct shared_bytes *made[FEEDS_VARIANTS]; /* counted */
    uint64_t words[];                          /* the record's bytes */
};
struct feed_piece *feed_piece_ref(struct feed_piece *p);
void feed_piece_unref(struct feed_piece *p); /* NULL is fine */

/* The newest ones, as a ring. */
struct feed_pieces {
    struct feed_piece *pieces[FEEDS_SHARED_PER_FEED];
    unsigned next;
    size_t bytes;
};
/* The one at a place, with a reference for the caller; NULL. */
struct feed_piece *feed_pieces_find(struct feed_pieces *k, const struct ring_place *place);
/* Where it is newer than all that are kept. */
void feed_pieces_keep(struct feed_pieces *k, struct feed_piece *p);
/* Keeps what was made of a piece of this feed, where it is kept and there is room; gives back what is
 * to be used, with a reference: `b`, or what another one has made meanwhile. Takes the reference to `b`. */
struct shared_bytes *feed_pieces_share(struct feed_pieces *k, struct feed_piece *p,
                                       unsigned variant, struct shared_bytes *b);
void feed_pieces_drop(struct feed_pieces *k);

/* --- what reading needs for a moment ------------------------------------------------------------------ */

struct scratch {
    struct scratch *next;
    uint64_t *words; /* room for any record of a ring */
    size_t room_bytes;
    struct merge merge;
};
/* Any thread; lock: one, of the list. */
struct scratches {
    pthread_mutex_t lock;
    struct scratch *first;
    unsigned count;
};
void scratches_init(struct scratches *s);
void scratches_done(struct scratches *s);
struct scratch *scratches_take(struct scratches *s, size_t room_bytes); /* NULL: no memory */
void scratches_give(struct scratches *s, struct scratch *x);            /* NULL is fine */

/* The record at `at`, read, checked and copied: RING_RECORD with a reference, and `at` is behind it; else
 * as ring_view_read(). */
int feed_piece_read(const struct ring_view *view, struct ring_place *at, struct scratch *x,
                    struct feed_piece **out, struct failure *f);

#endif
