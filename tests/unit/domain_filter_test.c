/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ListDomains' filter, in JSON: what fits, what is refused and with which field, and its tokens. */
#include "tests/lib/rpc_calls.h"

#include "common/log.h"

enum { CHOICES_MAX = 16, GLOB_MAX_BYTES = 256 }; /* of a filter */

#define LIST "HostService/ListDomains"

/* Domain-0 is in no "all" of a policy, and so in no answer here. */
static const struct {
    uint16_t domid;
    const char *name;
    uint32_t type, state;
} world[] = {
    { 0, "Domain-0", DOMAIN_PV, DOMAIN_RUNNING },      { 1, "web-1", DOMAIN_PVH, DOMAIN_RUNNING },
    { 2, "web-2", DOMAIN_PVH, DOMAIN_BLOCKED },        { 3, "web-22", DOMAIN_HVM, DOMAIN_PAUSED },
    { 4, "db", DOMAIN_HVM, DOMAIN_CRASHED },           { 5, "", DOMAIN_PVH, DOMAIN_DYING },
    { 6, "na\xc3\xafve", DOMAIN_PV, DOMAIN_SHUTDOWN }, { 7, "*", DOMAIN_PVH, DOMAIN_RUNNING },
};
enum { WORLD_COUNT = sizeof(world) / sizeof(world[0]) };

/* From a domid on, as the mapper would. */
static void answer_domains(struct rpc_rig *r)
{
    struct message_domain rows[WORLD_COUNT];
    union message request;
    uint32_t count = 0;

    fake_mapper_request(&r->mapper, &request);
    assert_int_equal(request.head.type, MESSAGE_DOMAINS);
    for (size_t i = 0; i < WORLD_COUNT; i++) {
        if (world[i].domid >= request.domains.first_domid) {
            rows[count] = fake_domain(world[i].domid, world[i].name, (uint8_t)(i + 1), 1);
            rows[count].type = world[i].type;
            rows[count++].state = world[i].state;
        }
    }
    fake_mapper_domains(&r->mapper, request.head.serial, rows, count, false);
}

/* The answer to `json`, to be released. */
static json_t *list(struct rpc_rig *r, const char *json)
{
    struct flight f = { 0 };

    flight_json(r, &f, &r->alice, LIST, false, json);
    answer_domains(r);
    struct answer a = flight_answer(&f);

    if (a.code != 0) {
        fail_msg("%s: %s", json, answer_text(&a));
    }
    json_t *answer = json_loadb((const char *)a.body.data, a.body.len_bytes, 0, NULL);

    assert_non_null(answer);
    answer_done(&a);
    flight_done(&f);
    return answer;
}

/* The domids of those that fit, each a digit. */
static void expect_fit(struct rpc_rig *r, const char *filter, const char *domids)
{
    char json[1024], found[16] = "";
    json_t *answer;
    size_t i;
    json_t *domain;

    (void)snprintf(json, sizeof(json), "{\"filter\":%s}", filter);
    answer = list(r, json);
    json_array_foreach(json_object_get(answer, "domains"), i, domain)
    {
        json_t *domid = json_object_get(json_object_get(domain, "identity"), "domid");

        found[i] = (char)('0' + json_integer_value(domid));
    }
    if (strcmp(found, domids) != 0) {
        fail_msg("%s: %s, not %s", filter, found, domids);
    }
    assert_null(json_object_get(answer, "nextPageToken"));
    json_decref(answer);
}

