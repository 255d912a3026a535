/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How many there can be, for how long a feed is held, at what period; and what subscribers share. */
#include "tests/lib/feeds_rig.h"

#include "server/resource/feed_piece.h"
#include "server/resource/subscription.h"

enum { FEEDS = 3, SUBSCRIBERS = 6, PER_IDENTITY = 4 };

static const struct feeds_options few = {
    .feeds_max = FEEDS,
    .subscribers_max = SUBSCRIBERS,
    .subscribers_per_identity = PER_IDENTITY,
    .linger_ms = 60000,
};

struct limits {
    struct feeds_rig r;
    struct feed_source_play plays[FEEDS + 1];
};

static void set_up_with(struct limits *l, const struct feeds_options *options)
{
    rig_begin(&l->r, options);
    for (uint32_t i = 0; i <= FEEDS; i++) {
        feed_play_new(&l->plays[i], 1 << 16, 4, i + 1);
        feed_play_begin(&l->plays[i], FEED_BEGIN_START, 0, 0);
        l->r.plays[i] = &l->plays[i];
    }
}

static void tear_down(struct limits *l)
{
    rig_end(&l->r);
    for (uint32_t i = 0; i <= FEEDS; i++) {
        feed_play_free(&l->plays[i]);
    }
}

static int begin_as(struct limits *l, struct watcher *w, uint32_t id, const char *who)
{
    struct identity identity = { 0 };
    struct subscription_request request = rig_request(w, id, SUBSCRIPTION_DELTA);

    snprintf(identity.text, sizeof(identity.text), "%s", who);
    request.who = &identity;
    return subscription_begin(l->r.feeds, &request, &w->u, NULL);
}

static void an_identity_has_so_many_and_no_more(void **state)
{
    struct limits l;
    struct watcher w[PER_IDENTITY + 1] = { 0 };

    (void)state;
    set_up_with(&l, &few);
    for (unsigned i = 0; i <= PER_IDENTITY; i++) {
        w[i] = (struct watcher)WATCHER_INIT;
        assert_int_equal(begin_as(&l, &w[i], 0, "cn:a"),
                         i < PER_IDENTITY ? 0 : -ERROR_RESOURCE_EXHAUSTED);
    }
    assert_int_equal(begin_as(&l, &w[PER_IDENTITY], 0, "cn:b"), 0);
    watcher_end(&w[PER_IDENTITY]);
    watcher_end(&w[0]);
    assert_int_equal(begin_as(&l, &w[0], 0, "cn:a"), 0);
    for (unsigned i = 0; i < PER_IDENTITY; i++) {
        watcher_end(&w[i]);
    }
    tear_down(&l);
}

static void other_limits_count_for_who_comes_next(void **state)
{
    const struct feeds_options more = {
        .feeds_max = FEEDS, .subscribers_max = 3, .subscribers_per_identity = 2, .linger_ms = 60000
    };
    const struct feeds_options less = {
        .feeds_max = FEEDS, .subscribers_max = 2, .subscribers_per_identity = 1, .linger_ms = 60000
    };
    struct limits l;
    struct watcher w[4] = { WATCHER_INIT, WATCHER_INIT, WATCHER_INIT, WATCHER_INIT };

    (void)state;
    set_up_with(&l, &less);
    assert_int_equal(begin_as(&l, &w[0], 0, "cn:a"), 0);
    assert_int_equal(begin_as(&l, &w[1], 0, "cn:a"), -ERROR_RESOURCE_EXHAUSTED);
    feeds_set_limits(l.r.feeds, &more);
    assert_int_equal(begin_as(&l, &w[1], 0, "cn:a"), 0);
    assert_int_equal(begin_as(&l, &w[2], 0, "cn:b"), 0);
    assert_int_equal(begin_as(&l, &w[3], 0, "cn:b"), -ERROR_RESOURCE_EXHAUSTED); /* of all */
    feeds_set_limits(l.r.feeds, &less); /* who is there stays */
    watcher_end(&w[2]);
    assert_int_equal(begin_as(&l, &w[2], 0, "cn:b"), -ERROR_RESOURCE_EXHAUSTED);
    watcher_end(&w[1]);
    assert_int_equal(begin_as(&l, &w[2], 0, "cn:b"), 0);
    watcher_end(&w[2]);
    watcher_end(&w[0]);
    tear_down(&l);
}

