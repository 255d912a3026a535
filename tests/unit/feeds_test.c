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
    rig_wait_unwatched(&r, 1);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void who_is_overtaken_gets_a_gap_with_numbers_and_an_image(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;
    struct feed_cursor cursor;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &w, 0, SUBSCRIPTION_DELTA, &item);
    feed_play_change(&p, 0, 1);
    watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
    for (uint8_t i = 0; i < 100; i++) {
        feed_play_change(&p, i % 4, i);
    }
    watcher_next(&r, &w, SUBSCRIPTION_GAP, &item);
    assert_int_equal(item.gap.reason, FEED_GAP_TOO_SLOW);
    assert_int_equal(item.gap.first_batch, 2);
    assert_int_equal(item.gap.batch, 101);
    assert_int_equal(item.gap.blocks, 100);
    assert_false(subscription_cursor(w.u, &cursor));
    watcher_next(&r, &w, SUBSCRIPTION_IMAGE, &item);
    assert_int_equal(item.image.answer.batch, 101);
    assert_int_equal(item.image.first_batch, 0);
    assert_true(subscription_cursor(w.u, &cursor));
    assert_int_equal(cursor.batch, 101);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void who_lost_nothing_but_idle_samples_gets_no_gap(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &w, 0, SUBSCRIPTION_DELTA, &item);
    for (int i = 0; i < 200; i++) {
        feed_play_still(&p, 1, 0);
    }
    struct subscription_item nothing;

    assert_int_equal(subscription_next(w.u, &nothing, NULL), 0); /* the image is asked for */
    assert_int_equal(nothing.kind, SUBSCRIPTION_NOTHING);
    rig_serve_next(&r, MESSAGE_IMAGE);
    feed_play_change(&p, 1, 1);
    rig_ring(&r);
    watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
    assert_int_equal(item.record.record.changes->batch, 1);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void the_latest_is_what_several_batches_come_to(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &w, 0, SUBSCRIPTION_LATEST, &item);
    feed_play_change(&p, 3, 1);
    feed_play_change(&p, 1, 2);
    feed_play_change(&p, 3, 4);
    watcher_next(&r, &w, SUBSCRIPTION_MERGED, &item);
    assert_int_equal(item.merged.first_batch, 1);
    assert_int_equal(item.merged.batch, 3);
    assert_int_equal(item.merged.block_count, 2);
    assert_int_equal(item.merged.blocks[0], 1);
    assert_int_equal(item.merged.blocks[1], 3);
    assert_int_equal(item.merged.contents[0], 2);
    assert_int_equal(item.merged.contents[FEED_BLOCK_BYTES], 4);
    feed_play_change(&p, 0, 9); /* one comes as it is, so that it can be shared */
    rig_ring(&r);
    watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
    assert_int_equal(item.record.record.changes->batch, 4);
    for (uint8_t i = 0; i < 100; i++) {
        feed_play_change(&p, i % 4, i);
    }
    rig_ring(&r);
    watcher_next(&r, &w, SUBSCRIPTION_IMAGE, &item);
    assert_int_equal(item.image.first_batch, 5);
    assert_int_equal(item.image.answer.batch, 104);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void parts_of_a_batch_that_is_not_complete_are_not_merged(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &w, 0, SUBSCRIPTION_LATEST, &item);
    feed_play_part(&p, &(uint32_t){ 0 }, 1, true);
    watcher_nothing(&w);
    feed_play_part(&p, &(uint32_t){ 2 }, 1, false);
    rig_ring(&r);
    watcher_next(&r, &w, SUBSCRIPTION_MERGED, &item);
    assert_int_equal(item.merged.batch, 1);
    assert_int_equal(item.merged.block_count, 2);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void there_is_no_cursor_in_the_midst_of_a_batch(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;
    struct feed_cursor cursor;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &w, 0, SUBSCRIPTION_DELTA, &item);
    feed_play_part(&p, &(uint32_t){ 0 }, 1, true);
    watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
    assert_false(subscription_cursor(w.u, &cursor));
    feed_play_part(&p, &(uint32_t){ 2 }, 1, false);
    rig_ring(&r);
    watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
    assert_true(subscription_cursor(w.u, &cursor));
    watcher_end(&w);
    tear_down(&r, &p);
}

