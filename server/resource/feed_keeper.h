/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the owner of all feeds (feeds.c) does for one of them (feed.c) and for a subscription
 * (subscription.c). Any thread; each takes the table's lock but where it says otherwise.
 */
#ifndef XENRES_RESOURCE_FEED_KEEPER_H
#define XENRES_RESOURCE_FEED_KEEPER_H

#include "server/resource/feed.h"
#include "server/resource/holders.h"

/* struct feeds_counters, by many threads at once. */
struct feeds_sums {
    _Atomic uint64_t delivered_batches, delivered_events;
    _Atomic uint64_t gaps[FEED_GAP_RESUMED + 1];
    _Atomic uint64_t lost_batches, lost_blocks, images, wakes;
    _Atomic uint64_t delivered_bytes, lost_bytes;
    _Atomic uint64_t refused_streams, refused_streams_in_all, refused_feeds, refused_spools;
};
/* No locks. */
struct feeds_sums *feeds_sums(struct feeds *s);
struct scratches *feeds_scratches(struct feeds *s);
struct mapper_client *feeds_mapper(struct feeds *s);

static inline void feeds_add(_Atomic uint64_t *sum, uint64_t count)
{
    atomic_fetch_add_explicit(sum, count, memory_order_relaxed);
}

struct feeds *feeds_ref(struct feeds *s);
void feeds_unref(struct feeds *s);

/* The thread looks after things by then, or now. No locks. */
void feeds_look_by(struct feeds *s, uint64_t at_ns);
void feeds_poke(struct feeds *s);

/* Makes `m` a member of the feed of a source, made where there is none; a reference to the feed is the
 * caller's. `m` is armed, or was waked. */
int feeds_join(struct feeds *s, const struct subscription_request *request, struct feed_member *m,
               struct feed **out, struct failure *f);
/* The other way; takes the reference. */
void feeds_leave(struct feeds *s, struct feed *y, struct feed_member *m);
/* Its end was read: who comes gets another one. */
void feeds_retire(struct feeds *s, struct feed *y);

#endif
