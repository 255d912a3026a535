/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Streams whose domain is another by the time that the mapper is asked for its feed: resolved anew, once,
 * and what may come in between. */
#include "tests/lib/watch_stream.h"

/* --- what the mapper lists -------------------------------------------------------------------------- */

/* The stream has failed and waits: the domains are asked for. */
static uint64_t take_question(struct watching *w)
{
    union message request;

    watch_expect_nothing(w);
    fake_mapper_request(&rig.mapper, &request);
    assert_int_equal(request.head.type, MESSAGE_DOMAINS);
    return request.head.serial;
}

static void list(uint64_t serial, const struct message_domain *domain)
{
    static const struct message_domain none;

    fake_mapper_domains(&rig.mapper, serial, domain != NULL ? domain : &none, domain != NULL,
                        false);
}

/* And its answer has come. */
static void answer(struct watching *w, uint64_t serial, const struct message_domain *domain)
{
    list(serial, domain);
    outcome_wait_at_least(&w->flight.ready, 1);
}

/* A stream whose feed the mapper refuses. */
static void open_refused(struct watching *w, const char *json, enum error_code code)
{
    open_watch(w, json);
    assert_int_equal(fake_feeds.count, 1);
    fake_feeds_fail(w->feed, code);
    w->flight.ready.count = 0; /* the test's own wake */
}

static uint64_t ends(enum watch_end end)
{
    struct watch_counters c;

    rpc_watches(rig.rpc, &c);
    return c.ends[end];
}

/* --- once more ---------------------------------------------------------------------------------------- */

static void a_stream_begins_in_the_life_that_there_is_now(void **state)
{
    static const enum error_code codes[] = { ERROR_ABORTED, ERROR_NOT_FOUND };
    const struct message_domain restored = fake_domain(9, "web-1", 0x11, 0x77);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct watching w;

        fake_feeds.count = 0;
        open_refused(&w, "{" GRANTS ",\"decode\":true}", codes[i]);
        answer(&w, take_question(&w), &restored);
        watch_expect_nothing(&w);
        assert_int_equal(fake_feeds.count, 2);
        struct subscription *u = &fake_feeds.all[1];

        assert_true(w.feed->ended);
        assert_true(domain_identity_equal(&u->request.source.domain, &restored.identity));
        fake_feeds_begin(u, 5, false);
        const json_t *domain = json_object_get(watch_expect(&w, "begin"), "domain");

        assert_int_equal(watch_number(domain, "domid"), 9);
        assert_int_equal(ends(WATCH_END_FAILED), 0);
        watch_done(&w);
        assert_true(u->ended);
        assert_int_equal(ends(WATCH_END_CLIENT), i + 1); /* one stream, one end */
        rpc_domains_changed(rig.rpc, 0);                 /* as it was, for the next one */
        struct flight f = { 0 };

        flight_send(&rig, &f, &rig.alice, "GET", "/v1/domains/web-1/resources/grant_table/0/frames",
                    NULL, 0);
        rpc_rig_domains(&rig);
        rpc_rig_frames(&rig, 0, 1);
        assert_int_equal(flight_reply(&f)->status, 200);
        flight_done(&f);
    }
}

static void a_second_refusal_stands(void **state)
{
    const struct message_domain restored = fake_domain(9, "web-1", 0x11, 0x77);
    struct watching w;

    (void)state;
    open_refused(&w, "{" GRANTS "}", ERROR_ABORTED);
    answer(&w, take_question(&w), &restored);
    watch_expect_nothing(&w);
    fake_feeds_fail(&fake_feeds.all[1], ERROR_ABORTED);
    watch_expect_end(&w, ERROR_ABORTED);
    assert_int_equal(fake_feeds.count, 2);
    watch_done(&w);
    assert_int_equal(ends(WATCH_END_FAILED), 1);
}

