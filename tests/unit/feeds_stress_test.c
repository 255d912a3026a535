/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Many threads, each with a subscription, beside a mapper that writes as fast as it can: nobody misses a
 * wake, and everybody's books are right. Meant for the thread sanitizer as well.
 */
#include "tests/lib/feeds_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/ring_records.h"

enum {
    FEEDS = 3,
    READERS = 8,
    BATCHES = 20000, /* of each feed */
    BLOCKS = 8,
    CUT_EVERY = 150, /* items */
};

static atomic_uint done_count; /* readers at the end */

struct reader {
    struct feeds_rig *rig;
    struct watcher w;
    uint32_t feed;
    enum subscription_mode mode;
    uint64_t period_ns;
    uint64_t batch;
    bool is_void, is_begun, is_resuming;
    bool is_last_missed; /* a gap: but for DELTA, only at the end, where no image comes any more */
    uint64_t items, cuts;
    uint8_t image[BLOCKS * FEED_BLOCK_BYTES];
    struct feed_cursor cursor;
    bool has_cursor;
};

static void subscribe(struct reader *v)
{
    struct subscription_request request = rig_request(&v->w, v->feed, v->mode);

    request.period_ns = v->period_ns;
    request.deadline_ns = 0;
    request.cursor = v->has_cursor ? &v->cursor : NULL;
    v->is_resuming = v->has_cursor;
    v->is_begun = v->has_cursor = false;
    RING_MUST(subscription_begin(v->rig->feeds, &request, &v->w.u, NULL) == 0);
}

/* A wake that does not come is what this looks for: the wait has an end. */
static void wait_for_wake(struct reader *v, unsigned before, uint64_t wake_ns)
{
    struct timespec until;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t wait_ns = wake_ns == UINT64_MAX ? FAKE_WAIT_MS * CLOCK_NS_PER_MS
                       : wake_ns > now_ns    ? wake_ns - now_ns
                                             : 0;

    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t end_ns = (uint64_t)until.tv_nsec + wait_ns;

    until.tv_sec += (time_t)(end_ns / CLOCK_NS_PER_S);
    until.tv_nsec = (long)(end_ns % CLOCK_NS_PER_S);
    pthread_mutex_lock(&v->w.wakes.lock);
    while (v->w.wakes.count == before &&
           pthread_cond_timedwait(&v->w.wakes.changed, &v->w.wakes.lock, &until) == 0) {
    }
    RING_MUST(wake_ns != UINT64_MAX || v->w.wakes.count != before);
    pthread_mutex_unlock(&v->w.wakes.lock);
}

static void apply(struct reader *v, const uint32_t *blocks, const uint8_t *contents, uint32_t count)
{
    RING_MUST(!v->is_void);
    for (uint32_t i = 0; i < count; i++) {
        RING_MUST(blocks[i] < BLOCKS);
        memcpy(v->image + (size_t)blocks[i] * FEED_BLOCK_BYTES,
               contents + (size_t)i * FEED_BLOCK_BYTES, FEED_BLOCK_BYTES);
    }
}

/* What is made of a record is the same, whoever made it. */
static void share(struct reader *v, uint64_t batch)
{
    size_t len;
    struct shared_bytes *b = subscription_shared(v->w.u, 1);

    if (b == NULL) {
        b = subscription_share(v->w.u, 1, &batch, sizeof(batch));
    }
    RING_MUST(b != NULL && memcmp(shared_bytes_data(b, &len), &batch, sizeof(batch)) == 0);
    shared_bytes_unref(b);
}

static void take_image(struct reader *v, const struct subscription_item *item)
{
    size_t len;
    const void *bytes = mapper_slot_bytes(item->image.slot, &len);

    RING_MUST(len == sizeof(v->image));
    RING_MUST(item->image.first_batch == 0 ? item->image.answer.batch == v->batch
                                           : item->image.first_batch == v->batch + 1);
    memcpy(v->image, bytes, len);
    v->batch = item->image.answer.batch;
    RING_MUST(v->mode == SUBSCRIPTION_DELTA || !v->is_last_missed);
    v->is_void = v->is_last_missed = false;
}

