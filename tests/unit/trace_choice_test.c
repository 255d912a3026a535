/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Traces of domains that are no more, by the names that those had: which is meant, who may read it, and that a
 * domain of now never gives its name to what was before. */
#include "tests/lib/trace_stream.h"

#define UUID_77 "77000000-0000-0000-0000-000000000000"

/* A trace that its domain's end has ended, `number` as in trace_rig_trace(). */
static void hold(uint32_t at, uint8_t number, const struct message_domain *domain)
{
    struct message_trace *t = &r.traces[at];

    *t = trace_rig_trace(number);
    t->domain = domain->identity;
    t->started_monotonic_ns += number;
    trace_rig_end_trace(t, FEED_END_INCARNATION);
    r.trace_count = r.trace_count > at ? r.trace_count : at + 1;
}

/* web-7 and db-8, which nobody has any more. */
static void hold_two(void)
{
    const struct message_domain web = fake_domain(7, "web-7", 0x77, 7);
    const struct message_domain db = fake_domain(8, "db-8", 0x88, 8);

    hold(0, 1, &web);
    hold(1, 2, &db);
}

static void expect_trace(const struct identity *who, const char *json, char number)
{
    json_t *m = trace_call_json(&r, who, "GetTrace", json);
    const char *id = watch_text(json_object_get(m, "trace"), "traceId");

    assert_int_equal(id[3], number);
    json_decref(m);
}

static void what_is_held_is_found_by_each_name_that_its_domain_had(void **state)
{
    static const char *const names[] = { "web-7",   "name:web-7", "7",
                                         "domid:7", UUID_77,      "uuid:" UUID_77 };

    (void)state;
    hold_two();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char json[128];

        (void)snprintf(json, sizeof(json), "{\"domain\":\"%s\"}", names[i]);
        expect_trace(&r.carol, json, '1');
    }
    const struct message_domain odd = fake_domain(9, "line\nbreak", 0x99, 9);

    hold(2, 3, &odd);
    expect_trace(&r.rpc.alice, "{\"domain\":\"line\\u000abreak\"}", '3');
    expect_trace(&r.rpc.alice, "{\"domain\":\"line\\\\x0abreak\"}", '3'); /* as it is shown */
}

static void it_is_looked_for_on_every_page(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < TRACE_RIG_TRACES_MAX; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "web-%u", 10U + i);
        const struct message_domain domain = fake_domain((uint16_t)(10 + i), name, 0x50 + i, 1);

        hold(i, i, &domain);
    }
    for (r.traces_a_page = 1; r.traces_a_page <= TRACE_RIG_TRACES_MAX / 2; r.traces_a_page++) {
        expect_trace(&r.carol, "{\"domain\":\"web-10\"}", '0');
        expect_trace(&r.carol, "{\"domain\":\"web-19\"}", '9');
        trace_call_fails(&r, &r.carol, "GetTrace", "{\"domain\":\"web-9\"}", ERROR_NOT_FOUND, NULL);
    }
}

static void its_rest_is_read(void **state)
{
    struct append_play *p = first();
    struct watching w;

    (void)state;
    hold_two();
    append_bytes(p, 100);
    append_end(p, FEED_END_INCARNATION);
    const json_t *begin = open_begun(&w, "{\"domain\":\"web-7\"}");

    assert_string_equal(
        watch_text(json_object_get(json_object_get(begin, "trace"), "domain"), "name"), "web-7");
    assert_int_equal(r.watch.domain.domid, 7); /* who it was is what the mapper is asked for */
    assert_int_equal(r.watch.domain.incarnation[0], 7);
    assert_memory_equal(r.watch.trace_id, r.traces[0].trace_id, 16);
    expect_segment(&w, 0, 0, 0, "START");
    expect_data(&w, 0, 0, 100);
    expect_end(&w, "INCARNATION_ENDED", 0);
    watch_done(&w);
    assert_int_equal(r.renewals, 0);
}

/* Who may not read it is told what he is told of what is not there, and who may read none anywhere does not
 * even make the mapper look. */
