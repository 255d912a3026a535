/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Who pays for the spool of a feed: who asked first, then who is there, then the last. */
#include "tests/lib/feeds_rig.h"

enum { FEEDS = 3 };

static const struct feeds_options few = {
    .feeds_max = FEEDS,
    .subscribers_max = 6,
    .subscribers_per_identity = 4,
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

enum { SPOOL_BYTES = 1 << 16 }; /* of each play */

static void start_as(struct limits *l, struct watcher *w, uint32_t id, const char *who,
                     uint64_t spool_max_bytes)
{
    struct identity identity = { 0 };
    struct subscription_item item;

    *w = (struct watcher)WATCHER_INIT;
    struct subscription_request request = rig_request(w, id, SUBSCRIPTION_DELTA);

    snprintf(identity.text, sizeof(identity.text), "%s", who);
    request.who = &identity;
    request.spool_max_bytes = spool_max_bytes;
    watcher_begin(&l->r, w, &request);
    watcher_next(&l->r, w, SUBSCRIPTION_BEGUN, &item);
}

static void expect_no_more(struct limits *l, uint32_t id, const char *who, uint64_t spool_max_bytes)
{
    struct identity identity = { 0 };
    struct watcher w = WATCHER_INIT;
    struct subscription_request request = rig_request(&w, id, SUBSCRIPTION_DELTA);
    struct failure f = { 0 };

    snprintf(identity.text, sizeof(identity.text), "%s", who);
    request.who = &identity;
    request.spool_max_bytes = spool_max_bytes;
    assert_int_equal(subscription_begin(l->r.feeds, &request, &w.u, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_true(f.retry_after_ms > 0);
    assert_non_null(strstr(f.cause, "spool_bytes"));
}

static void who_asked_first_pays_for_the_spool(void **state)
{
    struct limits l;
    struct watcher a, b, c;
    struct feeds_counters counters;

    (void)state;
    set_up_with(&l, &few);
    start_as(&l, &a, 0, "cn:a", 2 * SPOOL_BYTES);
    start_as(&l, &b, 1, "cn:a", 2 * SPOOL_BYTES);
    expect_no_more(&l, 2, "cn:a", 2 * SPOOL_BYTES);
    feeds_count(l.r.feeds, &counters);
    assert_int_equal(counters.refused_spools, 1);
    watcher_end(&b);
    start_as(&l, &b, 0, "cn:b", SPOOL_BYTES); /* which is there: it costs him nothing */
    start_as(&l, &c, 2, "cn:b", SPOOL_BYTES);
    expect_no_more(&l, 1, "cn:b", SPOOL_BYTES);
    watcher_end(&a);
    watcher_end(&b);
    watcher_end(&c);
    tear_down(&l);
}

static void when_he_has_gone_another_pays_who_is_there(void **state)
{
    struct limits l;
    struct watcher a, b;

    (void)state;
    set_up_with(&l, &few);
    start_as(&l, &a, 0, "cn:a", SPOOL_BYTES);
    start_as(&l, &b, 0, "cn:b", SPOOL_BYTES);
    expect_no_more(&l, 1, "cn:a", SPOOL_BYTES);
    watcher_end(&a);
    expect_no_more(&l, 1, "cn:b", SPOOL_BYTES);
    start_as(&l, &a, 1, "cn:a", SPOOL_BYTES);
    watcher_end(&a);
    watcher_end(&b);
    tear_down(&l);
}

static void what_lingers_is_let_go_before_its_payer_is_refused(void **state)
{
    struct limits l;
    struct watcher a, b, c;

    (void)state;
    set_up_with(&l, &few);
    start_as(&l, &c, 2, "cn:c", 0);
    watcher_end(&c); /* that of another stays */
    start_as(&l, &a, 0, "cn:a", SPOOL_BYTES);
    watcher_end(&a);
    start_as(&l, &b, 1, "cn:a", SPOOL_BYTES);
    assert_int_equal(l.r.unwatches, 1);
    start_as(&l, &c, 2, "cn:c", 0);
    assert_int_equal(l.r.unwatches, 1);
    watcher_end(&b);
    watcher_end(&c);
    tear_down(&l);
}

static void a_spool_that_is_too_large_is_given_back_at_once(void **state)
{
    struct limits l;
    struct watcher w = WATCHER_INIT;
    struct subscription_request request = rig_request(&w, 0, SUBSCRIPTION_DELTA);
    struct subscription_item item;
    struct failure f = { 0 };
    struct feeds_counters counters;

    (void)state;
    set_up_with(&l, &few);
    request.spool_max_bytes = SPOOL_BYTES - 1;
    watcher_begin(&l.r, &w, &request);
    assert_int_equal(watcher_try(&l.r, &w, &item, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(f.retry_after_ms, 0); /* it will never do */
    watcher_end(&w);
    rig_wait_unwatched(&l.r, 1);
    feeds_count(l.r.feeds, &counters);
    assert_int_equal(counters.spool_bytes, 0);
    request.spool_max_bytes = SPOOL_BYTES;
    w = (struct watcher)WATCHER_INIT;
    watcher_begin(&l.r, &w, &request);
    watcher_next(&l.r, &w, SUBSCRIPTION_BEGUN, &item);
    watcher_end(&w);
    tear_down(&l);
}

/* Nobody is there any more when the mapper answers, so it may be let go; and it has no other payer. It is
 * not what makes room for itself: its payer would be gone while he is asked (the address sanitizer sees
 * that). */
static void a_spool_that_is_too_large_for_one_who_has_left_is_given_back(void **state)
{
    struct limits l;
    struct watcher w = WATCHER_INIT;
    struct subscription_request request = rig_request(&w, 0, SUBSCRIPTION_DELTA);
    struct feeds_counters counters;

    (void)state;
    set_up_with(&l, &few);
    request.spool_max_bytes = SPOOL_BYTES - 1;
    watcher_begin(&l.r, &w, &request);
    watcher_end(&w);
    rig_serve_next(&l.r, MESSAGE_WATCH);
    rig_wait_unwatched(&l.r, 1);
    feeds_count(l.r.feeds, &counters);
    assert_int_equal(counters.refused_spools, 1);
    assert_int_equal(counters.spool_bytes, 0);
    assert_int_equal(counters.feeds, 0);
    tear_down(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asked_first_pays_for_the_spool),
        cmocka_unit_test(when_he_has_gone_another_pays_who_is_there),
        cmocka_unit_test(what_lingers_is_let_go_before_its_payer_is_refused),
        cmocka_unit_test(a_spool_that_is_too_large_is_given_back_at_once),
        cmocka_unit_test(a_spool_that_is_too_large_for_one_who_has_left_is_given_back),
    };

    return UNIT_RUN(tests);
}