/* False: it was the end. */
static bool take(struct reader *v, const struct subscription_item *item)
{
    const struct feed_record *r = &item->record.record;

    switch (item->kind) {
    case SUBSCRIPTION_BEGUN:
        RING_MUST(item->begun.resumed == v->is_resuming && !v->is_begun);
        RING_MUST(!v->is_resuming || item->begun.batch == v->batch);
        v->is_begun = true;
        v->batch = item->begun.batch;
        v->is_void = !v->is_resuming;
        break;
    case SUBSCRIPTION_IMAGE: take_image(v, item); break;
    case SUBSCRIPTION_RECORD:
        RING_MUST(r->changes->batch == v->batch + 1);
        apply(v, r->blocks, r->contents, r->changes->block_count);
        v->batch = r->changes->batch;
        share(v, v->batch);
        break;
    case SUBSCRIPTION_MERGED:
        RING_MUST(item->merged.first_batch == v->batch + 1);
        apply(v, item->merged.blocks, item->merged.contents, item->merged.block_count);
        v->batch = item->merged.batch;
        break;
    case SUBSCRIPTION_GAP:
        RING_MUST(item->gap.first_batch == v->batch + 1);
        v->batch = item->gap.batch;
        v->is_void = v->is_last_missed = true;
        break;
    case SUBSCRIPTION_ENDED: RING_MUST(item->ended.batch == v->batch); return false;
    case SUBSCRIPTION_STILL:
    case SUBSCRIPTION_NOTHING: break;
    }
    return true;
}

static void cut(struct reader *v)
{
    if (++v->items % CUT_EVERY == 0 && subscription_cursor(v->w.u, &v->cursor)) {
        RING_MUST(v->cursor.batch == v->batch);
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
            wait_for_wake(v, before, item.wake_ns);
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

static void publish(struct feeds_rig *r, struct feed_source_play *plays, uint64_t count)
{
    for (unsigned i = 0; i < FEEDS; i++) {
        uint64_t x = ring_records_mix(count * FEEDS + i);

        feed_play_change(&plays[i], (uint32_t)(x % BLOCKS), (uint8_t)(x >> 8));
        if (x % 64 == 0) {
            feed_play_begin(&plays[i], FEED_BEGIN_REMADE, 0, 0);
        }
    }
    rig_ring(r);
}

static void nobody_misses_a_wake_and_all_books_are_right(void **state)
{
    static const struct feeds_options options = { .feeds_max = FEEDS,
                                                  .subscribers_max = READERS,
                                                  .subscribers_per_identity = READERS,
                                                  .linger_ms = 60000 };
    static struct feeds_rig r;
    static struct feed_source_play plays[FEEDS];
    static struct reader readers[READERS];
    pthread_t threads[READERS];
    struct feeds_counters c;

    (void)state;
    rig_begin(&r, &options);
    for (uint32_t i = 0; i < FEEDS; i++) {
        feed_play_new(&plays[i], 1 << 14, BLOCKS, i + 1);
        feed_play_begin(&plays[i], FEED_BEGIN_START, 0, 0);
        r.plays[i] = &plays[i];
    }
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){ .rig = &r,
                                      .w = WATCHER_INIT,
                                      .feed = i % FEEDS,
                                      .mode = SUBSCRIPTION_DELTA + i / FEEDS % 3,
                                      .period_ns = i % 4 == 3 ? 3 * CLOCK_NS_PER_MS : 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, read_to_the_end, &readers[i]), 0);
    }
    for (uint64_t count = 0; count < BATCHES; count++) {
        (void)rig_serve_one(&r, count % 8 == 0 ? 1 : 0);
        (void)rig_serve(&r);
        publish(&r, plays, count);
    }
    for (unsigned i = 0; i < FEEDS; i++) {
        feed_play_end(&plays[i], FEED_END_RESOURCE);
    }
    rig_ring(&r);
    while (atomic_load(&done_count) < READERS) {
        (void)rig_serve_one(&r, 1);
    }
    feeds_count(r.feeds, &c);
    assert_int_equal(c.subscribers, 0);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].batch, plays[readers[i].feed].batch);
        if (!readers[i].is_void) {
            assert_memory_equal(readers[i].image, plays[readers[i].feed].image,
                                sizeof(readers[i].image));
        }
    }
    printf("%llu batches delivered, %llu lost, %llu images, %llu wakes\n",
           (unsigned long long)c.delivered_batches, (unsigned long long)c.lost_batches,
           (unsigned long long)c.images, (unsigned long long)c.wakes);
    rig_end(&r);
    for (unsigned i = 0; i < FEEDS; i++) {
        feed_play_free(&plays[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_misses_a_wake_and_all_books_are_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