static void the_policy_decides_on_who_it_was(void **state)
{
    static const char *const methods[] = { "GetTrace", "ReadTrace" };
    const struct message_domain renamed = fake_domain(1, "vault-1", 0x11, 1); /* web-1 now */

    (void)state;
    hold_two();
    for (size_t i = 0; i < 2; i++) {
        trace_call_fails(&r, &r.carol, methods[i], "{\"domain\":\"db-8\"}", ERROR_NOT_FOUND, NULL);
        trace_call_fails(&r, &r.carol, methods[i], "{\"domain\":\"8\"}", ERROR_NOT_FOUND, NULL);
    }
    hold(0, 3, &renamed);
    trace_call_fails(&r, &r.carol, "GetTrace", "{\"domain\":\"vault-1\"}", ERROR_NOT_FOUND, NULL);
    expect_trace(&r.rpc.alice, "{\"domain\":\"vault-1\"}", '3');
    hold_two();
    r.asked = 0;
    for (size_t i = 0; i < 2; i++) {
        trace_call_fails(&r, &r.rpc.nobody, methods[i], "{\"domain\":\"web-7\"}", ERROR_NOT_FOUND,
                         NULL);
        trace_call_fails(&r, &r.rpc.viewer, methods[i], "{\"domain\":\"web-7\"}", ERROR_NOT_FOUND,
                         NULL);
        trace_call_fails(&r, &r.root, methods[i], "{\"domain\":\"web-7\"}", ERROR_NOT_FOUND, NULL);
    }
    assert_int_equal(r.asked, 0);
}

static void an_answer_does_not_tell_what_is_hidden_from_what_is_not_there(void **state)
{
    static const char *const names[] = { "db-8", "db-9" };
    char *told[2];

    (void)state;
    hold_two();
    for (size_t i = 0; i < 2; i++) {
        char json[64];
        struct flight f;

        (void)snprintf(json, sizeof(json), "{\"domain\":\"%s\"}", names[i]);
        struct answer a = trace_call(&r, &f, &r.carol, "GetTrace", json);

        assert_int_equal(a.code, ERROR_NOT_FOUND);
        told[i] = strdup(answer_text(&a));
        assert_non_null(told[i]);
        answer_done(&a);
        flight_done(&f);
    }
    for (char *at = told[0]; (at = strstr(at, "db-8")) != NULL;) {
        at[3] = '9';
    }
    assert_string_equal(told[0], told[1]);
    free(told[0]);
    free(told[1]);
}

/* A life before of web-1, which is there: neither its name nor the old life's numbers lead to that. */
static void a_domain_that_is_there_comes_first(void **state)
{
    static const char id[] = "{" WEB ",\"traceId\":\"7a010000000000000000000000000000\"}";
    static const char life[] = "{" WEB ",\"incarnation\":\"09000000000000000000000000000000\"}";
    const struct message_domain before = fake_domain(6, "web-1", 0x11, 9);

    (void)state;
    hold(0, 1, &before);
    trace_call_fails(&r, &r.carol, "GetTrace", "{" WEB "}", ERROR_NOT_FOUND, NULL);
    trace_call_fails(&r, &r.carol, "ReadTrace", "{" WEB "}", ERROR_FAILED_PRECONDITION, NULL);
    trace_call_fails(&r, &r.carol, "ReadTrace", id, ERROR_ABORTED, NULL);
    trace_call_fails(&r, &r.carol, "ReadTrace", life, ERROR_ABORTED, NULL);
    trace_call_fails(&r, &r.carol, "GetTrace", life, ERROR_ABORTED, NULL);
    expect_trace(&r.carol, "{\"domain\":\"6\"}", '1'); /* but what nobody else is called does */
}

static void of_lives_of_one_domain_the_last_is_meant(void **state)
{
    const struct message_domain lives[] = { fake_domain(7, "web-7", 0x77, 0x0a),
                                            fake_domain(9, "web-7", 0x77, 0x0b) };
    const struct message_domain twin = fake_domain(12, "web-7", 0x78, 0x0c);

    (void)state;
    for (uint8_t i = 0; i < 2; i++) { /* the later one first, and last */
        hold(0, (uint8_t)(2 - i), &lives[0]);
        hold(1, (uint8_t)(1 + i), &lives[1]);
        expect_trace(&r.carol, "{\"domain\":\"web-7\"}", '2');
        expect_trace(&r.carol, "{\"domain\":\"" UUID_77 "\"}", '2');
    }
    expect_trace(&r.carol,
                 "{\"domain\":\"web-7\",\"incarnation\":\"0a000000000000000000000000000000\"}",
                 '1');
    trace_call_fails(&r, &r.carol, "GetTrace",
                     "{\"domain\":\"web-7\",\"incarnation\":\"0d000000000000000000000000000000\"}",
                     ERROR_NOT_FOUND, NULL);
    trace_call_fails(&r, &r.carol, "GetTrace", "{\"domain\":\"web-7\",\"incarnation\":\"x\"}",
                     ERROR_INVALID_ARGUMENT, "incarnation");
    hold(2, 3, &twin); /* another domain, which was called so too */
    trace_call_fails(&r, &r.carol, "GetTrace", "{\"domain\":\"web-7\"}", ERROR_FAILED_PRECONDITION,
                     NULL);
    expect_trace(&r.carol, "{\"domain\":\"" UUID_77 "\"}", '2');
    struct watching w;
    const json_t *begin =
        open_begun(&w, "{\"domain\":\"web-7\",\"traceId\":\"7a030000000000000000000000000000\"}");

    assert_int_equal(watch_text(json_object_get(begin, "trace"), "traceId")[3], '3');
    watch_done(&w);
}

