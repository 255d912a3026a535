/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a subscription reads of its feed's spool: record by record, or several batches as one, or only
 * whether anything has changed.
 */
#include "server/resource/subscription.h"

#include <assert.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/scope.h"

enum { MERGE_ENOUGH_BLOCKS = 16384 }; /* 1 MiB: what comes after is another item */

/* --- what one record becomes -------------------------------------------------------------------------- */

static int give_record(struct subscription *u, struct feed_piece *p, struct subscription_item *out)
{
    out->kind = SUBSCRIPTION_RECORD;
    out->record.record = p->record;
    out->record.place = p->place;
    u->piece = p;
    return 0;
}

static int give_still(const struct subscription *u, const struct feed_stamp *stamp,
                      struct subscription_item *out)
{
    out->kind = SUBSCRIPTION_STILL;
    out->still.stamp = *stamp;
    out->still.batch = u->position.batch;
    out->still.samples = u->samples;
    out->still.failures = u->failures;
    return 0;
}

/* BEGIN or END; takes the reference. `at` is behind it. */
static int turn(struct subscription *u, const struct feed_position *at, struct feed_piece *p,
                struct subscription_item *out, struct failure *f)
{
    u->piece = p;
    u->position.place = at->place;
    if (p->record.kind == FEED_RECORD_END) {
        return subscription_end_with(u, p->record.end, out);
    }
    u->position.segment = at->segment;
    u->position.image_bytes = at->image_bytes;
    unsigned reason =
        p->record.begin->reason == FEED_BEGIN_TOO_MANY ? FEED_GAP_TOO_MANY : FEED_GAP_SEGMENT;

    return subscription_get_image(u, reason, &at->place, out, f);
}

/* All up to `place` was read. False: look again. */
static bool is_idle(struct subscription *u, const struct ring_place *place,
                    struct subscription_item *out)
{
    if (feed_arm(u->feed, &u->member, place)) {
        subscription_wait(out, UINT64_MAX);
        return true;
    }
    if (feed_is_over_at(u->feed, place)) {
        subscription_end_with(u, NULL, out);
        return true;
    }
    return false;
}

/* Seen without reading: the rule, behind each record. */
static bool is_at_end(const struct subscription *u)
{
    return ring_view_committed(u->feed->view) == u->position.place.position;
}

/* What was next is overwritten. */
static int overtaken(struct subscription *u, struct subscription_item *out, struct failure *f)
{
    if (u->feed->kind == FEED_FRAMES) {
        return subscription_get_image(u, FEED_GAP_TOO_SLOW, &u->position.place, out, f);
    }
    if (u->feed->kind == FEED_APPEND) {
        return subscription_skip_bytes(u, out, f);
    }
    struct ring_missed missed;
    struct ring_place place = u->position.place;
    int result = ring_view_skip(u->feed->view, RING_OLDEST, &place, &missed, f);

    if (result == -ERROR_UNAVAILABLE) {
        return subscription_wait(out,
                                 clock_monotonic_ns() + SUBSCRIPTION_RETRY_MS * CLOCK_NS_PER_MS);
    }
    if (result == 0) { /* each record is an event; what the oldest one says is held against it */
        subscription_gap(u, FEED_GAP_TOO_SLOW, u->position.batch + missed.records, 0, out);
        u->position.place = place;
        u->position.batch += missed.records;
    }
    return result;
}

/* --- each record -------------------------------------------------------------------------------------- */

static int give_each(struct subscription *u, const struct feed_position *at, struct feed_piece *p,
                     struct subscription_item *out, struct failure *f)
{
    struct feeds_sums *sums = feeds_sums(u->feeds);

    switch (p->record.kind) {
    case FEED_RECORD_CHANGES:
        u->samples += p->record.changes->samples;
        feeds_add(&sums->delivered_batches, at->is_in_batch ? 0 : 1);
        u->position = *at;
        return give_record(u, p, out);
    case FEED_RECORD_DOMAIN:
        feeds_add(&sums->delivered_events, 1);
        u->position = *at;
        return give_record(u, p, out);
    case FEED_RECORD_BYTES:
        u->samples += p->record.bytes->samples;
        feeds_add(&sums->delivered_bytes, p->record.bytes->len_bytes);
        u->position = *at;
        return give_record(u, p, out);
    case FEED_RECORD_LOSS:
        u->samples += p->record.loss->samples;
        u->position = *at;
        return give_record(u, p, out);
    case FEED_RECORD_STILL:
        u->piece = p;
        u->samples += p->record.still->samples;
        u->failures += p->record.still->failures;
        u->position = *at;
        return give_still(u, &p->record.still->stamp, out);
    default: break;
    }
    if (p->record.kind == FEED_RECORD_BEGIN && u->feed->kind == FEED_APPEND) {
        u->position = *at; /* with nothing to be fetched */
        return give_record(u, p, out);
    }
    return turn(u, at, p, out, f);
}