static void full_gets_a_whole_image_where_something_has_changed(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &w, 0, SUBSCRIPTION_FULL, &item);
    feed_play_still(&p, 1, 0);
    watcher_next(&r, &w, SUBSCRIPTION_STILL, &item);
    assert_int_equal(r.images, 1);
    feed_play_change(&p, 0, 1);
    feed_play_change(&p, 0, 2);
    rig_ring(&r);
    watcher_next(&r, &w, SUBSCRIPTION_IMAGE, &item);
    assert_int_equal(item.image.first_batch, 1);
    assert_int_equal(item.image.answer.batch, 2);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void a_longer_period_is_waited_for(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher quick = WATCHER_INIT, slow = WATCHER_INIT;
    struct subscription_item item;
    const uint64_t hour_ns = 3600 * CLOCK_NS_PER_S;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &quick, 0, SUBSCRIPTION_DELTA, &item);
    struct subscription_request request = rig_request(&slow, 0, SUBSCRIPTION_DELTA);

    request.period_ns = hour_ns;
    watcher_begin(&r, &slow, &request);
    watcher_next(&r, &slow, SUBSCRIPTION_BEGUN, &item);
    assert_true(item.begun.period_ns == hour_ns);
    watcher_next(&r, &slow, SUBSCRIPTION_IMAGE, &item);
    feed_play_change(&p, 0, 1);
    assert_int_equal(subscription_next(slow.u, &item, NULL), 0);
    assert_int_equal(item.kind, SUBSCRIPTION_NOTHING);
    assert_true(item.wake_ns != UINT64_MAX &&
                item.wake_ns > clock_monotonic_ns() + hour_ns - CLOCK_NS_PER_S * 60);
    /* And not waked meanwhile, whatever moves. */
    unsigned before = watcher_wakes(&slow);

    watcher_next(&r, &quick, SUBSCRIPTION_RECORD, &item);
    watcher_nothing(&quick);
    unsigned quick_before = watcher_wakes(&quick);

    feed_play_change(&p, 0, 2);
    rig_ring(&r);
    watcher_wait(&quick, quick_before);
    assert_int_equal(watcher_wakes(&slow), before);
    watcher_end(&quick);
    watcher_end(&slow);
    tear_down(&r, &p);
}

/* Changes that are not due, and then the end, of the feed or of its mapper: that is not waited for. */
static void an_end_does_not_wait_for_a_period(void **state)
{
    (void)state;
    for (unsigned mode = SUBSCRIPTION_DELTA; mode <= SUBSCRIPTION_LATEST; mode++) {
        for (int mapper_goes = 0; mapper_goes < 2; mapper_goes++) {
            struct feeds_rig r;
            struct feed_source_play p;
            struct watcher quick = WATCHER_INIT, w = WATCHER_INIT;
            struct subscription_item item;
            struct subscription_request request = rig_request(&w, 0, mode);

            set_up(&r, &p);
            watcher_start(&r, &quick, 0, SUBSCRIPTION_DELTA, &item);
            request.period_ns = 3600 * CLOCK_NS_PER_S;
            watcher_begin(&r, &w, &request);
            watcher_next(&r, &w, SUBSCRIPTION_BEGUN, &item);
            watcher_next(&r, &w, SUBSCRIPTION_IMAGE, &item);
            watcher_end(&quick);
            feed_play_change(&p, 0, 1);
            assert_int_equal(subscription_next(w.u, &item, NULL), 0);
            assert_true(item.kind == SUBSCRIPTION_NOTHING && item.wake_ns != UINT64_MAX);
            unsigned before = watcher_wakes(&w);

            if (mapper_goes) {
                fake_mapper_leave(&r.mapper);
            } else {
                feed_play_end(&p, FEED_END_INCARNATION);
                rig_ring(&r);
            }
            watcher_wait(&w, before);
            /* No image can be had any more. */
            watcher_next(&r, &w, mode == SUBSCRIPTION_FULL ? SUBSCRIPTION_GAP : SUBSCRIPTION_RECORD,
                         &item);
            watcher_next(&r, &w, SUBSCRIPTION_ENDED, &item);
            assert_int_equal(item.ended.mapper_gone, mapper_goes);
            assert_int_equal(item.ended.batch, 1);
            watcher_end(&w);
            tear_down(&r, &p);
        }
    }
}

