/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* HostService.WatchDomains on feeds that the test plays: a list, then what becomes of the domains that the
 * caller may see and asked for, with numbers that have no holes. */
#include "tests/lib/watch_domains.h"

/* --- lists ------------------------------------------------------------------------------------------------ */

static void a_list_comes_first_of_those_that_may_be_seen(void **state)
{
    struct watching w;

    (void)state;
    open_watch(&w, &rig.alice, "{}");
    assert_true(w.feed->request.source.is_domains);
    fake_feeds_begin(w.feed, 5, false);
    const json_t *said = watch_expect(&w, "begin");

    assert_int_equal(watch_number(said, "sequence"), 5);
    assert_string_equal(watch_text(said, "silenceMax"), "0.150s");
    watch_expect_nothing(&w);
    answer_usual(7);
    said = watch_await(&w, "list");
    assert_int_equal(watch_number(said, "sequence"), 5);
    assert_true(watch_flag(said, "complete"));
    assert_int_equal(json_array_size(json_object_get(said, "domains")), 2); /* not the vault */
    said = watch_expect(&w, "checkpoint");
    assert_int_equal(watch_number(said, "sequence"), 5);
    assert_true(watch_text(said, "cursor")[0] != '\0');
    watch_done(&w);
}

/* Events up to the list's generation are in it: its number says so, and they are not told again. */
static void what_is_in_the_list_is_not_told_again(void **state)
{
    const struct message_domain web = fake_domain(1, "web-1", 0x11, 1);
    struct watching w;

    (void)state;
    open_watch(&w, &rig.alice, "{}");
    fake_feeds_begin(w.feed, 5, false);
    (void)watch_expect(&w, "begin");
    watch_expect_nothing(&w);
    (void)put_event(&w, 6, 6, FEED_DOMAIN_CREATED, &web, NULL);
    (void)put_event(&w, 7, 7, FEED_DOMAIN_STATE, &web, NULL);
    (void)put_event(&w, 8, 8, FEED_DOMAIN_STATE, &web, NULL);
    answer_usual(7);
    assert_int_equal(watch_number(watch_await(&w, "list"), "sequence"), 7);
    expect_change(&w, "STATE", "web-1", 8, 0);
    (void)put_event(&w, 9, 7, FEED_DOMAIN_STATE, &web, NULL); /* late, and in it all the same */
    (void)put_event(&w, 10, 9, FEED_DOMAIN_DYING, &web, NULL);
    (void)watch_expect(&w, "checkpoint");
    expect_change(&w, "DYING", "web-1", 10, 9);
    watch_done(&w);
}

/* No list is of one generation, as often as it is asked for. */
static void answer_changing(void)
{
    const struct message_domain web = fake_domain(1, "web-1", 0x11, 1),
                                db = fake_domain(4, "db", 0x44, 4);

    for (int i = 0; i < DOMAIN_ROWS_TRIES; i++) {
        answer_list(10 + 2 * (uint64_t)i, &web, 1, true);
        answer_list(11 + 2 * (uint64_t)i, &db, 1, false);
    }
}

static void a_list_of_two_generations_is_made_anew(void **state)
{
    const struct message_domain web = fake_domain(1, "web-1", 0x11, 1),
                                db = fake_domain(4, "db", 0x44, 4);
    struct watching w;

    (void)state;
    open_watch(&w, &rig.alice, "{}");
    fake_feeds_begin(w.feed, 5, false);
    (void)watch_expect(&w, "begin");
    watch_expect_nothing(&w);
    answer_list(7, &web, 1, true);
    answer_list(8, &db, 1, false);
    answer_list(8, &db, 1, false);
    assert_int_equal(json_array_size(json_object_get(watch_await(&w, "list"), "domains")), 1);
    watch_done(&w);
    /* Not for ever. */
    open_watch(&w, &rig.alice, "{}");
    fake_feeds_begin(w.feed, 5, false);
    (void)watch_expect(&w, "begin");
    watch_expect_nothing(&w);
    answer_changing();
    assert_string_equal(watch_text(watch_await(&w, "end"), "reason"), "WATCH_END_REASON_FAILED");
    watch_expect_end(&w, ERROR_UNAVAILABLE);
    watch_done(&w);
}

