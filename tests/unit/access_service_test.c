/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* AccessService: callers hear of themselves, and of what they may see. */
#include "tests/lib/rpc_rig.h"

#include "common/log.h"
#include "xenres/v1/access.pb-c.h"

typedef Xenres__V1__WhoAmIResponse who_response;
typedef Xenres__V1__ExplainAccessResponse access_response;

static who_response *ask_who(struct rpc_rig *r, const struct identity *who)
{
    Xenres__V1__WhoAmIRequest request;
    struct flight f = { 0 };

    xenres__v1__who_am_irequest__init(&request);
    flight_call(r, &f, who, "AccessService/WhoAmI", &request.base);
    who_response *m = flight_message(&f, &xenres__v1__who_am_iresponse__descriptor);

    flight_done(&f);
    return m;
}

static void whoever_is_known_hears_who_he_is(void **state)
{
    static const struct identity certificate = { .text = "dns:a.example.org",
                                                 .fingerprint = { 0xab, [31] = 0x01 },
                                                 .not_after_s = 1800000000,
                                                 .is_bound = true };
    static const struct identity token = { .text = "jwt:corp:alice",
                                           .token_id = "id-1",
                                           .groups = "ops\0dev\0" };
    struct rpc_rig r;

    (void)state;
    rpc_rig_init(&r, false); /* no mapper is asked */
    who_response *m = ask_who(&r, &certificate);

    assert_string_equal(m->caller->identity, "dns:a.example.org");
    assert_int_equal(m->caller->kind, XENRES__V1__CALLER_KIND__CALLER_KIND_DNS);
    assert_int_equal(m->caller->not_after->seconds, 1800000000);
    assert_true(m->caller->is_bound);
    assert_int_equal(m->caller->n_groups, 0);
    assert_int_equal(strlen(m->caller->certificate_sha256), 64);
    assert_memory_equal(m->caller->certificate_sha256, "ab00", 4);
    assert_int_equal(m->limits->streams, 0);
    xenres__v1__who_am_iresponse__free_unpacked(m, NULL);
    m = ask_who(&r, &token);
    assert_int_equal(m->caller->kind, XENRES__V1__CALLER_KIND__CALLER_KIND_JWT);
    assert_false(m->caller->is_bound);
    assert_string_equal(m->caller->token_id, "id-1");
    assert_string_equal(m->caller->certificate_sha256, "");
    assert_int_equal(m->caller->n_groups, 2);
    assert_string_equal(m->caller->groups[1], "dev");
    xenres__v1__who_am_iresponse__free_unpacked(m, NULL);
    m = ask_who(&r, &r.nobody); /* of no policy */
    assert_int_equal(m->caller->kind, XENRES__V1__CALLER_KIND__CALLER_KIND_COMMON_NAME);
    xenres__v1__who_am_iresponse__free_unpacked(m, NULL);
    rpc_rig_done(&r);
}

/* The gateway's for each, or the policy's, whichever are smaller. */
static void limits_are_those_that_count(void **state)
{
    struct rpc_rig r;
    struct policy *policy = rpc_rig_parse_policy(
        "rule \"r\" { effect = deny identities = all domains = all types = all actions = all }\n"
        "limits \"all\" { identities = all streams = 5 requests_per_second = 9 }\n"
        "limits \"alice\" { identities = \"cn:alice\" streams = 3 spool_mib = 7"
        " pauses_per_second = 40 }\n"
        "limits \"much\" { identities = \"cn:viewer\" pauses_per_second = 400 }\n");

    (void)state;
    rpc_rig_init(&r, false);
    rpc_set_rules(r.rpc, policy, NULL);
    policy_unref(policy);
    quota_set_pauses_limit(r.quota, 100, 0);
    who_response *m = ask_who(&r, &r.alice);

    assert_int_equal(m->limits->streams, 3);
    assert_int_equal(m->limits->requests_per_second, 9);
    assert_int_equal(m->limits->spool_mib, 7);
    assert_int_equal(m->limits->pauses_per_second, 40);
    assert_int_equal(m->limits->snapshots, 0); /* nobody sets one */
    xenres__v1__who_am_iresponse__free_unpacked(m, NULL);
    m = ask_who(&r, &r.viewer);
    assert_int_equal(m->limits->streams, 5);
    assert_int_equal(m->limits->pauses_per_second, 100);
    xenres__v1__who_am_iresponse__free_unpacked(m, NULL);
    rpc_rig_done(&r);
}

/* --- ExplainAccess ---------------------------------------------------------------------------- */