static void a_new_segment_begins_with_an_image(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &w, 0, SUBSCRIPTION_DELTA, &item);
    p.block_count = 7;
    feed_play_begin(&p, FEED_BEGIN_RESIZED, 0, 0);
    watcher_next(&r, &w, SUBSCRIPTION_IMAGE, &item); /* nothing was lost: no gap */
    assert_int_equal(item.image.answer.segment, 1);
    feed_play_begin(&p, FEED_BEGIN_TOO_MANY, 1, 7);
    rig_ring(&r);
    watcher_next(&r, &w, SUBSCRIPTION_GAP, &item);
    assert_int_equal(item.gap.reason, FEED_GAP_TOO_MANY);
    assert_int_equal(item.gap.first_batch, 1);
    assert_int_equal(item.gap.batch, 1);
    assert_int_equal(item.gap.blocks, 7);
    watcher_next(&r, &w, SUBSCRIPTION_IMAGE, &item);
    assert_int_equal(item.image.answer.segment, 2);
    watcher_end(&w);
    tear_down(&r, &p);
}

/* --- domains ------------------------------------------------------------------------------------------- */

static void events_of_domains_come_from_now_on(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    rig_begin(&r, &plenty);
    feed_play_new(&p, 1 << 16, 0, 1);
    r.domains = &p;
    feed_play_domain(&p, FEED_DOMAIN_CREATED, 1);
    feed_play_domain(&p, FEED_DOMAIN_GONE, 1);
    struct subscription_request request = rig_request(&w, 0, SUBSCRIPTION_DELTA);

    request.source = (struct feed_source){ .is_domains = true };
    watcher_begin(&r, &w, &request);
    watcher_next(&r, &w, SUBSCRIPTION_BEGUN, &item);
    assert_int_equal(item.begun.batch, 2);
    watcher_nothing(&w);
    feed_play_domain(&p, FEED_DOMAIN_CREATED, 2);
    rig_ring(&r);
    watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
    assert_int_equal(item.record.record.kind, FEED_RECORD_DOMAIN);
    assert_int_equal(item.record.record.domain->number, 3);
    for (uint16_t i = 0; i < 200; i++) {
        feed_play_domain(&p, FEED_DOMAIN_CREATED, i);
    }
    watcher_next(&r, &w, SUBSCRIPTION_GAP, &item);
    assert_int_equal(item.gap.first_batch, 4);
    uint64_t next = item.gap.batch + 1;

    assert_true(next > 4 && next < 203); /* what is held is told */
    for (; next <= 203; next++) {
        watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
        assert_int_equal(item.record.record.domain->number, next);
    }
    struct feed_cursor cursor;

    assert_true(subscription_cursor(w.u, &cursor));
    watcher_end(&w);
    feed_play_domain(&p, FEED_DOMAIN_GONE, 7);
    request.cursor = &cursor;
    watcher_begin(&r, &w, &request);
    watcher_next(&r, &w, SUBSCRIPTION_BEGUN, &item);
    assert_true(item.begun.resumed);
    watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
    assert_int_equal(item.record.record.domain->number, 204);
    watcher_end(&w);
    rig_end(&r);
    feed_play_free(&p);
}

/* --- refusals ------------------------------------------------------------------------------------------ */

static void assert_fails(struct feeds_rig *r, struct watcher *w, int code)
{
    struct subscription_item item;
    struct failure f = { 0 };

    assert_int_equal(watcher_try(r, w, &item, &f), -code);
    assert_int_equal(f.code, code);
    watcher_nothing(w);
}