/* That there is no such resource of it stands; that it was another, for a moment, does not. */
static void where_it_is_the_same_domain_it_is_asked_again_only_if_it_was_another(void **state)
{
    const struct message_domain same = fake_domain(1, "web-1", 0x11, 1);
    struct watching w;

    (void)state;
    open_refused(&w, "{" GRANTS "}", ERROR_NOT_FOUND);
    answer(&w, take_question(&w), &same);
    watch_expect_end(&w, ERROR_NOT_FOUND);
    assert_int_equal(fake_feeds.count, 1);
    watch_done(&w);
    fake_feeds.count = 0;
    open_refused(&w, "{" GRANTS "}", ERROR_ABORTED);
    answer(&w, take_question(&w), &same);
    watch_expect_nothing(&w);
    assert_int_equal(fake_feeds.count, 2);
    watch_done(&w);
}

static void other_failures_stand(void **state)
{
    static const enum error_code codes[] = { ERROR_UNAVAILABLE, ERROR_RESOURCE_EXHAUSTED,
                                             ERROR_FAILED_PRECONDITION, ERROR_DATA_LOSS };

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct watching w;

        fake_feeds.count = 0;
        open_refused(&w, "{" GRANTS "}", codes[i]);
        watch_expect_end(&w, codes[i]);
        watch_done(&w);
    }
}

/* What was said was of one life of it. */
static void nothing_is_resolved_anew_behind_the_first_message(void **state)
{
    struct watching w;

    (void)state;
    open_begun(&w, "{" GRANTS "}");
    fake_feeds_fail(w.feed, ERROR_ABORTED);
    (void)watch_expect(&w, "end");
    watch_expect_end(&w, ERROR_ABORTED);
    watch_done(&w);
}

/* --- what is decided on ------------------------------------------------------------------------------- */

static void it_may_be_gone(void **state)
{
    struct watching w;

    (void)state;
    open_refused(&w, "{" GRANTS "}", ERROR_ABORTED);
    answer(&w, take_question(&w), NULL);
    watch_expect_end(&w, ERROR_NOT_FOUND);
    watch_done(&w);
    assert_int_equal(ends(WATCH_END_FAILED), 1);
}

/* In the same words as of one that is not there. */
static void the_policy_is_asked_of_the_domain_that_is_found(void **state)
{
    const struct message_domain vault = fake_domain(1, "web-1", 0x33, 7);
    struct watching w;

    (void)state;
    open_refused(&w, "{" GRANTS "}", ERROR_ABORTED);
    answer(&w, take_question(&w), &vault);
    watch_expect_end(&w, ERROR_NOT_FOUND);
    assert_int_equal(fake_feeds.count, 1);
    watch_done(&w);
}

/* The one in force by then. */
static void another_policy_is_asked_too(void **state)
{
    const struct message_domain restored = fake_domain(9, "web-1", 0x11, 0x77);
    struct watching w;

    (void)state;
    open_refused(&w, "{" GRANTS "}", ERROR_ABORTED);
    uint64_t serial = take_question(&w);
    struct policy *policy = rpc_rig_parse_policy(
        "rule \"all\" { effect = allow identities = { \"cn:alice\" } domains = { \"all\" }"
        " types = { \"all\" } actions = { \"list\" } }\n");

    rpc_set_rules(rig.rpc, policy, NULL);
    policy_unref(policy);
    watch_expect_nothing(&w); /* of what is about to be found it is not known yet */
    answer(&w, serial, &restored);
    outcome_wait_at_least(&w.flight.ready, 2);
    watch_expect_end(&w, ERROR_PERMISSION_DENIED);
    assert_int_equal(fake_feeds.count, 1);
    watch_done(&w);
}

/* What is hidden by it in between is not there: that it is would be told by any other words. */
static void by_another_policy_it_may_not_be_there_any_more(void **state)
{
    const struct message_domain restored = fake_domain(9, "web-1", 0x11, 0x77);
    struct watching w;

    (void)state;
    open_refused(&w, "{" GRANTS "}", ERROR_ABORTED);
    uint64_t serial = take_question(&w);
    struct policy *policy = rpc_rig_parse_policy(
        "rule \"others\" { effect = allow identities = { \"cn:alice\" } domains = { \"name:db-*\" }"
        " types = { \"all\" } actions = { \"list\", \"watch\" } }\n");

    rpc_set_rules(rig.rpc, policy, NULL);
    policy_unref(policy);
    watch_expect_nothing(&w);
    answer(&w, serial, &restored);
    outcome_wait_at_least(&w.flight.ready, 2);
    watch_expect_end(&w, ERROR_NOT_FOUND);
    assert_int_equal(fake_feeds.count, 1);
    watch_done(&w);
}

