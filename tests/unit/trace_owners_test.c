/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Traces whose owners may not have them any more end: at once, or when those have gone who read them. */
#include "tests/lib/trace_calls.h"

#include "auth/access.h"
#include "server/rpc/trace_owners.h"

#define WEB "{\"domain\":\"web-1\"}"

static struct trace_rig r;

static int set_up(void **state)
{
    (void)state;
    trace_rig_begin(&r);
    r.rpc.alice.not_after_s = INT64_MAX;
    r.carol.not_after_s = INT64_MAX;
    r.root.not_after_s = INT64_MAX;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    trace_rig_done(&r);
    return 0;
}

/* --- rules ---------------------------------------------------------------------------------------------- */

/* Alice may do nothing, the others what they may. */
static void withdraw_alice(void)
{
    static const char cut[] = "\"cn:alice\", ";
    char text[sizeof(trace_rig_policy)];

    (void)snprintf(text, sizeof(text), "%s", trace_rig_policy);
    char *at = strstr(text, cut);

    assert_non_null(at);
    memmove(at, at + strlen(cut), strlen(at + strlen(cut)) + 1);
    trace_rig_set_policy(&r, text);
}

static void deny(const char *text)
{
    struct deny *list = NULL;
    struct access *access = NULL;
    BUFFER_AUTO(faults, 4096);

    assert_int_equal(deny_parse("deny", text, strlen(text), &list, &faults, NULL), 0);
    assert_int_equal(access_new(NULL, 0, list, &access, NULL), 0);
    rpc_set_access(r.rpc.rpc, access);
    access_unref(access);
}

/* As each second. The mapper is asked so often, and stops so many more. */
static void judge(unsigned questions, unsigned stops)
{
    unsigned asked = r.asked + questions;

    stops += r.stops;
    rpc_judge_traces(r.rpc.rpc);
    while (r.asked < asked || r.stops < stops) {
        assert_true(trace_rig_serve_some(&r, FAKE_WAIT_MS));
    }
    /* The first is answered when the look is over, and the second when what that asked for has come. */
    json_decref(trace_call_json(&r, &r.carol, "GetTrace", WEB));
    json_decref(trace_call_json(&r, &r.carol, "GetTrace", WEB));
    assert_int_equal(r.asked, asked + 2);
    assert_int_equal(r.stops, stops);
}

static void start_as_alice(void)
{
    json_decref(trace_call_json(&r, &r.rpc.alice, "StartTrace", WEB));
}

/* --- tests ---------------------------------------------------------------------------------------------- */

static void a_trace_ends_when_its_owner_may_not_control_it_any_more(void **state)
{
    (void)state;
    start_as_alice();
    judge(1, 0);
    judge(0, 0); /* as long as the rules are the same, nobody is asked */
    withdraw_alice();
    judge(1, 1);
    judge(1, 0); /* it runs no more */
    judge(0, 0);
}

static void a_denied_owner_loses_his_also_by_what_he_showed(void **state)
{
    (void)state;
    r.rpc.alice.fingerprint[0] = 0xab;
    start_as_alice();
    deny("identity:cn:bob\n");
    judge(1, 0);
    deny("fingerprint:ab00000000000000000000000000000000000000000000000000000000000000\n");
    judge(1, 1);
}

/* What he showed may have expired: its lease bounds the trace then. */
static void expiry_ends_no_trace(void **state)
{
    (void)state;
    start_as_alice();
    r.rpc.alice.not_after_s = 1;
    deny("identity:cn:bob\n");
    judge(1, 0);
}

/* She reads it, and he may not have it any more: it runs on for her. */
static void carol_reads_what_alice_lost(struct watching *w)
{
    start_as_alice();
    trace_open_as(&r, w, &r.carol, WEB);
    (void)trace_expect(&r, w, "begin");
    withdraw_alice();
    judge(1, 0);
}

