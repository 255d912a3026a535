/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Cursors, a mapper that comes and goes, and an xenresd that starts again. */
#include "tests/lib/feeds_rig.h"

#include "server/resource/subscription.h"

static const struct feeds_options plenty = {
    .feeds_max = 64,
    .subscribers_max = 64,
    .subscribers_per_identity = 64,
    .linger_ms = 60000,
};

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

/* A cursor behind one change. */
static struct feed_cursor cut_at_one(struct feeds_rig *r, struct feed_source_play *p,
                                     struct watcher *w)
{
    struct subscription_item item;
    struct feed_cursor cursor;

    watcher_start(r, w, 0, SUBSCRIPTION_DELTA, &item);
    feed_play_change(p, 0, 1);
    watcher_next(r, w, SUBSCRIPTION_RECORD, &item);
    assert_true(subscription_cursor(w->u, &cursor));
    watcher_end(w);
    return cursor;
}

static void resume(struct feeds_rig *r, struct watcher *w, const struct feed_cursor *cursor)
{
    struct subscription_request request = rig_request(w, 0, SUBSCRIPTION_DELTA);

    request.cursor = cursor;
    watcher_begin(r, w, &request);
}

static void a_cursor_is_gone_on_from_exactly(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    struct feed_cursor cursor = cut_at_one(&r, &p, &w);

    feed_play_change(&p, 1, 2);
    resume(&r, &w, &cursor);
    watcher_next(&r, &w, SUBSCRIPTION_BEGUN, &item);
    assert_true(item.begun.resumed);
    assert_int_equal(item.begun.batch, 1);
    watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
    assert_int_equal(item.record.record.changes->batch, 2);
    assert_int_equal(r.images, 1);
    watcher_end(&w);
    tear_down(&r, &p);
}

/* Of who is told every batch, those between are missing; to the others the image says that it has them. */
static void one_that_needs_an_image_is_told_what_that_has(void **state)
{
    static const enum subscription_mode modes[] = { SUBSCRIPTION_DELTA, SUBSCRIPTION_FULL,
                                                    SUBSCRIPTION_LATEST };

    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct feeds_rig r;
        struct feed_source_play p;
        struct watcher w = WATCHER_INIT;
        struct subscription_item item;

        set_up(&r, &p);
        struct feed_cursor cursor = cut_at_one(&r, &p, &w);
        struct subscription_request request = rig_request(&w, 0, modes[i]);

        feed_play_change(&p, 1, 2);
        request.cursor = &cursor;
        request.is_image_needed = true;
        watcher_begin(&r, &w, &request);
        watcher_next(&r, &w, SUBSCRIPTION_BEGUN, &item);
        if (modes[i] == SUBSCRIPTION_DELTA) {
            watcher_next(&r, &w, SUBSCRIPTION_GAP, &item);
            assert_int_equal(item.gap.reason, FEED_GAP_RESUMED);
            assert_int_equal(item.gap.first_batch, 2);
            assert_int_equal(item.gap.batch, 2);
        }
        watcher_next(&r, &w, SUBSCRIPTION_IMAGE, &item);
        assert_int_equal(item.image.answer.batch, 2);
        assert_int_equal(item.image.first_batch, modes[i] == SUBSCRIPTION_DELTA ? 0 : 2);
        watcher_end(&w);
        tear_down(&r, &p);
    }
}

