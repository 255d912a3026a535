/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Many threads, each subscribed to a feed that appends, beside a mapper that writes as fast as it can: each
 * byte is told once, in its place, or is in a gap. Meant for the thread sanitizer as well.
 */
#include "tests/lib/append_play.h"
#include "tests/lib/feeds_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/ring_records.h"

enum {
    READERS = 6,
    RECORDS = 25000,
    SEGMENT_EVERY = 125, /* records */
    CUT_EVERY = 150,     /* items */
};

static atomic_uint done_count; /* readers at the end */

struct reader {
    struct feeds_rig *rig;
    struct watcher w;
    uint64_t base, delivered, lost, open_losses; /* base: before it began */
    uint32_t segment;
    bool is_begun, is_resuming;
    uint64_t items, cuts, gaps;
    struct feed_cursor cursor;
    bool has_cursor;
};

static uint64_t next_byte(const struct reader *v)
{
    return v->base + v->delivered + v->lost;
}

static void subscribe(struct reader *v)
{
    struct subscription_request request = rig_request(&v->w, 0, SUBSCRIPTION_DELTA);

    request.source.type = RESOURCE_VMTRACE_BUF;
    request.deadline_ns = 0;
    request.cursor = v->has_cursor ? &v->cursor : NULL;
    v->is_resuming = v->has_cursor;
    v->is_begun = v->has_cursor = false;
    RING_MUST(subscription_begin(v->rig->feeds, &request, &v->w.u, NULL) == 0);
}

static void take_begun(struct reader *v, const struct subscription_item *item)
{
    RING_MUST(item->begun.resumed == v->is_resuming && !v->is_begun);
    v->is_begun = true;
    if (!v->is_resuming) {
        v->base = item->begun.at.bytes_before;
        v->delivered = v->lost = 0;
        v->open_losses = item->begun.batch;
        v->segment = item->begun.at.segment;
    }
    RING_MUST(item->begun.at.bytes_before == next_byte(v) && item->begun.at.segment == v->segment);
}

/* What the source made follows from its number over all segments: here, open losses are exact. */
static void take_bytes(struct reader *v, const struct feed_record *r)
{
    RING_MUST(r->bytes->bytes_before == next_byte(v) && r->bytes->segment == v->segment);
    for (uint32_t i = 0; i < r->bytes->len_bytes; i++) {
        RING_MUST(r->contents[i] == append_byte(next_byte(v) + i));
    }
    v->delivered += r->bytes->len_bytes;
}

static void take_record(struct reader *v, const struct feed_record *r)
{
    switch (r->kind) {
    case FEED_RECORD_BEGIN:
        RING_MUST(r->begin->blocks_before == next_byte(v));
        RING_MUST(r->begin->batch == v->open_losses);
        v->segment = r->begin->segment;
        break;
    case FEED_RECORD_BYTES: take_bytes(v, r); break;
    case FEED_RECORD_LOSS:
        RING_MUST(r->loss->bytes_before == next_byte(v));
        v->lost += r->loss->len_bytes;
        v->open_losses += r->loss->at_least;
        break;
    default: RING_MUST(false);
    }
}

/* False: it was the end. */
static bool take(struct reader *v, const struct subscription_item *item)
{
    switch (item->kind) {
    case SUBSCRIPTION_BEGUN: take_begun(v, item); break;
    case SUBSCRIPTION_RECORD: take_record(v, &item->record.record); break;
    case SUBSCRIPTION_GAP:
        v->gaps++;
        v->lost += item->gap.blocks;
        v->open_losses = item->gap.batch;
        v->segment = item->gap.at.segment;
        RING_MUST(item->gap.at.bytes_before == next_byte(v));
        break;
    case SUBSCRIPTION_ENDED:
        RING_MUST(item->ended.bytes == next_byte(v) && item->ended.batch == v->open_losses);
        return false;
    case SUBSCRIPTION_IMAGE:
    case SUBSCRIPTION_MERGED: RING_MUST(false);
    case SUBSCRIPTION_STILL:
    case SUBSCRIPTION_NOTHING: break;
    }
    return true;
}

static void cut(struct reader *v)
{
    if (++v->items % CUT_EVERY == 0 && subscription_cursor(v->w.u, &v->cursor)) {
        RING_MUST(v->cursor.blocks_before == next_byte(v));
        v->has_cursor = true;
        v->cuts++;
        watcher_end(&v->w);
        subscribe(v);
    }
}

static void *read_to_the_end(void *arg)
{
    struct reader *v = arg;

    subscribe(v);
    for (;;) {
        struct subscription_item item;
        struct failure f = { 0 };
        unsigned before = watcher_wakes(&v->w);
        int result = subscription_next(v->w.u, &item, &f);

        if (result != 0) {
            RING_MUST(result == -ERROR_OUT_OF_RANGE && v->is_resuming && !v->is_begun);
            watcher_end(&v->w);
            subscribe(v);
        } else if (item.kind == SUBSCRIPTION_NOTHING) {
            if (item.wake_ns == UINT64_MAX) {
                watcher_wait(&v->w, before);
            }
        } else if (!take(v, &item)) {
            break;
        } else {
            cut(v);
        }
    }
    watcher_end(&v->w);
    atomic_fetch_add(&done_count, 1);
    return NULL;
}

static void publish(struct feeds_rig *r, struct append_play *p, uint64_t count)
{
    uint64_t x = ring_records_mix(count);

    if (count % SEGMENT_EVERY == 0) {
        if (x % 2 == 0) {
            append_open_loss(p, x % 1000, 0);
        }
        append_begin(p, x % 2 == 0 ? FEED_BEGIN_LOSS : FEED_BEGIN_RESET);
    } else if (x % 8 == 0) {
        append_loss(p, 1 + x % 500);
    } else {
        append_bytes(p, 1 + x % 400);
    }
    rig_ring(r);
}

static void each_byte_is_told_once_or_is_in_a_gap(void **state)
{
    static const struct feeds_options options = { .feeds_max = 1,
                                                  .subscribers_max = READERS,
                                                  .subscribers_per_identity = READERS,
                                                  .linger_ms = 60000 };
    static struct feeds_rig r;
    static struct append_play p;
    static struct reader readers[READERS];
    pthread_t threads[READERS];
    struct feeds_counters c;
    uint64_t cuts = 0, gaps = 0;

    (void)state;
    rig_begin(&r, &options);
    append_new(&p, 1);
    r.plays[0] = &p.feed;
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){ .rig = &r, .w = WATCHER_INIT };
        assert_int_equal(pthread_create(&threads[i], NULL, read_to_the_end, &readers[i]), 0);
    }
    for (uint64_t count = 1; count <= RECORDS; count++) {
        (void)rig_serve_one(&r, count % 32 == 0 ? 1 : 0);
        publish(&r, &p, count);
    }
    append_end(&p, FEED_END_RESOURCE);
    rig_ring(&r);
    while (atomic_load(&done_count) < READERS) {
        (void)rig_serve_one(&r, 1);
    }
    feeds_count(r.feeds, &c);
    assert_int_equal(c.subscribers, 0);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(next_byte(&readers[i]), p.spool.blocks);
        cuts += readers[i].cuts;
        gaps += readers[i].gaps;
    }
    assert_true(cuts > 0 && gaps > 0);
    printf("%llu bytes delivered, %llu lost in %llu gaps, %llu cuts\n",
           (unsigned long long)c.delivered_bytes, (unsigned long long)c.lost_bytes,
           (unsigned long long)gaps, (unsigned long long)cuts);
    rig_end(&r);
    append_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_is_told_once_or_is_in_a_gap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