static void those_who_read_keep_it_until_they_go(void **state)
{
    struct watching w = { .feed = NULL };

    (void)state;
    carol_reads_what_alice_lost(&w);
    judge(1, 0); /* looked at again, as long as it runs */
    unsigned stops = r.stops;

    watch_done(&w);
    while (r.stops == stops) {
        assert_true(trace_rig_serve_some(&r, FAKE_WAIT_MS));
    }
    judge(1, 0);
    judge(0, 0);
}

static void who_may_have_it_again_keeps_it(void **state)
{
    struct watching w = { .feed = NULL };

    (void)state;
    carol_reads_what_alice_lost(&w);
    trace_rig_set_policy(&r, trace_rig_policy);
    judge(1, 0);
    watch_done(&w);
    judge(0, 0);
}

/* Also where somebody else renewed it last, who may. */
static void it_is_its_owner_who_counts(void **state)
{
    (void)state;
    start_as_alice();
    json_decref(trace_call_json(&r, &r.root, "RenewTrace", WEB));
    withdraw_alice();
    judge(1, 1);
}

/* Begun before this process: its owner's name is all that is known. */
static void of_one_that_is_not_noted_the_name_counts(void **state)
{
    (void)state;
    judge(1, 0);
    withdraw_alice();
    judge(1, 0); /* a group may have let him: that is not known */
    deny("identity:cn:alice\n");
    judge(1, 1);
}

static void what_cannot_be_asked_or_stopped_is_tried_again(void **state)
{
    union message m;

    (void)state;
    start_as_alice();
    withdraw_alice();
    rpc_judge_traces(r.rpc.rpc);
    fake_mapper_request(&r.rpc.mapper, &m);
    assert_int_equal(m.head.type, MESSAGE_TRACES);
    fake_mapper_failed(&r.rpc.mapper, m.head.serial, ERROR_RESOURCE_EXHAUSTED, 0);
    json_decref(trace_call_json(&r, &r.carol, "GetTrace", WEB)); /* behind it */
    rpc_judge_traces(r.rpc.rpc);
    fake_mapper_request(&r.rpc.mapper, &m);
    assert_int_equal(m.head.type, MESSAGE_TRACES);
    trace_rig_answer_traces(&r, &m);
    fake_mapper_request(&r.rpc.mapper, &m);
    assert_int_equal(m.head.type, MESSAGE_TRACE_STOP);
    fake_mapper_failed(&r.rpc.mapper, m.head.serial, ERROR_RESOURCE_EXHAUSTED, 0);
    json_decref(trace_call_json(&r, &r.carol, "GetTrace", WEB)); /* behind it */
    judge(1, 1);
}

/* The last one of so many is noted, and one more is not; there is room again when they are over. */
static void there_is_a_maximum_of_notes(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= TRACE_OWNERS_MAX; i++) {
        r.traces[0].trace_id[2] = (uint8_t)i;
        r.traces[0].trace_id[3] = (uint8_t)(i >> 8);
        start_as_alice();
    }
    withdraw_alice();
    judge(1, 0); /* all others are over */
    r.traces[0].trace_id[2] = TRACE_OWNERS_MAX - 1;
    r.traces[0].trace_id[3] = 0;
    trace_rig_set_policy(&r, trace_rig_policy);
    for (unsigned i = 0; i < TRACE_OWNERS_MAX; i++) {
        r.traces[0].trace_id[2] = (uint8_t)i;
        start_as_alice();
    }
    withdraw_alice();
    judge(1, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_trace_ends_when_its_owner_may_not_control_it_any_more),
        TEST(a_denied_owner_loses_his_also_by_what_he_showed),
        TEST(expiry_ends_no_trace),
        TEST(those_who_read_keep_it_until_they_go),
        TEST(who_may_have_it_again_keeps_it),
        TEST(it_is_its_owner_who_counts),
        TEST(of_one_that_is_not_noted_the_name_counts),
        TEST(what_cannot_be_asked_or_stopped_is_tried_again),
        TEST(there_is_a_maximum_of_notes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