static void a_place_that_is_no_longer_held_says_what_was_missed(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;
    struct failure f = { 0 };

    (void)state;
    set_up(&r, &p);
    struct feed_cursor cursor = cut_at_one(&r, &p, &w);

    for (int i = 0; i < 100; i++) {
        feed_play_change(&p, 1, (uint8_t)i);
    }
    resume(&r, &w, &cursor);
    assert_int_equal(watcher_try(&r, &w, &item, &f), -ERROR_OUT_OF_RANGE);
    assert_string_equal(f.field, "cursor");
    unsigned long long first, last, blocks, oldest;

    assert_int_equal(sscanf(f.message, "batches %llu to %llu are no longer held", &first, &last),
                     2);
    assert_int_equal(first, 2);
    assert_int_equal(sscanf(f.cause, "%llu blocks in", &blocks), 1);
    assert_int_equal(blocks, last - 1);
    const char *held = strstr(f.cause, "held is number ");

    assert_non_null(held);
    assert_int_equal(sscanf(held, "held is number %llu,", &oldest), 1);
    assert_int_equal(oldest, last + 1);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void a_cursor_of_another_feed_or_of_no_record_is_out_of_range(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    const struct feed_cursor cursor = cut_at_one(&r, &p, &w);
    struct feed_cursor other = cursor;

    other.feed_id[3]++;
    resume(&r, &w, &other);
    assert_int_equal(watcher_try(&r, &w, &item, NULL), -ERROR_OUT_OF_RANGE);
    watcher_end(&w);
    other = cursor;
    other.place.position += 1 << 20;
    resume(&r, &w, &other);
    assert_int_equal(watcher_try(&r, &w, &item, NULL), -ERROR_OUT_OF_RANGE);
    watcher_end(&w);
    other = cursor;
    other.place.sequence++;
    resume(&r, &w, &other);
    assert_int_equal(watcher_try(&r, &w, &item, NULL), -ERROR_OUT_OF_RANGE);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void a_cursor_of_another_source_is_refused(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;

    (void)state;
    set_up(&r, &p);
    struct feed_cursor cursor = cut_at_one(&r, &p, &w);
    struct subscription_request request = rig_request(&w, 1, SUBSCRIPTION_DELTA);

    request.cursor = &cursor;
    assert_int_equal(subscription_begin(r.feeds, &request, &w.u, NULL), -ERROR_INVALID_ARGUMENT);
    request.source = rig_source(0);
    request.source.domain.incarnation[0]++; /* a cursor never crosses lives */
    assert_int_equal(subscription_begin(r.feeds, &request, &w.u, NULL), -ERROR_INVALID_ARGUMENT);
    request.source = (struct feed_source){ .is_domains = true };
    assert_int_equal(subscription_begin(r.feeds, &request, &w.u, NULL), -ERROR_INVALID_ARGUMENT);
    tear_down(&r, &p);
}

static void a_feed_lingers_and_is_asked_for_again(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p, q;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    struct feed_cursor cursor = cut_at_one(&r, &p, &w);

    /* It ends, and nobody is there who would read that; the mapper has another one then. */
    feed_play_end(&p, FEED_END_RESOURCE);
    feed_play_new(&q, 4096, 4, 2);
    feed_play_begin(&q, FEED_BEGIN_START, 0, 0);
    r.plays[0] = &q;
    watcher_start(&r, &w, 0, SUBSCRIPTION_DELTA, &item);
    watcher_end(&w);
    resume(&r, &w, &cursor);
    assert_int_equal(watcher_try(&r, &w, &item, NULL), -ERROR_OUT_OF_RANGE);
    watcher_end(&w);
    assert_int_equal(r.watches, 3);
    feed_play_free(&p);
    tear_down(&r, &q);
}

/* Whoever makes feeds may be later than the mapper. */
/* Its end comes between the question of one who is new and the answer, which is of what is there now. */
static void one_that_asks_while_the_feed_ends_is_told_to_try_again(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p, again;
    struct watcher w = WATCHER_INIT;
    struct subscription_request request = rig_request(&w, 0, SUBSCRIPTION_DELTA);
    struct subscription_item item;
    struct failure f = { 0 };

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &w, 0, SUBSCRIPTION_DELTA, &item);
    watcher_end(&w);
    watcher_begin(&r, &w, &request);
    watcher_nothing(&w);
    unsigned before = watcher_wakes(&w);

    feed_play_end(&p, FEED_END_RESOURCE);
    rig_ring(&r);
    watcher_wait(&w, before); /* the end was seen */
    feed_play_new(&again, 4096, 4, 2);
    feed_play_begin(&again, FEED_BEGIN_START, 0, 0);
    r.plays[0] = &again;
    assert_int_equal(watcher_try(&r, &w, &item, &f), -ERROR_UNAVAILABLE);
    assert_true(f.retry_after_ms > 0);
    rig_wait_unwatched(&r, 2); /* the one that ended, and the one that nobody has asked for */
    watcher_end(&w);
    feed_play_free(&again);
    tear_down(&r, &p);
}

/* A feed that is there, of which one has asked for its first image. */
static void wait_for_image(struct feeds_rig *r, struct watcher *w)
{
    struct subscription_request request = rig_request(w, 0, SUBSCRIPTION_DELTA);
    union message question;
    unsigned before = watcher_wakes(w);

    watcher_begin(r, w, &request);
    watcher_nothing(w);
    rig_serve_next(r, MESSAGE_WATCH);
    watcher_wait(w, before);
    watcher_nothing(w);
    fake_mapper_request(&r->mapper, &question);
    assert_int_equal(question.head.type, MESSAGE_IMAGE);
}

static void an_end_before_the_first_image_is_told_as_what_it_is(void **state)
{
    static const struct {
        enum feed_end_reason reason;
        enum error_code code, why; /* why: the mapper's own failure; 0: none */
    } rows[] = {
        { FEED_END_INCARNATION, ERROR_ABORTED, 0 },
        { FEED_END_RENAMED, ERROR_ABORTED, ERROR_NOT_FOUND },
        { FEED_END_RESOURCE, ERROR_FAILED_PRECONDITION, 0 },
        { FEED_END_RESOURCE, ERROR_NOT_FOUND, ERROR_NOT_FOUND },
        { FEED_END_FAILED, ERROR_INTERNAL, ERROR_INTERNAL },
        { FEED_END_STOPPED, ERROR_UNAVAILABLE, 0 },
        { FEED_END_RELEASED, ERROR_UNAVAILABLE, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct feeds_rig r;
        struct feed_source_play p;
        struct watcher w = WATCHER_INIT;
        struct subscription_item item;
        struct failure f = { 0 };
        struct feed_end end = { .reason = rows[i].reason };

        set_up(&r, &p);
        wait_for_image(&r, &w);
        unsigned before = watcher_wakes(&w);

        if (rows[i].why != 0) {
            failure_set(&end.failure, rows[i].why, "the mapper's own words");
        }
        feed_play_append(&p, FEED_RECORD_END, &(struct ring_part){ &end, sizeof(end) }, 1);
        rig_ring(&r);
        watcher_wait(&w, before);
        assert_int_equal(subscription_next(w.u, &item, &f), -(int)rows[i].code);
        assert_null(strstr(f.message, "mapper is gone"));
        assert_true(f.message[0] != '\0');
        if (rows[i].code == rows[i].why) {
            assert_string_equal(f.message, "the mapper's own words");
        } else {
            assert_true(f.next_step[0] != '\0');
        }
        assert_int_equal(f.retry_after_ms > 0, rows[i].code == ERROR_UNAVAILABLE);
        watcher_end(&w);
        tear_down(&r, &p);
    }
}

/* The mapper forgets a feed a moment before the end of it is in the spool. */
static void an_end_that_is_about_to_come_is_waited_for(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_request request = rig_request(&w, 0, SUBSCRIPTION_DELTA);
    struct subscription_item item;
    struct failure f = { 0 };

    (void)state;
    set_up(&r, &p);
    r.image_fails = true;
    r.failure = ERROR_NOT_FOUND;
    watcher_begin(&r, &w, &request);
    watcher_nothing(&w);
    rig_serve_next(&r, MESSAGE_WATCH);
    watcher_wait(&w, 0);
    watcher_nothing(&w);
    unsigned before = watcher_wakes(&w);

    rig_serve_next(&r, MESSAGE_IMAGE);
    watcher_wait(&w, before);
    assert_int_equal(subscription_next(w.u, &item, &f), 0);
    assert_int_equal(item.kind, SUBSCRIPTION_NOTHING);
    assert_true(item.wake_ns != UINT64_MAX);
    before = watcher_wakes(&w);
    feed_play_end(&p, FEED_END_RENAMED);
    rig_ring(&r);
    watcher_wait(&w, before);
    assert_int_equal(subscription_next(w.u, &item, &f), -ERROR_ABORTED);
    watcher_end(&w);
    tear_down(&r, &p);
}

/* One that never comes is not waited for for ever. */
static void an_end_that_does_not_come_is_given_up(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_request request = rig_request(&w, 0, SUBSCRIPTION_DELTA);
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    r.image_fails = true;
    r.failure = ERROR_NOT_FOUND;
    watcher_begin(&r, &w, &request);
    for (;;) {
        int result = subscription_next(w.u, &item, NULL);

        if (result != 0) {
            assert_int_equal(result, -ERROR_NOT_FOUND);
            break;
        }
        assert_int_equal(item.kind, SUBSCRIPTION_NOTHING);
        (void)rig_serve_one(&r, 1);
    }
    assert_int_equal(r.images, SUBSCRIPTION_MISSES_MAX + 1);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void an_xenresd_that_starts_again_goes_on_with_the_same_feed(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    struct feed_cursor cursor = cut_at_one(&r, &p, &w);
    struct feeds *feeds = atomic_exchange(&r.feeds, NULL);

    feeds_free(feeds);
    mapper_client_free(r.client);
    fake_mapper_leave(&r.mapper);
    feed_play_change(&p, 2, 3);
    const struct mapper_client_options options = {
        .socket_path = r.mapper.path,
        .backoff_min_ms = 1,
        .backoff_max_ms = 5,
        .on_connected = rig_on_connected,
        .arg = &r,
    };

    assert_int_equal(mapper_client_new(&options, &r.client, NULL), 0);
    fake_mapper_join(&r.mapper);
    outcome_wait(&r.connected, 2);
    rig_new_feeds(&r, &plenty);
    resume(&r, &w, &cursor);
    watcher_next(&r, &w, SUBSCRIPTION_BEGUN, &item);
    assert_true(item.begun.resumed);
    watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
    assert_int_equal(item.record.record.changes->batch, 2);
    watcher_nothing(&w);
    unsigned before = watcher_wakes(&w);

    feed_play_change(&p, 2, 4);
    rig_ring(&r); /* that doorbell is heard, too */
    watcher_wait(&w, before);
    watcher_end(&w);
    tear_down(&r, &p);
}

static void a_mapper_that_goes_ends_every_subscription_once(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher reading = WATCHER_INIT, behind = WATCHER_INIT, starting = WATCHER_INIT;
    struct subscription_item item;
    struct feed_cursor cursor;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &reading, 0, SUBSCRIPTION_DELTA, &item);
    watcher_start(&r, &behind, 0, SUBSCRIPTION_DELTA, &item);
    watcher_nothing(&reading);
    for (uint8_t i = 0; i < 100; i++) {
        feed_play_change(&p, i % 4, i);
        watcher_next(&r, &reading, SUBSCRIPTION_RECORD, &item);
    }
    feed_play_change(&p, 0, 0); /* one that was not told so far */
    struct subscription_request request = rig_request(&starting, 1, SUBSCRIPTION_DELTA);

    watcher_begin(&r, &starting, &request);
    fake_mapper_leave(&r.mapper);
    outcome_wait(&r.gone, 1);
    watcher_next(&r, &reading, SUBSCRIPTION_RECORD, &item); /* what is there is not lost */
    watcher_next(&r, &reading, SUBSCRIPTION_ENDED, &item);
    assert_true(item.ended.mapper_gone);
    assert_int_equal(item.ended.batch, 101);
    assert_true(subscription_cursor(reading.u, &cursor)); /* it may have been the connection only */
    watcher_nothing(&reading);
    watcher_next(&r, &behind, SUBSCRIPTION_GAP, &item);
    assert_int_equal(item.gap.first_batch, 1);
    assert_int_equal(item.gap.batch, 101);
    watcher_next(&r, &behind, SUBSCRIPTION_ENDED, &item);
    assert_true(item.ended.mapper_gone);
    watcher_nothing(&behind);
    assert_int_equal(subscription_next(starting.u, &item, NULL), -ERROR_UNAVAILABLE);
    watcher_end(&reading);
    watcher_end(&behind);
    watcher_end(&starting);
    /* The mapper lived on, and so did the feed. */
    fake_mapper_join(&r.mapper);
    outcome_wait(&r.connected, 2);
    resume(&r, &reading, &cursor);
    watcher_next(&r, &reading, SUBSCRIPTION_BEGUN, &item);
    assert_true(item.begun.resumed);
    feed_play_change(&p, 0, 7);
    rig_ring(&r);
    watcher_next(&r, &reading, SUBSCRIPTION_RECORD, &item);
    assert_int_equal(item.record.record.changes->batch, 102);
    watcher_end(&reading);
    tear_down(&r, &p);
}

static void one_that_waits_for_an_image_is_ended_as_well(void **state)
{
    struct feeds_rig r;
    struct feed_source_play p;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up(&r, &p);
    watcher_start(&r, &w, 0, SUBSCRIPTION_DELTA, &item);
    feed_play_change(&p, 0, 1);
    watcher_next(&r, &w, SUBSCRIPTION_RECORD, &item);
    feed_play_begin(&p, FEED_BEGIN_TOO_MANY, 1, 4);
    watcher_nothing(&w); /* an image is asked for */
    fake_mapper_leave(&r.mapper);
    watcher_next(&r, &w, SUBSCRIPTION_GAP, &item);
    assert_int_equal(item.gap.reason, FEED_GAP_TOO_MANY);
    assert_int_equal(item.gap.batch, 2);
    watcher_next(&r, &w, SUBSCRIPTION_ENDED, &item);
    assert_true(item.ended.mapper_gone);
    watcher_end(&w);
    tear_down(&r, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_is_gone_on_from_exactly),
        cmocka_unit_test(one_that_needs_an_image_is_told_what_that_has),
        cmocka_unit_test(a_place_that_is_no_longer_held_says_what_was_missed),
        cmocka_unit_test(a_cursor_of_another_feed_or_of_no_record_is_out_of_range),
        cmocka_unit_test(a_cursor_of_another_source_is_refused),
        cmocka_unit_test(a_feed_lingers_and_is_asked_for_again),
        cmocka_unit_test(one_that_asks_while_the_feed_ends_is_told_to_try_again),
        cmocka_unit_test(an_end_before_the_first_image_is_told_as_what_it_is),
        cmocka_unit_test(an_end_that_is_about_to_come_is_waited_for),
        cmocka_unit_test(an_end_that_does_not_come_is_given_up),
        cmocka_unit_test(an_xenresd_that_starts_again_goes_on_with_the_same_feed),
        cmocka_unit_test(a_mapper_that_goes_ends_every_subscription_once),
        cmocka_unit_test(one_that_waits_for_an_image_is_ended_as_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