enum { LONG_PAGES = HOST_WATCH_LIST_PART / MESSAGE_DOMAINS_MAX + 1 };

static void open_long(struct watching *w, const char *json)
{
    struct message_domain page[MESSAGE_DOMAINS_MAX];

    open_watch(w, &rig.alice, json);
    fake_feeds_begin(w->feed, 5, false);
    (void)watch_expect(w, "begin");
    watch_expect_nothing(w);
    for (uint32_t i = 0; i < LONG_PAGES; i++) {
        for (uint32_t j = 0; j < MESSAGE_DOMAINS_MAX; j++) {
            page[j] = fake_domain((uint16_t)(1 + i * MESSAGE_DOMAINS_MAX + j), "d", 1, 1);
        }
        answer_list(3, page, MESSAGE_DOMAINS_MAX, i + 1 < LONG_PAGES);
    }
}

static void a_long_list_comes_in_parts(void **state)
{
    struct watching w;

    (void)state;
    open_long(&w, "{\"filter\":{\"nameGlob\":\"d*\"}}");
    const json_t *said = watch_await(&w, "list");

    assert_int_equal(json_array_size(json_object_get(said, "domains")), HOST_WATCH_LIST_PART);
    assert_false(watch_flag(said, "complete"));
    said = watch_expect(&w, "list");
    assert_int_equal(json_array_size(json_object_get(said, "domains")),
                     LONG_PAGES * MESSAGE_DOMAINS_MAX - HOST_WATCH_LIST_PART);
    assert_true(watch_flag(said, "complete"));
    watch_done(&w);
}

/* Pieces of two lists are never mixed: the one that was begun is told to its end, what is left of it under
 * the new policy, and then another. */
static void another_policy_within_a_list_is_another_list_behind_it(void **state)
{
    struct watching w;

    (void)state;
    open_long(&w, "{}");
    assert_false(watch_flag(watch_await(&w, "list"), "complete"));
    set_policy("cn:alice", "name:db");
    put(&w, 6, FEED_DOMAIN_STATE, "db", NULL);
    const json_t *said = watch_expect(&w, "list");

    assert_true(watch_flag(said, "complete"));
    assert_int_equal(json_array_size(json_object_get(said, "domains")), 0);
    watch_expect_nothing(&w); /* nor a checkpoint: what it says is void */
    answer_usual(2000);
    assert_int_equal(watch_number(watch_await(&w, "gap"), "sequence"), 6);
    said = watch_expect(&w, "list");
    assert_true(watch_flag(said, "complete"));
    assert_int_equal(json_array_size(json_object_get(said, "domains")), 1);
    assert_int_equal(watch_number(watch_expect(&w, "checkpoint"), "sequence"), 6);
    watch_done(&w);
}

/* --- events ----------------------------------------------------------------------------------------------- */

static void what_becomes_of_a_domain_is_told(void **state)
{
    struct watching w;

    (void)state;
    open_listed(&w, &rig.alice, "{}");
    put(&w, 6, FEED_DOMAIN_CREATED, "web-9", NULL);
    put(&w, 7, FEED_DOMAIN_RENAMED, "web-10", "web-9");
    put(&w, 8, FEED_DOMAIN_STATE, "web-10", NULL);
    put(&w, 9, FEED_DOMAIN_DYING, "web-10", NULL);
    put(&w, 10, FEED_DOMAIN_GONE, "web-10", NULL);
    expect_change(&w, "CREATED", "web-9", 6, 0);
    const json_t *said = watch_expect(&w, "change");

    assert_string_equal(watch_text(said, "previousName"), "web-9");
    expect_change(&w, "STATE", "web-10", 8, 0);
    expect_change(&w, "DYING", "web-10", 9, 0);
    expect_change(&w, "GONE", "web-10", 10, 0);
    watch_done(&w);
}