static void those_that_every_field_fits_are_listed(void **state)
{
    struct rpc_rig r;

    (void)state;
    rpc_rig_init(&r, true);
    expect_fit(&r, "null", "1234567");
    expect_fit(&r, "{}", "1234567");
    expect_fit(&r, "{\"nameGlob\":\"\"}", "1234567");
    expect_fit(&r, "{\"nameGlob\":\"*\"}", "1234567");
    expect_fit(&r, "{\"nameGlob\":\"web-*\"}", "123");
    expect_fit(&r, "{\"nameGlob\":\"web-?\"}", "12");
    expect_fit(&r, "{\"nameGlob\":\"web\"}", "");
    expect_fit(&r, "{\"nameGlob\":\"*2*\"}", "23");
    expect_fit(&r, "{\"nameGlob\":\"WEB-1\"}", "");
    expect_fit(&r, "{\"nameGlob\":\"na?ve\"}", "6"); /* one character, not one byte */
    expect_fit(&r, "{\"nameGlob\":\"na\xc3\xafve\"}", "6");
    expect_fit(&r, "{\"states\":[\"DOMAIN_STATE_RUNNING\"]}", "17");
    expect_fit(&r, "{\"states\":[\"DOMAIN_STATE_DYING\",\"DOMAIN_STATE_CRASHED\"]}", "45");
    expect_fit(&r, "{\"states\":[1,1,1]}", "17");
    expect_fit(&r, "{\"types\":[\"DOMAIN_TYPE_HVM\"]}", "34");
    expect_fit(&r, "{\"types\":[\"DOMAIN_TYPE_HVM\",\"DOMAIN_TYPE_PV\"]}", "346");
    expect_fit(&r,
               "{\"name_glob\":\"web*\",\"types\":[\"DOMAIN_TYPE_PVH\"],"
               "\"states\":[\"DOMAIN_STATE_BLOCKED\",\"DOMAIN_STATE_PAUSED\"]}",
               "2");
    rpc_rig_done(&r);
}

static void expect_refused(struct rpc_rig *r, const char *json, const char *field)
{
    struct flight f = { 0 };

    flight_json(r, &f, &r->alice, LIST, false, json);
    assert_int_equal(flight_reply(&f)->status, 400);
    flight_json_error(&f, ERROR_INVALID_ARGUMENT, field);
}

static void what_no_domain_can_be_is_refused_with_its_field(void **state)
{
    struct rpc_rig r;

    (void)state;
    rpc_rig_init(&r, true);
    expect_refused(&r, "{\"filter\":{\"states\":[0]}}", "filter.states[0]");
    expect_refused(&r, "{\"filter\":{\"states\":[1,99]}}", "filter.states[1]");
    expect_refused(&r, "{\"filter\":{\"states\":[1,2,-1]}}", "filter.states[2]");
    expect_refused(&r, "{\"filter\":{\"states\":[\"RUNNING\"]}}", "filter.states[0]");
    expect_refused(&r, "{\"filter\":{\"types\":[1,0]}}", "filter.types[1]");
    expect_refused(&r, "{\"filter\":{\"types\":[4]}}", "filter.types[0]");
    expect_refused(&r, "{\"filter\":{\"types\":[\"DOMAIN_TYPE_UNSPECIFIED\"]}}", "filter.types[0]");
    expect_refused(&r, "{\"filter\":{\"nameGlob\":7}}", "filter.name_glob");
    expect_refused(&r, "{\"filter\":{\"nameGlob\":\"\\u0000\"}}", "filter.name_glob");
    expect_refused(&r, "{\"filter\":[]}", "filter");
    expect_refused(&r, "{\"pageSize\":-1}", "page_size");
    expect_refused(&r, "{\"pageSize\":\"x\"}", "page_size");
    expect_refused(&r, "{\"pageToken\":\"x\"}", "page_token");
    rpc_rig_done(&r);
}

static void the_most_choices_pass_and_one_more_does_not(void **state)
{
    static const char *const fields[] = { "states", "types" };
    struct rpc_rig r;

    (void)state;
    rpc_rig_init(&r, true);
    for (size_t i = 0; i < 2; i++) {
        char list_of[128] = "1", filter[256], json[300], field[32];

        for (size_t k = 1; k < CHOICES_MAX; k++) {
            strcat(list_of, ",1");
        }
        (void)snprintf(filter, sizeof(filter), "{\"%s\":[%s]}", fields[i], list_of);
        expect_fit(&r, filter, i == 0 ? "17" : "6");
        (void)snprintf(json, sizeof(json), "{\"filter\":{\"%s\":[%s,1]}}", fields[i], list_of);
        (void)snprintf(field, sizeof(field), "filter.%s", fields[i]);
        expect_refused(&r, json, field);
    }
    rpc_rig_done(&r);
}