static int read_each(struct subscription *u, struct scratch *x, struct subscription_item *out,
                     struct failure *f)
{
    for (;;) {
        struct feed_position at = u->position;
        struct feed_piece *p = NULL;
        int answer = feed_read(u->feed, &at.place, x, &p, f);

        if (answer == RING_RECORD) {
            answer = feed_position_follow(&at, u->feed->kind, &p->record, f);
            if (answer == 0) {
                return give_each(u, &at, p, out, f);
            }
            feed_piece_unref(p);
        }
        if (answer == RING_OVERTAKEN) {
            return overtaken(u, out, f);
        }
        if (answer < 0 || is_idle(u, &at.place, out)) {
            return answer;
        }
    }
}

/* --- several batches ---------------------------------------------------------------------------------- */

struct gathered {
    struct feed_position at;   /* behind the last batch that is complete */
    struct feed_position read; /* behind the last record */
    uint64_t batches;
    uint64_t samples, failures;   /* up to `at` */
    struct feed_stamp stamp;      /* of the last batch, or of the last sample without changes */
    bool is_still;                /* samples without changes */
    struct feed_piece *first;     /* the first record of changes; a reference */
    struct feed_piece *turn;      /* BEGIN or END, behind which nothing is gathered; a reference */
    struct feed_position turn_at; /* behind it */
};

static void drop_gathered(struct gathered *g)
{
    feed_piece_unref(g->first);
    feed_piece_unref(g->turn);
}

/* `merge` NULL: contents do not matter. */
static int gather_changes(struct gathered *g, struct feed_piece *p, uint64_t *pending,
                          struct merge *merge, struct failure *f)
{
    const struct feed_changes *c = p->record.changes;
    int result = merge != NULL
                     ? merge_add(merge, p->record.blocks, p->record.contents, c->block_count, f)
                     : 0;

    if (result != 0) {
        return result;
    }
    *pending += c->samples;
    if (g->first == NULL) {
        g->first = feed_piece_ref(p);
    }
    if (c->more == 0) {
        g->at = g->read;
        g->batches++;
        g->stamp = c->stamp;
        g->samples += *pending;
        *pending = 0;
        if (merge != NULL) {
            merge_complete(merge);
        }
    }
    return 0;
}

static int gather_record(struct gathered *g, struct feed_piece *p, uint64_t *pending,
                         struct merge *merge, struct failure *f)
{
    const struct feed_still *s = p->record.still;

    if (p->record.kind == FEED_RECORD_CHANGES) {
        return gather_changes(g, p, pending, merge, f);
    }
    g->at = g->read;
    g->samples += s->samples;
    g->failures += s->failures;
    if (g->batches == 0) {
        g->stamp = s->stamp;
        g->is_still = true;
    }
    return 0;
}

/* One look takes no more than so many spools: a mapper that writes just ahead of it would have the thread
 * for ever. An honest one's batch fits into half a spool. */
enum { GATHER_SPOOLS = 2 };

static bool has_enough(const struct subscription *u, const struct gathered *g,
                       const struct merge *merge)
{
    uint64_t read_bytes = g->read.place.position - u->position.place.position;

    return read_bytes > GATHER_SPOOLS * ring_view_capacity(u->feed->view) ||
           (merge != NULL && !g->read.is_in_batch && merge->count >= MERGE_ENOUGH_BLOCKS);
}

/* Reads on from `g->at`: RING_NOTHING, RING_OVERTAKEN, RING_RECORD (there is more, for the next time, or
 * a turn), or a failure: of what is behind the batches that were gathered. */
static int gather(struct subscription *u, struct scratch *x, struct merge *merge,
                  struct gathered *g, struct failure *f)
{
    uint64_t pending = 0;

    g->read = g->at;
    while (!has_enough(u, g, merge)) {
        struct feed_position read = g->read;
        struct feed_piece *p = NULL;
        int answer = feed_read(u->feed, &read.place, x, &p, f);

        if (answer != RING_RECORD) {
            return answer;
        }
        answer = feed_position_follow(&read, u->feed->kind, &p->record, f);
        if (answer == 0 &&
            (p->record.kind == FEED_RECORD_BEGIN || p->record.kind == FEED_RECORD_END)) {
            g->turn = p;
            g->turn_at = read;
            return RING_RECORD;
        }
        if (answer == 0) {
            g->read = read;
            answer = gather_record(g, p, &pending, merge, f);
        }
        feed_piece_unref(p);
        if (answer < 0) {
            return answer;
        }
    }
    return g->read.is_in_batch && g->batches == 0
               ? failure_set(f, ERROR_DATA_LOSS, "a batch of a feed does not end")
               : RING_RECORD;
}