/* viewer may list web-*. */
static void a_name_decides_before_and_after(void **state)
{
    struct watching w;

    (void)state;
    open_listed(&w, &rig.viewer, "{}");
    put(&w, 6, FEED_DOMAIN_CREATED, "secret", NULL);
    put(&w, 7, FEED_DOMAIN_STATE, "secret", NULL);
    put(&w, 8, FEED_DOMAIN_RENAMED, "web-9", "secret");
    put(&w, 9, FEED_DOMAIN_RENAMED, "secret-2", "web-9");
    put(&w, 10, FEED_DOMAIN_GONE, "secret-2", NULL);
    put(&w, 11, FEED_DOMAIN_CREATED, "web-9", NULL);
    const json_t *said = watch_expect(&w, "change");

    assert_string_equal(watch_text(said, "kind"), "DOMAIN_CHANGE_KIND_CREATED");
    assert_string_equal(watch_text(said, "previousName"), "");
    assert_int_equal(watch_number(said, "firstSequence"), 6);
    assert_int_equal(watch_number(said, "sequence"), 8);
    expect_change(&w, "GONE", "web-9", 9, 0); /* and not where it went */
    expect_change(&w, "CREATED", "web-9", 11, 10);
    watch_done(&w);
}

static void a_filter_decides_likewise(void **state)
{
    struct message_domain d = fake_domain(1, "web-1", 0x11, 1);
    struct watching w;

    (void)state;
    open_listed(&w, &rig.alice, "{\"filter\":{\"states\":[\"DOMAIN_STATE_RUNNING\"]}}");
    d.state = DOMAIN_PAUSED;
    (void)put_event(&w, 6, 100, FEED_DOMAIN_STATE, &d, NULL);
    (void)put_event(&w, 7, 101, FEED_DOMAIN_STATE, &d, NULL);
    d.state = DOMAIN_RUNNING;
    (void)put_event(&w, 8, 102, FEED_DOMAIN_STATE, &d, NULL);
    d.state = DOMAIN_DYING;
    (void)put_event(&w, 9, 103, FEED_DOMAIN_DYING, &d, NULL);
    (void)put_event(&w, 10, 104, FEED_DOMAIN_GONE, &d, NULL);
    expect_change(&w, "GONE", "web-1", 6, 0);
    expect_change(&w, "CREATED", "web-1", 8, 7);
    expect_change(&w, "GONE", "web-1", 9, 0);
    watch_expect_nothing(&w);
    watch_done(&w);
}

/* --- gaps, policies, cursors ------------------------------------------------------------------------------ */

static void a_gap_is_followed_by_a_list_and_says_all_that_is_missing(void **state)
{
    const struct message_domain web = fake_domain(1, "web-1", 0x11, 1);
    struct watching w;

    (void)state;
    open_listed(&w, &rig.alice, "{}");
    put(&w, 6, FEED_DOMAIN_CREATED, "x", NULL);
    expect_change(&w, "CREATED", "x", 6, 0);
    put_gap(&w, 7, 20);
    watch_expect_nothing(&w);
    (void)put_event(&w, 21, 50, FEED_DOMAIN_STATE, &web, NULL);
    answer_usual(50);
    const json_t *said = watch_await(&w, "gap");

    assert_string_equal(watch_text(said, "reason"), "WATCH_GAP_REASON_TOO_SLOW");
    assert_int_equal(watch_number(said, "firstSequence"), 7);
    assert_int_equal(watch_number(said, "sequence"), 21); /* which is in the list, too */
    assert_int_equal(watch_number(watch_expect(&w, "list"), "sequence"), 21);
    watch_done(&w);
}

