/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One who watches, by xenres_watch() in a strand of its own, and its books: what it was told, number by
 * number, held against what the pages held and against what was produced.
 */
#ifndef XENRES_TESTS_CHAIN_RECEIVER_H
#define XENRES_TESTS_CHAIN_RECEIVER_H

#include "tests/lib/chain_mapper.h"
#include "tests/lib/chain_wire.h"

#include "client/include/xenres/watch.h"

static struct chain_mapper mapper;

struct receiver {
    struct wire_end end; /* first */
    pthread_t thread;
    xenres_watch_query query;
    xenres_image *image;

    const struct chain_feed *feed; /* whose numbers these are; NULL: it has not begun */
    bool is_known;                 /* there was content: from here on, every number counts */
    uint64_t at, started_at;       /* the last number that was delivered or declared lost */
    uint32_t segment;
    bool may_overlap;      /* behind a cut, merged changes may begin with what has come already */
    bool is_void;          /* content has to come before changes */
    uint64_t batch_blocks; /* of the batch whose parts come */
    uint64_t delivered, lost;
    bool has_ended, is_over;
    int result;
    xenres_error error;
};

static struct totals {
    uint64_t delivered, lost, images, merged, batches, gaps[8], gaps_found[4];
    uint64_t cuts, resumed, anew, ends, given_up, points;
    uint64_t feeds_delivered, feeds_lost; /* what xenresd itself has counted */
} totals;

static bool is_delta(const struct receiver *v)
{
    return v->query.mode == XENRES_WATCH_DELTA;
}

/* Its image is what the pages held. */
static const struct truth_point *compare(struct receiver *v)
{
    const struct truth_point *p = truth_at(&v->feed->truth, v->segment, v->at);
    size_t len_bytes;
    uint64_t sequence;
    const void *bytes = xenres_image_bytes(v->image, &len_bytes, &sequence);

    MUST(p != NULL);
    if (!v->query.decode) {
        MUST(bytes != NULL && sequence == v->at && len_bytes == p->len_bytes);
        MUST(truth_hash(bytes, len_bytes) == p->hash);
    }
    totals.points++;
    return p;
}

static int on_begin(void *arg, const xenres_watch_begin *b)
{
    struct receiver *v = arg;
    char id[2 * FEED_ID_BYTES + 1];
    const struct chain_feed *feed = NULL;

    for (unsigned i = 0; i < mapper.feed_count; i++) {
        text_from_hex(mapper.feeds[i]->id, FEED_ID_BYTES, id);
        feed = strcmp(id, b->feed) == 0 ? mapper.feeds[i] : feed;
    }
    MUST(feed != NULL && !v->has_ended);
    v->batch_blocks = 0;
    v->may_overlap = b->resumed;
    if (b->resumed) {
        MUST(feed == v->feed && b->sequence == v->at && !v->is_void);
        totals.resumed++;
        return 0;
    }
    totals.anew++;
    v->is_known = v->is_known && feed == v->feed;
    v->feed = feed;
    v->is_void = true;
    return 0;
}

/* Numbers up to `sequence` are delivered. */
static void deliver(struct receiver *v, uint64_t first, uint64_t sequence)
{
    MUST(first == v->at + 1 && sequence >= first);
    v->delivered += sequence - v->at;
    totals.delivered += sequence - v->at;
    v->at = sequence;
}

/* All of it has come, as of `sequence`. */
static void take_content(struct receiver *v, uint64_t first, uint64_t sequence, uint32_t segment)
{
    if (!v->is_known) {
        MUST(first == 0);
        v->at = v->started_at = sequence;
        v->delivered = v->lost = 0;
        v->is_known = true;
    } else if (first != 0) {
        deliver(v, first, sequence);
    }
    MUST(v->at == sequence);
    v->segment = segment;
    v->is_void = false;
    totals.images++;
}

static int on_image(void *arg, const xenres_watch_image *i)
{
    struct receiver *v = arg;
    static uint64_t sampled_ns;

    MUST(!v->query.decode && xenres_image_apply_piece(v->image, i, NULL) == 0);
    sampled_ns = i->observation != NULL ? i->observation->monotonic_ns : sampled_ns;
    if (i->complete) {
        take_content(v, i->first_sequence, i->sequence, i->segment);
        const struct truth_point *p = compare(v);

        MUST(i->observation == NULL ||
             (i->observation->monotonic_ns >= p->first_ns && sampled_ns <= p->last_ns));
    }
    return 0;
}

