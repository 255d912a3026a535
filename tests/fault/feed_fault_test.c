/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Feeds of a host on which calls fail, domains die in the midst of a sample, pages go away, and domains come
 * and go for ever: each ends with its reason, none leaves a zombie, and the mapper goes on. */
#include "tests/lib/feed_rig.h"

static struct rig rig;
static struct rig_peer peer;
static union message answered;

static void start(const char *scenario, const char *const *more)
{
    rig_start(&rig, scenario, RIG_EXPORT_ALL, more);
    rig_join(&rig, &peer);
}

static struct message_counters_answer counters(void)
{
    union message m = rig_message(MESSAGE_COUNTERS), a;

    assert_true(rig_call(&peer, &m, &a));
    return a.counters_answer;
}

/* A sample that is being taken keeps its domain until it is done: where domains go all the time, one may
 * just do so. One that stays a zombie is there each time. */
static void assert_no_zombie_stays(void)
{
    uint64_t until_ns = clock_monotonic_ns() + 10 * CLOCK_NS_PER_S;

    while (rig_ledger(&peer, "zombies") != 0 || counters().zombies != 0) {
        assert_true(clock_monotonic_ns() < until_ns);
    }
}

static void stop(void)
{
    assert_no_zombie_stays();
    assert_int_equal(rig_ledger(&peer, "grant tables grown"), 0);
    rig_leave(&peer);
    rig_stop(&rig);
}

#define GUEST(more)                                                                                \
    "domain \"guest\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"               \
    "  grants { version = 2 frames = 4 frames_max = 32 entries = 900 changes_per_second = 400 } }" \
    "\n" more

static bool watch(struct feed_rig *r, const char *name, uint32_t flags)
{
    struct domain_identity d = rig_domain(&peer, name);
    union message m = feed_rig_message(&d, RESOURCE_GRANT_TABLE, 0, flags, 10);

    return feed_rig_begin(r, &peer, &m, &answered);
}

/* --- calls that fail ------------------------------------------------------------------------------ */

static void calls_that_fail_are_counted_and_made_again(void **state)
{
    struct feed_rig r;

    (void)state;
    start(GUEST("fault { operation = \"size\" domain = \"guest\" call = 20 count = 9 errno = "
                "\"EIO\" }\n"
                "fault { operation = \"map\" domain = \"guest\" call = 40 count = 3 errno = "
                "\"ENOMEM\" }\n"),
          NULL);
    assert_true(watch(&r, "guest", SNAPSHOT_WITH_STATUS));
    while (counters().sample_failures < 12) {
        poll(NULL, 0, 5);
    }
    feed_rig_fetch(&r);
    feed_rig_next_of(&r, FEED_RECORD_CHANGES); /* it goes on */
    feed_rig_apply(&r);
    assert_int_equal(counters().zombies, 0);
    feed_rig_done(&r);
    stop();
}

static void ten_failures_in_a_row_are_the_end(void **state)
{
    struct feed_rig r;

    (void)state;
    start(GUEST("fault { operation = \"size\" domain = \"guest\" call = 20 count = 10 errno = "
                "\"EIO\" }\n"),
          NULL);
    assert_true(watch(&r, "guest", 0));
    const struct feed_end *end = feed_rig_next_of(&r, FEED_RECORD_END)->end;

    assert_int_equal(end->reason, FEED_END_FAILED);
    assert_int_equal(end->failure.xen_errno, EIO);
    assert_true(end->failure.message[0] != '\0');
    feed_rig_done(&r);
    assert_true(watch(&r, "guest", 0)); /* another one */
    feed_rig_done(&r);
    stop();
}

/* --- domains that die ------------------------------------------------------------------------------ */

/* Whichever call of a sample it is that the domain dies at. */
static void a_domain_that_dies_in_the_midst_of_a_sample_is_no_zombie(void **state)
{
    static const char *const operations[] = { "size", "map", "find" };

    (void)state;
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        for (int call = 1; call <= 9; call++) {
            char scenario[1024];
            struct feed_rig r;

            snprintf(scenario, sizeof(scenario),
                     GUEST("fault { operation = \"%s\" domain = \"guest\" call = %d effect = "
                           "\"dies\" }\n"),
                     operations[i], call);
            start(scenario, NULL);
            union message m = rig_message(MESSAGE_DOMAINS);

            assert_true(rig_call(&peer, &m, &answered));
            struct domain_identity d = answered.domains_answer.domains[0].identity;

            m = feed_rig_message(&d, RESOURCE_GRANT_TABLE, 0, SNAPSHOT_WITH_STATUS, 10);
            if (feed_rig_begin(&r, &peer, &m, &answered)) {
                assert_int_equal(feed_rig_next_of(&r, FEED_RECORD_END)->end->reason,
                                 FEED_END_INCARNATION);
            } else {
                assert_true(answered.failed.failure.code == ERROR_ABORTED ||
                            answered.failed.failure.code == ERROR_NOT_FOUND);
            }
            feed_rig_done(&r);
            assert_int_equal(rig_ledger(&peer, "live mappings"), 0);
            stop();
        }
    }
}

static void pages_that_go_away_are_mapped_anew_or_are_the_end(void **state)
{
    struct feed_rig r;

    (void)state;
#ifdef __SANITIZE_THREAD__ /* which keeps SIGBUS from the guard of copies */
    skip();
#endif
    start(GUEST("event { step = 1 do = \"lose_pages\" domain = \"guest\" }\n"), NULL);
    assert_true(watch(&r, "guest", 0));
    rig_step(&rig);
    const struct feed_end *end = feed_rig_next_of(&r, FEED_RECORD_END)->end;

    assert_int_equal(end->reason, FEED_END_FAILED);
    assert_int_equal(end->failure.code, ERROR_ABORTED);
    feed_rig_done(&r);
    stop();
}