/* From where no list was told nobody can go on. */
static void without_the_list_that_was_due_an_end_has_no_cursor(void **state)
{
    struct watching w;

    (void)state;
    for (int missing = 0; missing < 2; missing++) {
        open_listed(&w, &rig.alice, "{}");
        if (missing != 0) {
            put_gap(&w, 6, 9);
        } else {
            set_policy("cn:alice", "all");
        }
        watch_expect_nothing(&w);
        fake_feeds_put(w.feed,
                       &(struct subscription_item){ .kind = SUBSCRIPTION_ENDED,
                                                    .ended = { .mapper_gone = true, .batch = 9 } });
        answer_usual(2000);
        if (missing != 0) {
            assert_int_equal(watch_number(watch_await(&w, "gap"), "sequence"), 9);
        }
        assert_string_equal(watch_text(watch_await(&w, "end"), "cursor"), "");
        watch_expect_end(&w, ERROR_UNAVAILABLE);
        watch_done(&w);
    }
}

/* The numbers of what was to be listed are declared, whatever there is no list for. */
static void what_no_list_could_be_made_of_is_missing(void **state)
{
    struct watching w;

    (void)state;
    open_listed(&w, &rig.alice, "{}");
    put_gap(&w, 6, 9);
    watch_expect_nothing(&w);
    answer_changing();
    assert_int_equal(watch_number(watch_await(&w, "gap"), "sequence"), 9);
    const json_t *said = watch_expect(&w, "end");

    assert_string_equal(watch_text(said, "reason"), "WATCH_END_REASON_FAILED");
    assert_string_equal(watch_text(said, "cursor"), "");
    watch_expect_end(&w, ERROR_UNAVAILABLE);
    watch_done(&w);
}

static void another_policy_is_another_list(void **state)
{
    struct watching w;

    (void)state;
    open_listed(&w, &rig.alice, "{}");
    set_policy("cn:alice", "name:db");
    outcome_wait_at_least(&w.flight.ready, 1);
    watch_expect_nothing(&w);
    put(&w, 6, FEED_DOMAIN_STATE, "web-9", NULL);
    answer_usual(2000);
    const json_t *said = watch_await(&w, "gap");

    assert_string_equal(watch_text(said, "reason"), "WATCH_GAP_REASON_RESUMED");
    assert_int_equal(watch_number(said, "firstSequence"), 6);
    said = watch_expect(&w, "list");
    assert_int_equal(json_array_size(json_object_get(said, "domains")), 1);
    set_policy("cn:bob", "all");
    assert_string_equal(watch_text(watch_expect(&w, "end"), "reason"),
                        "WATCH_END_REASON_PERMISSION_WITHDRAWN");
    watch_expect_end(&w, ERROR_PERMISSION_DENIED);
    watch_done(&w);
}

static void it_goes_on_from_a_cursor_of_the_same_filter(void **state)
{
    char cursor[SEAL_TOKEN_MAX_BYTES], json[2048];
    struct flight f = { 0 };
    struct watching w;

    (void)state;
    open_listed(&w, &rig.alice, "{}");
    put(&w, 6, FEED_DOMAIN_CREATED, "x", NULL);
    expect_change(&w, "CREATED", "x", 6, 0);
    rpc_drain(rig.rpc);
    const json_t *said = watch_expect(&w, "end");

    (void)snprintf(cursor, sizeof(cursor), "%s", watch_text(said, "cursor"));
    watch_expect_end(&w, ERROR_UNAVAILABLE);
    watch_done(&w);
    (void)end(NULL);
    (void)begin(NULL); /* another gateway, with another key: it is none of its */
    (void)snprintf(json, sizeof(json), "{\"cursor\":\"%s\"}", cursor);
    flight_json(&rig, &f, &rig.alice, WATCH, true, json);
    flight_json_error(&f, ERROR_INVALID_ARGUMENT, "cursor");

    open_watch(&w, &rig.alice, "{}");
    fake_feeds_begin(w.feed, 5, false);
    (void)watch_expect(&w, "begin");
    watch_expect_nothing(&w);
    answer_usual(7);
    (void)watch_await(&w, "list");
    (void)snprintf(cursor, sizeof(cursor), "%s",
                   watch_text(watch_expect(&w, "checkpoint"), "cursor"));
    watch_done(&w);
    (void)snprintf(json, sizeof(json), "{\"cursor\":\"%s\"}", cursor);
    open_watch(&w, &rig.alice, json);
    assert_int_equal(w.feed->resumed.batch, 5);
    fake_feeds_begin(w.feed, 5, true);
    assert_true(watch_flag(watch_expect(&w, "begin"), "resumed"));
    put(&w, 6, FEED_DOMAIN_CREATED, "x", NULL);
    expect_change(&w, "CREATED", "x", 6, 0); /* and no list */
    watch_done(&w);
    (void)snprintf(json, sizeof(json), "{\"filter\":{\"nameGlob\":\"x\"},\"cursor\":\"%s\"}",
                   cursor);
    flight_json(&rig, &f, &rig.alice, WATCH, true, json);
    flight_json_error(&f, ERROR_INVALID_ARGUMENT, "cursor");
}