/* Are the blocks of it those that differed? */
static void check_blocks(const struct receiver *v, const xenres_watch_changes *c)
{
    const struct truth *t = &v->feed->truth;
    uint64_t produced = truth_blocks(t, c->sequence) - truth_blocks(t, c->first_sequence - 1);

    if (c->first_sequence == c->sequence) {
        MUST(v->batch_blocks == produced || (v->may_overlap && v->batch_blocks > produced));
        totals.batches++;
    } else {
        MUST(v->batch_blocks <= produced || v->may_overlap);
        totals.merged++;
    }
}

static int on_changes(void *arg, const xenres_watch_changes *c)
{
    struct receiver *v = arg;

    MUST(!v->query.decode && !v->is_void && v->query.mode != XENRES_WATCH_FULL);
    MUST(c->segment == v->segment && c->first_sequence == v->at + 1);
    MUST(xenres_image_apply_changes(v->image, c, NULL) == 0);
    v->batch_blocks += c->block_count;
    if (!c->more) {
        check_blocks(v, c);
        deliver(v, c->first_sequence, c->sequence);
        v->batch_blocks = 0;
        v->may_overlap = false;
        MUST(c->sampled.monotonic_ns == compare(v)->first_ns);
    }
    return 0;
}

static int on_decoded(void *arg, const xenres_watch_decoded *d)
{
    struct receiver *v = arg;

    MUST(v->query.decode && (d->whole || !v->is_void));
    if (d->more) {
        return 0;
    }
    if (d->whole) {
        take_content(v, d->first_sequence, d->sequence, d->segment);
    } else {
        deliver(v, d->first_sequence, d->sequence);
    }
    (void)compare(v);
    return 0;
}

static int on_gap(void *arg, const xenres_watch_gap *g)
{
    struct receiver *v = arg;
    bool is_found = g->reason > XENRES_GAP_RESUMED;

    /* In other modes an image has what was passed over, as long as there is one to be had. */
    MUST(is_found || is_delta(v) || g->reason == XENRES_GAP_RESUMED || !feed_is_live(v->feed));
    totals.gaps[is_found ? 0 : g->reason]++;
    totals.gaps_found[is_found ? g->reason - XENRES_GAP_INTERRUPTED : 3]++;
    if (g->sequence == 0) {
        MUST(!g->exact);
    } else {
        const struct truth *t = &v->feed->truth;

        MUST(v->is_known && g->first_sequence == v->at + 1 && g->sequence > v->at);
        MUST(g->sequence <= feed_batch(v->feed));
        MUST(g->blocks == 0 ||
             g->blocks + v->batch_blocks == truth_blocks(t, g->sequence) - truth_blocks(t, v->at));
        v->lost += g->sequence - v->at;
        totals.lost += g->sequence - v->at;
        v->at = g->sequence;
    }
    v->batch_blocks = 0; /* parts of a batch whose rest is lost */
    v->is_void = true;
    return 0;
}

static int on_checkpoint(void *arg, const xenres_watch_checkpoint *c)
{
    const struct receiver *v = arg;

    MUST(v->is_known && !v->is_void && v->batch_blocks == 0 && c->sequence == v->at);
    return 0;
}

static int on_heartbeat(void *arg, const xenres_watch_heartbeat *h)
{
    const struct receiver *v = arg;

    MUST(!v->is_known || h->sequence == v->at);
    return 0;
}

static int on_end(void *arg, const xenres_watch_end *e)
{
    struct receiver *v = arg;

    MUST(!v->has_ended && v->feed != NULL);
    if (e->sequence != 0) {
        MUST(v->feed->sampling.is_over && e->sequence == feed_batch(v->feed));
        MUST(!v->is_known || v->at == e->sequence);
    }
    v->has_ended = true;
    totals.ends++;
    return 0;
}