static size_t listed(const struct identity *who)
{
    json_t *m = trace_call_json(&r, who, "ListTraces", "{}");
    size_t count = json_array_size(json_object_get(m, "traces"));

    json_decref(m);
    return count;
}

/* What is called vault was called web-9 when it was traced: whoever may see web-* only is told what he is
 * told of what is not there, by whatever it was or is called. */
static void of_a_life_that_goes_on_the_policy_decides_on_who_it_is_too(void **state)
{
    static const char *const methods[] = { "GetTrace", "ReadTrace" };
    static const char *const asked[] = {
        "{\"domain\":\"web-9\"}",
        "{\"domain\":\"3\"}",
        "{\"domain\":\"33000000-0000-0000-0000-000000000000\"}",
        "{\"domain\":\"web-9\",\"traceId\":\"7a010000000000000000000000000000\"}",
        "{\"domain\":\"web-9\",\"incarnation\":\"03000000000000000000000000000000\"}",
    };
    const struct message_domain renamed = fake_domain(3, "web-9", 0x33, 3);
    const struct message_domain before = fake_domain(3, "web-9", 0x33, 9);

    (void)state;
    r.trace_count = 0;
    hold(0, 1, &renamed);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        for (size_t j = 0; j < 2; j++) {
            trace_call_fails(&r, &r.carol, methods[j], asked[i], ERROR_NOT_FOUND, NULL);
        }
    }
    assert_int_equal(listed(&r.carol), 0);
    expect_trace(&r.rpc.alice, asked[0], '1'); /* who may see both */
    assert_int_equal(listed(&r.rpc.alice), 1);
    hold(0, 1, &before); /* of a life that is over there is no other name */
    expect_trace(&r.carol, asked[0], '1');
    assert_int_equal(listed(&r.carol), 1);
}

/* Of what is over there is nothing to stop or to renew. */
static void only_what_is_read_outlives_its_domain(void **state)
{
    static const char *const methods[] = { "StartTrace", "StopTrace", "RenewTrace" };

    (void)state;
    hold_two();
    for (size_t i = 0; i < 3; i++) {
        trace_call_fails(&r, &r.rpc.alice, methods[i], "{\"domain\":\"web-7\"}", ERROR_NOT_FOUND,
                         NULL);
    }
    assert_int_equal(r.asked + r.starts + r.stops + r.renewals, 0);
}

static void a_cursor_leads_on_in_the_trace_of_a_domain_that_is_no_more(void **state)
{
    char json[2048];
    struct watching w;

    (void)state;
    hold_two();
    append_bytes(first(), 10);
    (void)open_begun(&w, "{\"domain\":\"web-7\"}");
    (void)trace_expect(&r, &w, "segment");
    expect_data(&w, 0, 0, 10);
    for (bool has_cursor = false; !has_cursor;) {
        json_t *m = trace_read(&r, &w);
        const json_t *checkpoint = json_object_get(m, "checkpoint");

        has_cursor = checkpoint != NULL;
        (void)snprintf(json, sizeof(json), "{\"domain\":\"web-7\",\"cursor\":\"%s\"}",
                       has_cursor ? watch_text(checkpoint, "cursor") : "");
        json_decref(m);
    }
    watch_done(&w);
    append_bytes(first(), 5);
    append_end(first(), FEED_END_INCARNATION);
    const json_t *begin = open_begun(&w, json);

    assert_true(watch_flag(begin, "resumed"));
    expect_data(&w, 10, 0, 5);
    expect_end(&w, "INCARNATION_ENDED", 0);
    watch_done(&w);
    r.trace_count = 0; /* it is no longer held */
    trace_call_fails(&r, &r.carol, "ReadTrace", json, ERROR_NOT_FOUND, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trace_stream_begin, trace_stream_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_held_is_found_by_each_name_that_its_domain_had),
        TEST(it_is_looked_for_on_every_page),
        TEST(its_rest_is_read),
        TEST(the_policy_decides_on_who_it_was),
        TEST(an_answer_does_not_tell_what_is_hidden_from_what_is_not_there),
        TEST(a_domain_that_is_there_comes_first),
        TEST(of_a_life_that_goes_on_the_policy_decides_on_who_it_is_too),
        TEST(of_lives_of_one_domain_the_last_is_meant),
        TEST(only_what_is_read_outlives_its_domain),
        TEST(a_cursor_leads_on_in_the_trace_of_a_domain_that_is_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