/* Of states nobody knows what they were at the cursor. */
static void with_a_filter_of_states_a_cursor_leads_to_a_list(void **state)
{
    static const char filter[] = "\"filter\":{\"states\":[\"DOMAIN_STATE_RUNNING\"]}";
    const struct message_domain web = fake_domain(1, "web-1", 0x11, 1);
    char cursor[SEAL_TOKEN_MAX_BYTES], json[2048];
    struct watching w;

    (void)state;
    (void)snprintf(json, sizeof(json), "{%s}", filter);
    open_watch(&w, &rig.alice, json);
    fake_feeds_begin(w.feed, 5, false);
    (void)watch_expect(&w, "begin");
    watch_expect_nothing(&w);
    answer_usual(7);
    (void)watch_await(&w, "list");
    (void)snprintf(cursor, sizeof(cursor), "%s",
                   watch_text(watch_expect(&w, "checkpoint"), "cursor"));
    watch_done(&w);
    (void)snprintf(json, sizeof(json), "{%s,\"cursor\":\"%s\"}", filter, cursor);
    open_watch(&w, &rig.alice, json);
    fake_feeds_begin(w.feed, 5, true);
    assert_true(watch_flag(watch_expect(&w, "begin"), "resumed"));
    watch_expect_nothing(&w);
    (void)put_event(&w, 6, 8, FEED_DOMAIN_STATE, &web, NULL);
    answer_usual(8);
    const json_t *said = watch_await(&w, "gap");

    assert_int_equal(watch_number(said, "firstSequence"), 6);
    assert_int_equal(watch_number(said, "sequence"), 6);
    (void)watch_expect(&w, "list");
    watch_done(&w);
}

/* --- its end ---------------------------------------------------------------------------------------------- */

static void it_beats_and_ends_like_the_others(void **state)
{
    struct watching w;

    (void)state;
    open_listed(&w, &rig.alice, "{}");
    assert_int_equal(watch_number(watch_await(&w, "heartbeat"), "sequence"), 5);
    fake_feeds_put(w.feed,
                   &(struct subscription_item){ .kind = SUBSCRIPTION_ENDED,
                                                .ended = { .mapper_gone = true, .batch = 6 } });
    const json_t *said = watch_await(&w, "end");

    assert_string_equal(watch_text(said, "reason"), "WATCH_END_REASON_MAPPER_GONE");
    assert_int_equal(watch_number(said, "sequence"), 6);
    watch_expect_end(&w, ERROR_UNAVAILABLE);
    watch_done(&w);
}

/* With a list on its way from the mapper. */
static void a_reader_may_go_at_any_time(void **state)
{
    struct watching w;

    (void)state;
    for (int i = 0; i < 2; i++) {
        open_watch(&w, &rig.alice, "{}");
        fake_feeds_begin(w.feed, 5, false);
        (void)watch_expect(&w, "begin");
        watch_expect_nothing(&w);
        watch_done(&w);
    }
    answer_usual(7);
    answer_usual(7);
    open_listed(&w, &rig.alice, "{}");
    watch_done(&w);
}