static void the_longest_glob_passes_and_one_byte_more_does_not(void **state)
{
    struct rpc_rig r;
    char glob[GLOB_MAX_BYTES + 2], filter[400], json[500];

    (void)state;
    rpc_rig_init(&r, true);
    memset(glob, '*', sizeof(glob));
    glob[GLOB_MAX_BYTES] = '\0';
    (void)snprintf(filter, sizeof(filter), "{\"nameGlob\":\"%s\"}", glob);
    expect_fit(&r, filter, "1234567");
    glob[GLOB_MAX_BYTES] = '*';
    glob[GLOB_MAX_BYTES + 1] = '\0';
    (void)snprintf(json, sizeof(json), "{\"filter\":{\"nameGlob\":\"%s\"}}", glob);
    expect_refused(&r, json, "filter.name_glob");
    rpc_rig_done(&r);
}

static void a_token_is_good_for_its_filter_only(void **state)
{
    struct rpc_rig r;
    char json[1024];
    static const char *const others[] = { "{}", "null", "{\"nameGlob\":\"web-*\",\"states\":[1]}",
                                          "{\"nameGlob\":\"web*\"}", "{\"types\":[3]}" };

    (void)state;
    rpc_rig_init(&r, true);
    json_t *first = list(&r, "{\"pageSize\":2,\"filter\":{\"nameGlob\":\"web-*\"}}");
    const char *token = json_string_value(json_object_get(first, "nextPageToken"));

    assert_int_equal(json_array_size(json_object_get(first, "domains")), 2);
    assert_non_null(token);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        (void)snprintf(json, sizeof(json), "{\"pageToken\":\"%s\",\"filter\":%s}", token,
                       others[i]);
        expect_refused(&r, json, "page_token");
    }
    (void)snprintf(json, sizeof(json),
                   "{\"pageToken\":\"%s\",\"filter\":{\"nameGlob\":\"web-*\"},\"pageSize\":9}",
                   token);
    json_t *rest = list(&r, json);
    const json_t *domains = json_object_get(rest, "domains");

    assert_int_equal(json_array_size(domains), 1);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(json_array_get(domains, 0), "identity"), "domid")),
                     3);
    assert_null(json_object_get(rest, "nextPageToken"));
    json_decref(rest);
    json_decref(first);
    /* Without a filter and with an empty one is the same question. */
    first = list(&r, "{\"pageSize\":1}");
    (void)snprintf(json, sizeof(json), "{\"pageToken\":\"%s\",\"filter\":{}}",
                   json_string_value(json_object_get(first, "nextPageToken")));
    json_decref(list(&r, json));
    json_decref(first);
    rpc_rig_done(&r);
}

/* Names that the caller may not see do not show by what a glob finds. */
static void a_filter_finds_no_more_than_may_be_seen(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    flight_json(&r, &f, &r.viewer, LIST, false, "{\"filter\":{\"types\":[2]}}"); /* web-22, db */
    answer_domains(&r);
    struct answer a = flight_answer(&f);

    assert_null(strstr(answer_text(&a), "\"db\""));
    assert_non_null(strstr(answer_text(&a), "\"web-22\""));
    answer_done(&a);
    flight_done(&f);
    rpc_rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_that_every_field_fits_are_listed),
        cmocka_unit_test(what_no_domain_can_be_is_refused_with_its_field),
        cmocka_unit_test(the_most_choices_pass_and_one_more_does_not),
        cmocka_unit_test(the_longest_glob_passes_and_one_byte_more_does_not),
        cmocka_unit_test(a_token_is_good_for_its_filter_only),
        cmocka_unit_test(a_filter_finds_no_more_than_may_be_seen),
    };

    log_open("domain_filter_test", (enum log_level)0);
    return UNIT_RUN(tests);
}