static void all_have_so_many_and_no_more(void **state)
{
    struct limits l;
    struct watcher w[SUBSCRIBERS + 1] = { 0 };
    struct feeds_counters c;

    (void)state;
    set_up_with(&l, &few);
    for (unsigned i = 0; i <= SUBSCRIBERS; i++) {
        w[i] = (struct watcher)WATCHER_INIT;
        assert_int_equal(begin_as(&l, &w[i], 0, i % 2 == 0 ? "cn:a" : "cn:b"),
                         i < SUBSCRIBERS ? 0 : -ERROR_RESOURCE_EXHAUSTED);
    }
    feeds_count(l.r.feeds, &c);
    assert_int_equal(c.subscribers, SUBSCRIBERS);
    assert_int_equal(c.feeds, 1);
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        watcher_end(&w[i]);
    }
    feeds_count(l.r.feeds, &c);
    assert_int_equal(c.subscribers, 0);
    tear_down(&l);
}

static void some_have_fewer_streams(void **state)
{
    struct limits l;
    struct watcher w[2] = { WATCHER_INIT, WATCHER_INIT };
    struct feeds_counters counters;

    (void)state;
    set_up_with(&l, &few);
    for (unsigned i = 0; i < 2; i++) {
        struct subscription_request request = rig_request(&w[i], 0, SUBSCRIPTION_DELTA);

        request.streams_max = 1;
        assert_int_equal(subscription_begin(l.r.feeds, &request, &w[i].u, NULL),
                         i == 0 ? 0 : -ERROR_RESOURCE_EXHAUSTED);
    }
    feeds_count(l.r.feeds, &counters);
    assert_int_equal(counters.refused_streams, 1);
    watcher_end(&w[0]);
    tear_down(&l);
}