static int on_interrupted(void *arg, const xenres_watch_interruption *i)
{
    struct receiver *v = arg;

    MUST(!v->is_known || i->sequence == v->at);
    v->batch_blocks = 0;
    return 0;
}

static void *receive(void *arg)
{
    struct receiver *v = arg;
    const xenres_watch_sink sink = { .size = sizeof(sink),
                                     .begin = on_begin,
                                     .image = on_image,
                                     .changes = on_changes,
                                     .decoded = on_decoded,
                                     .gap = on_gap,
                                     .checkpoint = on_checkpoint,
                                     .heartbeat = on_heartbeat,
                                     .end = on_end,
                                     .interrupted = on_interrupted,
                                     .arg = v };

    v->result = xenres_watch(&v->end.handle, &v->query, &sink, &v->error);
    v->is_over = true;
    return NULL;
}

static void receiver_begin(struct receiver *v)
{
    static const struct {
        uint32_t type, id, frame_count;
        bool decode;
    } kinds[] = {
        { XENRES_GRANT_TABLE, GRANT_TABLE_SHARED, XENRES_ALL, false },
        { XENRES_GRANT_TABLE, GRANT_TABLE_SHARED, XENRES_ALL, false },
        { XENRES_GRANT_TABLE, GRANT_TABLE_SHARED, XENRES_ALL, false },
        { XENRES_GRANT_TABLE, GRANT_TABLE_STATUS, XENRES_ALL, false },
        { XENRES_GRANT_TABLE, GRANT_TABLE_SHARED, XENRES_ALL, true },
        { XENRES_IOREQ_SERVER, 0, IOREQ_FRAMES, false },
        { XENRES_IOREQ_SERVER, 0, IOREQ_FRAMES, true },
    };
    uint32_t kind = chance(sizeof(kinds) / sizeof(kinds[0]));

    *v = (struct receiver){ .query =
                                XENRES_WATCH_QUERY_INIT("a", kinds[kind].type, kinds[kind].id) };
    v->query.frame_count = kinds[kind].frame_count;
    v->query.decode = kinds[kind].decode;
    v->query.mode = XENRES_WATCH_DELTA + (chance(2) == 0 ? chance(3) : 0);
    v->query.period_ms = CHOOSE(1, 20, 20, 40, 60, 150, 400);
    v->query.outage_max_ms = 60 * 1000;
    v->end.credit = chance(4);
    v->end.handle.message_max_bytes = WIRE_MESSAGE_MAX_BYTES;
    v->end.handle.timeout_ms = 30 * 1000;
    v->end.handle.retry_wait_ms = 20;
    MUST(cancel_init(&v->end.handle.cancel));
    MUST(xenres_image_new(0, &v->image, NULL) == 0);
    MUST(pthread_create(&v->thread, NULL, receive, v) == 0);
}

static bool is_caught_up(const struct receiver *v)
{
    const struct chain_feed *y = v->feed;

    return v->is_over ||
           (y != NULL && v->is_known && !v->is_void && feed_is_live(y) && v->at == feed_batch(y) &&
            v->segment == y->sampling.spool.segment && v->batch_blocks == 0);
}

/* What a watch may fail with: what the gateway refused, and never a stream that broke its promise. */
static void check_result(const struct receiver *v, bool is_cancelled)
{
    if (v->result == 0) {
        MUST(v->has_ended);
    } else if (is_cancelled && v->result == -XENRES_CANCELED) {
        MUST(!v->has_ended);
    } else {
        bool is_broken =
            v->result == -XENRES_DATA_LOSS || strncmp(v->error.message, "the stream ", 11) == 0;

        if (is_broken) {
            fprintf(stderr, "%d: %s\n", v->result, v->error.message);
        }
        MUST(!is_broken);
        totals.given_up++;
    }
}

static void receiver_end(struct receiver *v)
{
    bool was_over = v->is_over;

    v->end.is_cancelled = true;
    xenres_cancel(&v->end.handle);
    (void)pthread_join(v->thread, NULL);
    check_result(v, !was_over);
    if (v->is_known) { /* each number once, from its first content on */
        MUST(v->delivered + v->lost == v->at - v->started_at);
    }
    xenres_image_free(v->image);
    cancel_done(&v->end.handle.cancel);
}

#endif