/* --- many ------------------------------------------------------------------------------------------- */

enum { CHURN = 50, SAMPLERS = 3 /* each may hold one that is gone */, WATCHES_MAX = 512 };

/* Fifty domains that are destroyed and created, each watched as soon as it is heard of. */
static void domains_that_come_and_go_leave_nothing_behind(void **state)
{
    static struct feed_rig feeds[WATCHES_MAX];
    static const char scenario[] =
        "churn { domains = 50 like = \"guest\" period_ms = 5 first_domid = 100 }\n" GUEST("");
    static const char *const options[] = { "--samplers", "3", NULL };
    union message m = rig_message(MESSAGE_WATCH_DOMAINS);
    struct feed_rig domains;
    uint32_t count = 0, created = 0, gone = 0, ended = 0;

    (void)state;
    start(scenario, options);
    assert_true(feed_rig_begin(&domains, &peer, &m, &answered));
    for (uint64_t number = 1; count < WATCHES_MAX && created < 200; number++) {
        const struct feed_domain *e = feed_rig_next_of(&domains, FEED_RECORD_DOMAIN)->domain;

        assert_int_equal(e->number, number); /* none is missing */
        gone += e->kind == FEED_DOMAIN_GONE;
        if (e->kind != FEED_DOMAIN_CREATED) {
            continue;
        }
        created++;
        m = feed_rig_message(&e->now.identity, RESOURCE_GRANT_TABLE, 0, SNAPSHOT_WITH_STATUS, 10);
        if (feed_rig_begin(&feeds[count], &peer, &m, &answered)) {
            count++;
        } else { /* it is gone already */
            assert_true(answered.failed.failure.code == ERROR_ABORTED ||
                        answered.failed.failure.code == ERROR_NOT_FOUND);
            feed_rig_done(&feeds[count]);
        }
    }
    /* In the midst of what one look has found, some may be told gone before others are, or created. */
    for (uint32_t more = 0; gone + SAMPLERS < created || created + SAMPLERS < gone; more++) {
        const struct feed_domain *e = feed_rig_next_of(&domains, FEED_RECORD_DOMAIN)->domain;

        created += e->kind == FEED_DOMAIN_CREATED;
        gone += e->kind == FEED_DOMAIN_GONE;
        assert_true(more < 20 * CHURN);
    }
    assert_no_zombie_stays();
    struct message_counters_answer c = counters();

    assert_true(c.feeds <= CHURN + SAMPLERS);
    for (uint32_t i = 0; i < count; i++) {
        while (feed_rig_read(&feeds[i])) {
        }
        if (feeds[i].record.kind == FEED_RECORD_END) {
            assert_int_equal(feeds[i].record.end->reason, FEED_END_INCARNATION);
            ended++;
        }
        feed_rig_done(&feeds[i]);
    }
    /* All but those that are there now. */
    assert_true(count > CHURN && ended + CHURN + 1 >= count);
    feed_rig_done(&domains);
    stop();
}

/* --- memory --------------------------------------------------------------------------------------- */

/* Frame `n` by itself. */
static bool watch_frame(struct feed_rig *r, uint32_t n)
{
    struct domain_identity d = rig_domain(&peer, "guest");
    union message m = feed_rig_message(&d, RESOURCE_GRANT_TABLE, 0, 0, 10);

    m.watch.first_frame = n;
    m.watch.frame_count = 1;
    return feed_rig_begin(r, &peer, &m, &answered);
}

/* Of a MiB, with spools of 128 KiB and an image each. */
static void what_the_peer_before_had_gives_its_memory_to_the_next(void **state)
{
    static const char *const little[] = { "--spools-mib", "1", NULL };
    enum { FIT = 7, FRAMES = 2 * FIT + 1 };
    struct feed_rig r[FIT], more;

    (void)state;
    start("domain \"guest\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
          "  grants { frames = 16 frames_max = 32 entries = 900 } }\n",
          little);
    for (uint32_t i = 0; i < FIT; i++) {
        assert_true(watch_frame(&r[i], i));
    }
    assert_false(watch_frame(&more, FIT));
    assert_int_equal(answered.failed.failure.code, ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(answered.failed.failure.retry_after_ms, FAILURE_RETRY_LATER_MS);
    assert_non_null(strstr(answered.failed.failure.next_step, "--spools-mib"));
    rig_leave(&peer);
    rig_join(&rig, &peer);
    for (uint32_t i = 0; i < FIT; i++) {
        feed_rig_done(&r[i]);
        if (!watch_frame(&r[i], FIT + i)) {
            fail_msg("%u: %s", i, answered.failed.failure.message);
        }
    }
    assert_false(watch_frame(&more, FRAMES - 1)); /* its own it does not lose */
    assert_int_equal(counters().feeds, FIT);
    for (uint32_t i = 0; i < FIT; i++) {
        feed_rig_done(&r[i]);
    }
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_that_fail_are_counted_and_made_again),
        cmocka_unit_test(ten_failures_in_a_row_are_the_end),
        cmocka_unit_test(a_domain_that_dies_in_the_midst_of_a_sample_is_no_zombie),
        cmocka_unit_test(pages_that_go_away_are_mapped_anew_or_are_the_end),
        cmocka_unit_test(domains_that_come_and_go_leave_nothing_behind),
        cmocka_unit_test(what_the_peer_before_had_gives_its_memory_to_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