static void call_explain(struct rpc_rig *r, struct flight *f, const struct identity *who,
                         const char *domain, Xenres__V1__ResourceType type,
                         Xenres__V1__Action action)
{
    Xenres__V1__ExplainAccessRequest request;

    xenres__v1__explain_access_request__init(&request);
    request.domain = (char *)(uintptr_t)domain;
    request.type = type;
    request.action = action;
    flight_call(r, f, who, "AccessService/ExplainAccess", &request.base);
    rpc_rig_list_if_asked(r, f);
}

#define GRANTS       XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE
#define IOREQS       XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_IOREQ_SERVER
#define ANY          XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_UNSPECIFIED
#define ACTION(name) XENRES__V1__ACTION__ACTION_##name

static void what_may_be_seen_is_explained_with_yes_or_no(void **state)
{
    struct rpc_rig r;

    (void)state;
    rpc_rig_init(&r, true);
    const struct {
        const struct identity *who;
        Xenres__V1__ResourceType type;
        Xenres__V1__Action action;
        bool allowed;
    } rows[] = {
        { &r.alice, GRANTS, ACTION(SNAPSHOT), true },
        { &r.alice, ANY, ACTION(DECODE), true },
        { &r.alice, GRANTS, ACTION(ADMIN), false },
        { &r.alice, ANY, ACTION(TRACE_CONTROL), false },
        { &r.viewer, GRANTS, ACTION(LIST), true },
        { &r.viewer, ANY, ACTION(LIST), true },
        { &r.viewer, IOREQS, ACTION(LIST), false },
        { &r.viewer, GRANTS, ACTION(SNAPSHOT), false },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct flight f = { 0 };

        call_explain(&r, &f, rows[i].who, "web-1", rows[i].type, rows[i].action);
        access_response *m = flight_message(&f, &xenres__v1__explain_access_response__descriptor);

        assert_int_equal(m->allowed, rows[i].allowed);
        assert_int_equal(m->domain->domid, 1);
        assert_string_equal(m->domain->name, "web-1");
        xenres__v1__explain_access_response__free_unpacked(m, NULL);
        flight_done(&f);
    }
    rpc_rig_done(&r);
}

/* The whole of both answers, but for the name that was asked for. */
static void what_may_not_be_seen_is_as_what_is_not_there(void **state)
{
    struct rpc_rig r;
    char *texts[2];

    (void)state;
    rpc_rig_init(&r, true);
    for (size_t i = 0; i < 2; i++) {
        struct flight f = { 0 };

        call_explain(&r, &f, &r.alice, i == 0 ? "vault" : "fault", ANY, ACTION(LIST));
        const struct exchange_reply *reply = flight_reply(&f);

        assert_int_equal(reply->status, 404);
        texts[i] = strndup(reply->body, strcspn(reply->body, "["));
        *strstr(texts[i], i == 0 ? "vault" : "fault") = '?';
        flight_error(&f, 404, "not_found", NULL);
    }
    assert_string_equal(texts[0], texts[1]);
    free(texts[0]);
    free(texts[1]);
    struct flight f = { 0 };

    call_explain(&r, &f, &r.nobody, "web-1", GRANTS, ACTION(LIST));
    flight_error(&f, 404, "not_found", NULL);
    rpc_rig_done(&r);
}

static void what_is_no_question_is_refused(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    call_explain(&r, &f, &r.alice, "web-1", GRANTS, ACTION(UNSPECIFIED));
    flight_error(&f, 400, "invalid_argument", NULL);
    call_explain(&r, &f, &r.alice, "web-1", GRANTS, (Xenres__V1__Action)8);
    flight_error(&f, 400, "invalid_argument", NULL);
    call_explain(&r, &f, &r.alice, "web-1", (Xenres__V1__ResourceType)99, ACTION(LIST));
    flight_error(&f, 400, "invalid_argument", NULL);
    call_explain(&r, &f, &r.alice, "", GRANTS, ACTION(LIST));
    flight_error(&f, 400, "invalid_argument", NULL);
    rpc_rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_is_known_hears_who_he_is),
        cmocka_unit_test(limits_are_those_that_count),
        cmocka_unit_test(what_may_be_seen_is_explained_with_yes_or_no),
        cmocka_unit_test(what_may_not_be_seen_is_as_what_is_not_there),
        cmocka_unit_test(what_is_no_question_is_refused),
    };

    log_open("access_service_test", LOG_LEVEL_ERROR);
    return UNIT_RUN(tests);
}