static int give_merged(struct subscription *u, struct gathered *g, struct merge *merge,
                       struct subscription_item *out, struct failure *f)
{
    bool is_one = g->batches == 1 && g->first->record.changes->more == 0;
    uint64_t first_batch = u->position.batch + 1;

    if (!is_one) {
        u->merged = merge_finish(merge);
        if (u->merged == NULL) {
            return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory to merge changes");
        }
        out->kind = SUBSCRIPTION_MERGED;
        out->merged.first_batch = first_batch;
        out->merged.batch = g->at.batch;
        out->merged.segment = g->at.segment;
        out->merged.stamp = g->stamp;
        out->merged.blocks = u->merged->blocks;
        out->merged.contents = u->merged->contents;
        out->merged.block_count = u->merged->block_count;
    } else {
        (void)give_record(u, scope_take_pointer(g->first), out);
    }
    u->position = g->at;
    u->due_ns = clock_monotonic_ns() + u->period_ns;
    feeds_add(&feeds_sums(u->feeds)->delivered_batches, g->batches);
    return 0;
}

/* What is to be done where no batch was gathered. */
static int give_no_batch(struct subscription *u, struct gathered *g, int answer,
                         struct subscription_item *out, struct failure *f)
{
    u->position = g->at;
    if (answer < 0) {
        return answer;
    }
    if (g->is_still) {
        return give_still(u, &g->stamp, out); /* the rest with the next call */
    }
    if (g->turn != NULL) {
        return turn(u, &g->turn_at, scope_take_pointer(g->turn), out, f);
    }
    return overtaken(u, out, f);
}

static bool is_paced(const struct subscription *u)
{
    return u->period_ns > atomic_load_explicit(&u->feed->period_ns, memory_order_relaxed);
}

/* True: there is something, and it is not due. */
static bool is_early(const struct subscription *u)
{
    return is_paced(u) && clock_monotonic_ns() < u->due_ns && !is_at_end(u) &&
           !feed_is_gone(u->feed);
}

static int read_many(struct subscription *u, struct scratch *x, struct subscription_item *out,
                     struct failure *f)
{
    struct merge *merge = u->mode == SUBSCRIPTION_FULL ? NULL : &x->merge;

    for (;;) {
        if (is_early(u)) {
            return subscription_wait(out, u->due_ns);
        }
        __attribute__((cleanup(drop_gathered))) struct gathered g = { .at = u->position };

        merge_reset(&x->merge);
        int answer = gather(u, x, merge, &g, f);

        u->samples += g.samples;
        u->failures += g.failures;
        if (g.batches > 0) {
            return merge != NULL ? give_merged(u, &g, merge, out, f)
                                 : subscription_get_image(u, 0, &g.at.place, out, f);
        }
        if (answer != RING_NOTHING || g.is_still) {
            return give_no_batch(u, &g, answer, out, f);
        }
        if (is_idle(u, &g.read.place, out)) {
            return 0;
        }
    }
}

static struct scratch *take_scratch(struct subscription *u, struct failure *f)
{
    uint32_t room_bytes = ring_record_max(ring_view_capacity(u->feed->view));
    struct scratch *x = scratches_take(feeds_scratches(u->feeds), room_bytes);

    if (x == NULL) {
        failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory to read a feed");
        failure_retry(f, 0, FAILURE_RETRY_SOON_MS);
    }
    return x;
}

int subscription_read(struct subscription *u, struct subscription_item *out, struct failure *f)
{
    if (is_at_end(u) && is_idle(u, &u->position.place, out)) {
        return 0;
    }
    struct scratch *x = take_scratch(u, f);

    if (x == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    bool is_each = u->feed->kind != FEED_FRAMES || u->position.is_in_batch ||
                   (u->mode == SUBSCRIPTION_DELTA && !is_paced(u));
    int result = is_each ? read_each(u, x, out, f) : read_many(u, x, out, f);

    scratches_give(feeds_scratches(u->feeds), x);
    return result;
}

/* --- what the spool holds ----------------------------------------------------------------------------- */

int subscription_find_last(struct subscription *u, struct feed_last *out, struct failure *f)
{
    struct scratch *x = take_scratch(u, f);
    int result = x != NULL ? feed_find_last(u->feed, x, out, f) : -ERROR_RESOURCE_EXHAUSTED;

    scratches_give(feeds_scratches(u->feeds), x);
    return result;
}

int subscription_find_oldest(struct subscription *u, struct feed_position *out, struct failure *f)
{
    struct scratch *x = take_scratch(u, f);
    int result = x != NULL ? feed_find_oldest(u->feed, x, out, f) : -ERROR_RESOURCE_EXHAUSTED;

    scratches_give(feeds_scratches(u->feeds), x);
    return result;
}
