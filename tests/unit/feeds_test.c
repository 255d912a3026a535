/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* One subscription after the other: what it is told, in what order, with which numbers. */
#include "tests/lib/feeds_rig.h"

static const struct feeds_options plenty = {
    .feeds_max = 64,
    .subscribers_max = 64,
    .subscribers_per_identity = 64,
    .linger_ms = 60000,
};

/* A mapper with one feed, of four blocks. */
static void set_up(struct feeds_rig *r, struct feed_source_play *p)
{
    rig_begin(r, &plenty);
    feed_play_new(p, 4096, 4, 1);
    r->plays[0] = p;
    feed_play_begin(p, FEED_BEGIN_START, 0, 0);
}

static void tear_down(struct feeds_rig *r, struct feed_source_play *p)
{
    rig_end(r);
    feed_play_free(p);
}

static void an_image_comes_first_and_then_each_batch(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;
    size_t len = 0;

    (void)state;
    set_up(&r, &p);
    feed_play_change(&p, 2, 0x11);
    struct subscription_request request = rig_request(&w, 0, SUBSCRIPTION_DELTA);

    watcher_begin(&r, &w, &request);
    watcher_next(&r, &w, SUBSCRIPTION_BEGUN, &item);
    assert_memory_equal(item.begun.feed_id, p.id, sizeof(p.id));
    assert_int_equal(item.begun.batch, 1);
    assert_false(item.begun.resumed);
    watcher_next(&r, &w, SUBSCRIPTION_IMAGE, &item);
    assert_int_equal(item.image.answer.batch, 1);
    assert_int_equal(item.image.first_batch, 0);
    assert_memory_equal(mapper_slot_bytes(item.image.slot, &len), p.image, 4 * FEED_BLOCK_BYTES);
    assert_int_equal(len, 4 * FEED_BLOCK_BYTES);
    watcher_nothing(&w);
    feed_play_change(&p, 3, 0x22);
    feed_play_still(&p, 7, 1);
    rig_ring(&r);
    watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
    assert_int_equal(item.record.record.kind, FEED_RECORD_CHANGES);
    assert_int_equal(item.record.record.changes->batch, 2);
    assert_int_equal(item.record.record.blocks[0], 3);
    assert_int_equal(item.record.record.contents[0], 0x22);
    assert_true(subscription_lag(w.u) > 0);
    watcher_next(&r, &w, SUBSCRIPTION_STILL, &item);
    assert_int_equal(item.still.samples, 8);
    assert_int_equal(item.still.failures, 1);
    assert_int_equal(subscription_lag(w.u), 0);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void the_end_of_a_feed_is_the_last_that_is_told(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;
    struct feed_cursor cursor;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &w, 0, SUBSCRIPTION_DELTA, &item);
    assert_true(subscription_cursor(w.u, &cursor));
    feed_play_change(&p, 0, 1);
    feed_play_end(&p, FEED_END_INCARNATION);
    rig_ring(&r);
    watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
    watcher_next(&r, &w, SUBSCRIPTION_ENDED, &item);
    assert_int_equal(item.ended.end.reason, FEED_END_INCARNATION);
    assert_int_equal(item.ended.batch, 1);
    assert_false(item.ended.mapper_gone);
    assert_false(subscription_cursor(w.u, &cursor));
    watcher_nothing(&w);
    rig_serve_next(&r, MESSAGE_UNWATCH);
    watcher_end(&w);
    tear_down(&r, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_comes_first_and_then_each_batch),
        cmocka_unit_test(the_end_of_a_feed_is_the_last_that_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