static void a_refusal_of_the_mapper_is_the_subscriptions(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;
    struct subscription_request request = rig_request(&w, 0, SUBSCRIPTION_DELTA);

    (void)state;
    set_up(&r, &p);
    r.watch_fails = true;
    r.failure = ERROR_NOT_FOUND;
    watcher_begin(&r, &w, &request);
    assert_fails(&r, &w, ERROR_NOT_FOUND);
    watcher_end(&w);
    r.watch_fails = false;
    r.image_fails = true;
    r.failure = ERROR_RESOURCE_EXHAUSTED;
    watcher_begin(&r, &w, &request);
    assert_fails(&r, &w, ERROR_RESOURCE_EXHAUSTED);
    watcher_end(&w);
    r.image_fails = false;
    watcher_start(&r, &w, 0, SUBSCRIPTION_DELTA, &item);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void one_that_has_begun_tries_for_an_image_again(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &w, 0, SUBSCRIPTION_DELTA, &item);
    feed_play_begin(&p, FEED_BEGIN_RESIZED, 0, 0);
    r.image_fails = true;
    r.failure = ERROR_RESOURCE_EXHAUSTED;
    watcher_nothing(&w);
    rig_serve_next(&r, MESSAGE_IMAGE);
    do { /* until the answer is there */
        assert_int_equal(subscription_next(w.u, &item, NULL), 0);
        assert_int_equal(item.kind, SUBSCRIPTION_NOTHING);
    } while (item.wake_ns == UINT64_MAX);
    r.image_fails = false;
    watcher_nothing(&w);
    rig_serve_next(&r, MESSAGE_IMAGE);
    watcher_next(&r, &w, SUBSCRIPTION_IMAGE, &item);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void the_first_item_has_a_deadline(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;
    struct subscription_request request = rig_request(&w, 0, SUBSCRIPTION_DELTA);

    (void)state;
    set_up(&r, &p);
    request.deadline_ns = clock_monotonic_ns() + CLOCK_NS_PER_S;
    watcher_begin(&r, &w, &request);
    assert_int_equal(subscription_next(w.u, &item, NULL), 0);
    assert_int_equal(item.kind, SUBSCRIPTION_NOTHING);
    assert_true(item.wake_ns == request.deadline_ns);
    watcher_end(&w);
    request.deadline_ns = 1;
    watcher_begin(&r, &w, &request);
    assert_int_equal(subscription_next(w.u, &item, NULL), -ERROR_DEADLINE_EXCEEDED);
    watcher_end(&w);
    tear_down(&r, &p);
}

/* The mapper has no image any more, since the feed has ended. */
static void one_overtaken_by_the_end_is_told_what_it_missed(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &w, 0, SUBSCRIPTION_DELTA, &item);
    for (uint8_t i = 0; i < 100; i++) {
        feed_play_change(&p, i % 4, i);
    }
    feed_play_end(&p, FEED_END_RESOURCE);
    watcher_next(&r, &w, SUBSCRIPTION_GAP, &item);
    assert_int_equal(item.gap.first_batch, 1);
    assert_int_equal(item.gap.batch, 100);
    assert_int_equal(item.gap.blocks, 100);
    watcher_next(&r, &w, SUBSCRIPTION_ENDED, &item);
    assert_int_equal(item.ended.end.reason, FEED_END_RESOURCE);
    watcher_end(&w);
    tear_down(&r, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_comes_first_and_then_each_batch),
        cmocka_unit_test(the_end_of_a_feed_is_the_last_that_is_told),
        cmocka_unit_test(who_is_overtaken_gets_a_gap_with_numbers_and_an_image),
        cmocka_unit_test(who_lost_nothing_but_idle_samples_gets_no_gap),
        cmocka_unit_test(the_latest_is_what_several_batches_come_to),
        cmocka_unit_test(parts_of_a_batch_that_is_not_complete_are_not_merged),
        cmocka_unit_test(there_is_no_cursor_in_the_midst_of_a_batch),
        cmocka_unit_test(full_gets_a_whole_image_where_something_has_changed),
        cmocka_unit_test(a_longer_period_is_waited_for),
        cmocka_unit_test(an_end_does_not_wait_for_a_period),
        cmocka_unit_test(a_new_segment_begins_with_an_image),
        cmocka_unit_test(events_of_domains_come_from_now_on),
        cmocka_unit_test(a_refusal_of_the_mapper_is_the_subscriptions),
        cmocka_unit_test(one_that_has_begun_tries_for_an_image_again),
        cmocka_unit_test(the_first_item_has_a_deadline),
        cmocka_unit_test(one_overtaken_by_the_end_is_told_what_it_missed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