static void what_is_not_allowed_or_makes_no_sense_is_refused(void **state)
{
    struct flight f = { 0 };

    (void)state;
    flight_json(&rig, &f, &rig.nobody, WATCH, true, "{}");
    flight_json_error(&f, ERROR_PERMISSION_DENIED, NULL);
    flight_json(&rig, &f, &rig.alice, WATCH, true, "{\"filter\":{\"states\":[9]}}");
    flight_json_error(&f, ERROR_INVALID_ARGUMENT, "filter.states[0]");
    flight_json(&rig, &f, &rig.alice, WATCH, true, "{\"cursor\":\"x\"}");
    flight_json_error(&f, ERROR_INVALID_ARGUMENT, "cursor");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* What was shown before was decided otherwise: what is hidden now goes away, what was hidden appears. */
static void under_another_policy_a_cursor_leads_to_a_list(void **state)
{
    struct policy *policy =
        rpc_rig_parse_policy("rule \"a\" { effect = allow identities = { \"cn:alice\" } domains = "
                             "{ \"name:db\" } types = { \"all\" } actions = { \"list\" } }\n");
    char cursor[SEAL_TOKEN_MAX_BYTES], json[2048];
    struct watching w;

    (void)state;
    open_watch(&w, &rig.alice, "{}");
    fake_feeds_begin(w.feed, 5, false);
    (void)watch_expect(&w, "begin");
    watch_expect_nothing(&w);
    answer_usual(7);
    (void)watch_await(&w, "list");
    (void)snprintf(cursor, sizeof(cursor), "%s",
                   watch_text(watch_expect(&w, "checkpoint"), "cursor"));
    watch_done(&w);
    rpc_set_rules(rig.rpc, policy, NULL);
    policy_unref(policy);
    (void)snprintf(json, sizeof(json), "{\"cursor\":\"%s\"}", cursor);
    open_watch(&w, &rig.alice, json);
    fake_feeds_begin(w.feed, 5, true);
    assert_true(watch_flag(watch_expect(&w, "begin"), "resumed"));
    watch_expect_nothing(&w);
    answer_usual(8);
    const json_t *said = watch_await(&w, "list");

    assert_int_equal(json_array_size(json_object_get(said, "domains")), 1);
    watch_done(&w);
}

/* Not only when it is waked, or beats. A machine that is slow may have none between two beats, now and
 * then. */
static void it_looks_again_when_the_feed_says_so(void **state)
{
    struct watching w;
    unsigned most = 0;

    (void)state;
    open_listed(&w, &rig.alice, "{}");
    w.feed->again_ns = CLOCK_NS_PER_MS;
    for (int i = 0; i < 20 && most < 6; i++) {
        unsigned before = w.feed->looks;

        (void)watch_await(&w, "heartbeat");
        most = w.feed->looks - before > most ? w.feed->looks - before : most;
    }
    assert_true(most >= 6);
    watch_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_comes_first_of_those_that_may_be_seen),
        TEST(what_is_in_the_list_is_not_told_again),
        TEST(a_list_of_two_generations_is_made_anew),
        TEST(a_long_list_comes_in_parts),
        TEST(another_policy_within_a_list_is_another_list_behind_it),
        TEST(what_becomes_of_a_domain_is_told),
        TEST(a_name_decides_before_and_after),
        TEST(a_filter_decides_likewise),
        TEST(a_gap_is_followed_by_a_list_and_says_all_that_is_missing),
        TEST(without_the_list_that_was_due_an_end_has_no_cursor),
        TEST(what_no_list_could_be_made_of_is_missing),
        TEST(another_policy_is_another_list),
        TEST(it_goes_on_from_a_cursor_of_the_same_filter),
        TEST(with_a_filter_of_states_a_cursor_leads_to_a_list),
        TEST(under_another_policy_a_cursor_leads_to_a_list),
        TEST(it_beats_and_ends_like_the_others),
        TEST(it_looks_again_when_the_feed_says_so),
        TEST(a_reader_may_go_at_any_time),
        TEST(what_is_not_allowed_or_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