static void so_many_feeds_and_no_more_but_for_those_that_linger(void **state)
{
    struct limits l;
    struct watcher w[FEEDS + 1] = { 0 };
    struct subscription_item item;
    struct feeds_counters c;

    (void)state;
    set_up_with(&l, &few);
    for (uint32_t i = 0; i < FEEDS; i++) {
        w[i] = (struct watcher)WATCHER_INIT;
        watcher_start(&l.r, &w[i], i, SUBSCRIPTION_DELTA, &item);
    }
    w[FEEDS] = (struct watcher)WATCHER_INIT;
    struct subscription_request request = rig_request(&w[FEEDS], FEEDS, SUBSCRIPTION_DELTA);
    struct failure f = { 0 };

    assert_int_equal(subscription_begin(l.r.feeds, &request, &w[FEEDS].u, &f),
                     -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(f.retry_after_ms, FAILURE_RETRY_LATER_MS);
    assert_true(f.next_step[0] != '\0');
    feeds_count(l.r.feeds, &c);
    assert_int_equal(c.feeds, FEEDS);
    assert_int_equal(c.subscribers, FEEDS);
    assert_int_equal(c.spool_bytes, FEEDS << 16);
    watcher_end(&w[1]);
    watcher_start(&l.r, &w[FEEDS], FEEDS, SUBSCRIPTION_DELTA, &item);
    assert_int_equal(l.r.unwatches, 1);
    feeds_count(l.r.feeds, &c);
    assert_int_equal(c.feeds, FEEDS);
    watcher_end(&w[0]);
    watcher_end(&w[2]);
    watcher_end(&w[FEEDS]);
    tear_down(&l);
}

/* The mapper's memory is a limit as their number is. */
static void feeds_that_linger_give_their_memory_to_another(void **state)
{
    struct limits l;
    struct watcher w[FEEDS + 1] = { 0 };
    struct subscription_item item;
    struct failure f = { 0 };

    (void)state;
    set_up_with(&l, &few);
    l.r.held_max = FEEDS - 1;
    l.r.retry_after_ms = FAILURE_RETRY_LATER_MS;
    for (uint32_t i = 0; i <= FEEDS; i++) {
        w[i] = (struct watcher)WATCHER_INIT;
    }
    watcher_start(&l.r, &w[0], 0, SUBSCRIPTION_DELTA, &item);
    watcher_start(&l.r, &w[1], 1, SUBSCRIPTION_DELTA, &item);
    watcher_end(&w[0]);
    watcher_start(&l.r, &w[2], 2, SUBSCRIPTION_DELTA, &item);
    assert_int_equal(l.r.refusals, 1);
    assert_int_equal(l.r.unwatches, 1);
    /* And where nobody's are left it is refused, with the mapper's words, and when to come again. */
    struct subscription_request request = rig_request(&w[FEEDS], FEEDS, SUBSCRIPTION_DELTA);

    watcher_begin(&l.r, &w[FEEDS], &request);
    assert_int_equal(watcher_try(&l.r, &w[FEEDS], &item, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_string_equal(f.message, "the mapper has no memory for it");
    assert_int_equal(f.retry_after_ms, FAILURE_RETRY_LATER_MS);
    assert_int_equal(l.r.unwatches, 1);
    for (uint32_t i = 1; i <= FEEDS; i++) {
        watcher_end(&w[i]);
    }
    tear_down(&l);
}

/* What is short for a moment, and what can never be had, is not worth another's feed. */
static void feeds_that_linger_stay_where_their_end_would_not_help(void **state)
{
    static const uint32_t retries_ms[] = { 0, FAILURE_RETRY_SOON_MS };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct limits l;
        struct watcher a = WATCHER_INIT, b = WATCHER_INIT;
        struct subscription_request request = rig_request(&b, 1, SUBSCRIPTION_DELTA);
        struct subscription_item item;

        set_up_with(&l, &few);
        l.r.held_max = 1;
        l.r.retry_after_ms = retries_ms[i];
        watcher_start(&l.r, &a, 0, SUBSCRIPTION_DELTA, &item);
        watcher_end(&a);
        watcher_begin(&l.r, &b, &request);
        assert_int_equal(watcher_try(&l.r, &b, &item, NULL), -ERROR_RESOURCE_EXHAUSTED);
        assert_int_equal(l.r.unwatches, 0);
        watcher_end(&b);
        tear_down(&l);
    }
}

static void a_feed_is_let_go_when_nobody_came_for_a_while(void **state)
{
    struct limits l;
    struct watcher w = WATCHER_INIT;
    struct subscription_item item;
    struct feeds_options options = few;

    (void)state;
    options.linger_ms = 1;
    set_up_with(&l, &options);
    watcher_start(&l.r, &w, 0, SUBSCRIPTION_DELTA, &item);
    watcher_end(&w);
    rig_wait_unwatched(&l.r, 1);
    watcher_start(&l.r, &w, 0, SUBSCRIPTION_DELTA, &item); /* and is made again */
    assert_int_equal(l.r.watches, 2);
    watcher_end(&w);
    tear_down(&l);
}

static void begin_with_period(struct limits *l, struct watcher *w, uint64_t period_ns)
{
    struct subscription_request request = rig_request(w, 0, SUBSCRIPTION_DELTA);
    struct subscription_item item;

    request.period_ns = period_ns;
    watcher_begin(&l->r, w, &request);
    watcher_next(&l->r, w, SUBSCRIPTION_BEGUN, &item);
    assert_true(item.begun.period_ns == period_ns);
    watcher_next(&l->r, w, SUBSCRIPTION_IMAGE, &item);
}

static void a_feed_is_held_at_the_smallest_period(void **state)
{
    struct limits l;
    struct watcher a = WATCHER_INIT, b = WATCHER_INIT, c = WATCHER_INIT;
    const uint64_t ms = CLOCK_NS_PER_MS;

    (void)state;
    set_up_with(&l, &few);
    begin_with_period(&l, &a, 500 * ms);
    assert_true(l.r.period_ns == 500 * ms);
    begin_with_period(&l, &b, 900 * ms);
    begin_with_period(&l, &c, 100 * ms);
    rig_serve_next(&l.r, MESSAGE_WATCH);
    assert_true(l.r.period_ns == 100 * ms);
    watcher_end(&c);
    rig_serve_next(&l.r, MESSAGE_WATCH);
    assert_true(l.r.period_ns == 500 * ms);
    watcher_end(&a);
    rig_serve_next(&l.r, MESSAGE_WATCH);
    assert_true(l.r.period_ns == 900 * ms);
    assert_int_equal(l.r.watches, 4);
    watcher_end(&b);
    tear_down(&l);
}

static void an_image_is_shared_while_its_place_is_held(void **state)
{
    struct limits l;
    struct watcher a = WATCHER_INIT, b = WATCHER_INIT;
    struct subscription_item first, second;

    (void)state;
    set_up_with(&l, &few);
    struct subscription_request request = rig_request(&a, 0, SUBSCRIPTION_DELTA);

    watcher_begin(&l.r, &a, &request);
    request.arg = &b.wakes;
    watcher_begin(&l.r, &b, &request);
    watcher_next(&l.r, &a, SUBSCRIPTION_BEGUN, &first);
    watcher_next(&l.r, &b, SUBSCRIPTION_BEGUN, &second);
    watcher_next(&l.r, &a, SUBSCRIPTION_IMAGE, &first);
    watcher_next(&l.r, &b, SUBSCRIPTION_IMAGE, &second);
    assert_int_equal(l.r.images, 1);
    assert_ptr_equal(first.image.slot, second.image.slot);
    watcher_end(&b);
    for (int i = 0; i < 1000; i++) {
        feed_play_change(&l.plays[0], 0, (uint8_t)i);
    }
    watcher_start(&l.r, &b, 0, SUBSCRIPTION_DELTA, &second);
    assert_int_equal(l.r.images, 2);
    assert_int_equal(second.image.answer.batch, 1000);
    watcher_end(&a);
    watcher_end(&b);
    tear_down(&l);
}

static void what_was_made_of_a_record_is_made_once(void **state)
{
    struct limits l;
    struct watcher a = WATCHER_INIT, b = WATCHER_INIT;
    struct subscription_item item;
    size_t len;

    (void)state;
    set_up_with(&l, &few);
    watcher_start(&l.r, &a, 0, SUBSCRIPTION_DELTA, &item);
    watcher_start(&l.r, &b, 0, SUBSCRIPTION_DELTA, &item);
    for (unsigned i = 0; i < FEEDS_SHARED_PER_FEED + 1; i++) {
        feed_play_change(&l.plays[0], 0, (uint8_t)i);
    }
    for (unsigned i = 0; i < FEEDS_SHARED_PER_FEED + 1; i++) {
        watcher_next(&l.r, &a, SUBSCRIPTION_RECORD, &item);
        assert_null(subscription_shared(a.u, FEEDS_VARIANTS - 1));
        struct shared_bytes *mine = subscription_share(a.u, FEEDS_VARIANTS - 1, &i, sizeof(i));

        assert_non_null(mine);
        shared_bytes_unref(mine);
    }
    for (unsigned i = 0; i < FEEDS_SHARED_PER_FEED + 1; i++) {
        watcher_next(&l.r, &b, SUBSCRIPTION_RECORD, &item);
        assert_null(subscription_shared(b.u, 0));
        struct shared_bytes *theirs = subscription_shared(b.u, FEEDS_VARIANTS - 1);

        assert_int_equal(theirs != NULL, i >= 1); /* one more than are kept: the first is gone */
        if (theirs != NULL) {
            assert_memory_equal(shared_bytes_data(theirs, &len), &i, sizeof(i));
            assert_int_equal(len, sizeof(i));
        }
        shared_bytes_unref(theirs);
    }
    watcher_end(&a);
    watcher_end(&b);
    tear_down(&l);
}

static void one_alone_keeps_nothing_for_others(void **state)
{
    struct limits l;
    struct watcher a = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up_with(&l, &few);
    watcher_start(&l.r, &a, 0, SUBSCRIPTION_DELTA, &item);
    feed_play_change(&l.plays[0], 0, 1);
    watcher_next(&l.r, &a, SUBSCRIPTION_RECORD, &item);
    struct shared_bytes *b = subscription_share(a.u, 0, "abc", 3);

    assert_non_null(b);
    assert_null(subscription_shared(a.u, 0));
    shared_bytes_unref(b);
    watcher_end(&a);
    tear_down(&l);
}

static struct feed_piece *piece_of(uint64_t sequence, size_t len_bytes)
{
    struct feed_piece *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    atomic_init(&p->refs, 1);
    p->place = (struct ring_place){ .position = sequence * 64, .sequence = sequence };
    p->len_bytes = len_bytes; /* as if it had so many */
    return p;
}

static void pieces_are_kept_up_to_their_bytes(void **state)
{
    struct feed_pieces k = { 0 };
    const size_t half = FEED_PIECES_BYTES_MAX / 2 - sizeof(struct feed_piece);
    struct feed_piece *p[] = { piece_of(1, half), piece_of(2, half), piece_of(3, 1),
                               piece_of(4, FEED_PIECES_BYTES_MAX - sizeof(struct feed_piece) + 1) };

    (void)state;
    feed_pieces_keep(&k, p[0]);
    feed_pieces_keep(&k, p[1]);
    assert_int_equal(k.bytes, FEED_PIECES_BYTES_MAX);
    feed_pieces_keep(&k, p[2]); /* one more: the oldest goes */
    feed_pieces_keep(&k, p[3]); /* too long by itself */
    for (unsigned i = 0; i < 4; i++) {
        struct feed_piece *found = feed_pieces_find(&k, &p[i]->place);

        assert_ptr_equal(found, i == 1 || i == 2 ? p[i] : NULL);
        feed_piece_unref(found);
    }
    struct shared_bytes *b = shared_bytes_new("0123", 4);

    feed_piece_unref(NULL);
    b = feed_pieces_share(&k, p[1], 0, b);
    assert_ptr_equal(p[1]->made[0], b);
    shared_bytes_unref(b);
    feed_pieces_drop(&k);
    assert_int_equal(k.bytes, 0);
    for (unsigned i = 0; i < 4; i++) {
        feed_piece_unref(p[i]);
    }
}

static void one_who_waits_for_another_feed_is_not_waked(void **state)
{
    struct limits l;
    struct watcher a = WATCHER_INIT, b = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up_with(&l, &few);
    watcher_start(&l.r, &a, 0, SUBSCRIPTION_DELTA, &item);
    watcher_start(&l.r, &b, 1, SUBSCRIPTION_DELTA, &item);
    watcher_nothing(&a);
    watcher_nothing(&b);
    unsigned a_before = watcher_wakes(&a), b_before = watcher_wakes(&b);

    feed_play_change(&l.plays[1], 0, 1);
    rig_ring(&l.r);
    watcher_wait(&b, b_before);
    assert_int_equal(watcher_wakes(&a), a_before);
    assert_int_equal(watcher_wakes(&b), b_before + 1);
    watcher_end(&a);
    watcher_end(&b);
    tear_down(&l);
}

/* The mapper takes so many questions at once. */
static void a_question_for_which_there_is_no_room_is_asked_again(void **state)
{
    struct limits l;
    struct watcher a = WATCHER_INIT, b = WATCHER_INIT;
    struct subscription_request request = rig_request(&a, 0, SUBSCRIPTION_DELTA);
    struct subscription_item item;
    union message watch;

    (void)state;
    set_up_with(&l, &few);
    fake_mapper_leave(&l.r.mapper);
    l.r.mapper.hello.requests_max = 1;
    fake_mapper_join(&l.r.mapper);
    outcome_wait(&l.r.connected, 2);
    watcher_begin(&l.r, &a, &request);
    request = rig_request(&b, 1, SUBSCRIPTION_DELTA);
    watcher_begin(&l.r, &b, &request); /* it waits, and is not refused */
    watcher_nothing(&b);
    fake_mapper_request(&l.r.mapper, &watch);
    assert_int_equal(watch.head.type, MESSAGE_WATCH);
    assert_int_equal(watch.watch.id, 0);
    rig_answer_watch(&l.r, &watch, &l.plays[0]);
    rig_serve_next(&l.r, MESSAGE_WATCH);
    watcher_next(&l.r, &b, SUBSCRIPTION_BEGUN, &item);
    watcher_end(&a);
    watcher_end(&b);
    tear_down(&l);
}

/* Between the look that found nothing and the wait: no ring of the doorbell comes for it any more. */
static void what_came_before_the_wait_is_not_waited_for(void **state)
{
    struct limits l;
    struct watcher a = WATCHER_INIT;
    struct subscription_item item;

    (void)state;
    set_up_with(&l, &few);
    watcher_start(&l.r, &a, 0, SUBSCRIPTION_DELTA, &item);
    assert_true(feed_arm(a.u->feed, &a.u->member, &a.u->position.place));
    feed_play_change(&l.plays[0], 0, 1);
    assert_false(feed_arm(a.u->feed, &a.u->member, &a.u->position.place));
    watcher_end(&a);
    tear_down(&l);
}

static void a_subscription_costs_less_than_two_kib(void **state)
{
    (void)state;
    assert_true(sizeof(struct subscription) + sizeof(struct feed_cursor) <= 2048);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identity_has_so_many_and_no_more),
        cmocka_unit_test(other_limits_count_for_who_comes_next),
        cmocka_unit_test(all_have_so_many_and_no_more),
        cmocka_unit_test(some_have_fewer_streams),
        cmocka_unit_test(so_many_feeds_and_no_more_but_for_those_that_linger),
        cmocka_unit_test(feeds_that_linger_give_their_memory_to_another),
        cmocka_unit_test(feeds_that_linger_stay_where_their_end_would_not_help),
        cmocka_unit_test(a_feed_is_let_go_when_nobody_came_for_a_while),
        cmocka_unit_test(a_feed_is_held_at_the_smallest_period),
        cmocka_unit_test(an_image_is_shared_while_its_place_is_held),
        cmocka_unit_test(what_was_made_of_a_record_is_made_once),
        cmocka_unit_test(one_alone_keeps_nothing_for_others),
        cmocka_unit_test(pieces_are_kept_up_to_their_bytes),
        cmocka_unit_test(one_who_waits_for_another_feed_is_not_waked),
        cmocka_unit_test(a_question_for_which_there_is_no_room_is_asked_again),
        cmocka_unit_test(what_came_before_the_wait_is_not_waited_for),
        cmocka_unit_test(a_subscription_costs_less_than_two_kib),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