static void the_incarnation_that_is_meant_is_still_meant(void **state)
{
    const struct message_domain restored = fake_domain(9, "web-1", 0x11, 0x77);
    struct watching w;

    (void)state;
    open_refused(&w, "{" GRANTS ",\"incarnation\":\"01000000000000000000000000000000\"}",
                 ERROR_ABORTED);
    answer(&w, take_question(&w), &restored);
    watch_expect_end(&w, ERROR_ABORTED);
    assert_int_equal(fake_feeds.count, 1);
    watch_done(&w);
}

/* --- meanwhile ---------------------------------------------------------------------------------------- */

static void a_stream_may_go_before_the_answer_comes(void **state)
{
    const struct message_domain restored = fake_domain(9, "web-1", 0x11, 0x77);
    struct watching w;
    struct flight f = { 0 };

    (void)state;
    open_refused(&w, "{" GRANTS "}", ERROR_ABORTED);
    uint64_t serial = take_question(&w);

    watch_done(&w);
    assert_int_equal(ends(WATCH_END_FAILED) + ends(WATCH_END_CLIENT), 1);
    list(serial,
         &restored); /* nobody's; what comes behind it has been taken when this is answered */
    flight_send(&rig, &f, &rig.alice, "GET", "/v1/domains/web-1/resources/grant_table/0/frames",
                NULL, 0);
    rpc_rig_frames(&rig, 0, 1);
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
}

static void the_gateway_may_stop_before_the_answer_comes(void **state)
{
    struct watching w;

    (void)state;
    open_refused(&w, "{" GRANTS "}", ERROR_ABORTED);
    (void)take_question(&w);
    rpc_drain(rig.rpc);
    watch_expect_end(&w, ERROR_UNAVAILABLE);
    watch_done(&w);
    assert_int_equal(ends(WATCH_END_SHUTTING_DOWN), 1);
}

static void its_time_may_be_over_before_the_answer_comes(void **state)
{
    struct watching w = { .feed = NULL };

    (void)state;
    flight_add(&w.flight, "Connect-Timeout-Ms", "200");
    watch_open_as(&rig, &w, &rig.alice, WATCH, "{" GRANTS "}");
    fake_feeds_fail(w.feed, ERROR_ABORTED);
    w.flight.ready.count = 0;
    (void)take_question(&w);
    json_t *said = NULL;

    for (unsigned wakes = 1; said == NULL; wakes++) {
        outcome_wait_at_least(&w.flight.ready, wakes);
        said = watch_read(&w);
    }
    const json_t *error = json_object_get(said, "error");

    assert_string_equal(watch_text(error, "code"), "deadline_exceeded");
    json_decref(said);
    watch_done(&w);
}

static void the_mapper_may_go_before_it_answers(void **state)
{
    struct watching w;

    (void)state;
    open_refused(&w, "{" GRANTS "}", ERROR_ABORTED);
    (void)take_question(&w);
    fake_mapper_leave(&rig.mapper);
    outcome_wait_at_least(&w.flight.ready, 1);
    watch_expect_end(&w, ERROR_UNAVAILABLE);
    watch_done(&w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, watch_begin, watch_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_begins_in_the_life_that_there_is_now),
        TEST(a_second_refusal_stands),
        TEST(where_it_is_the_same_domain_it_is_asked_again_only_if_it_was_another),
        TEST(other_failures_stand),
        TEST(nothing_is_resolved_anew_behind_the_first_message),
        TEST(it_may_be_gone),
        TEST(the_policy_is_asked_of_the_domain_that_is_found),
        TEST(another_policy_is_asked_too),
        TEST(by_another_policy_it_may_not_be_there_any_more),
        TEST(the_incarnation_that_is_meant_is_still_meant),
        TEST(a_stream_may_go_before_the_answer_comes),
        TEST(the_gateway_may_stop_before_the_answer_comes),
        TEST(its_time_may_be_over_before_the_answer_comes),
        TEST(the_mapper_may_go_before_it_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
