/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What is common to all methods: routes, refusals, resolving, deciding, quotas, deadlines,
 * retries. */
#include "tests/lib/rpc_rig.h"

#include <errno.h>

#include "common/log.h"
#include "server/rpc/method.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/resource.pb-c.h"

#define FRAMES_OF(domain) "/v1/domains/" domain "/resources/grant_table/0/frames"
#define GET_HOST "/xenres.v1.HostService/GetHost"

static void get(struct rpc_rig *r, struct flight *f, const struct identity *who, const char *target)
{
    flight_send(r, f, who, "GET", target, NULL, 0);
}

static void nobody_is_unauthenticated(void **state)
{
    struct rpc_rig r;
    struct flight f = {0};

    (void)state;
    rpc_rig_init(&r, false);
    get(&r, &f, NULL, FRAMES_OF("1"));
    assert_int_equal(exchange_body_max(f.exchange), 0);
    flight_error(&f, 401, "unauthenticated", "");
    rpc_rig_done(&r);
}

static void what_has_no_row_is_not_found(void **state)
{
    static const char *const paths[] = {
        "/", "/xenres.v1.HostService/gethost", "/xenres.v1.HostService/GetHost/", "/xenres.v1.HostService",
        "/v1/domains/1/resources/grant_table/0", "/v1/domains/1/resources/grant_table/0/frames/",
        "/v1/domains//resources/grant_table/0/frames", "/v1/domains/a/b/resources/grant_table/0/frames",
    };
    struct rpc_rig r;

    (void)state;
    rpc_rig_init(&r, false);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct flight f = {0};

        get(&r, &f, &r.alice, paths[i]);
        flight_error(&f, 404, "not_found", "");
    }
    rpc_rig_done(&r);
}

static void another_http_method_is_told_which_are_allowed(void **state)
{
    struct rpc_rig r;
    struct flight f = {0};

    (void)state;
    rpc_rig_init(&r, false);
    flight_send(&r, &f, &r.alice, "PUT", GET_HOST, NULL, 0);
    assert_string_equal((flight_reply(&f), flight_reply_header(&f, "Allow")),
                        "GET, HEAD, POST, OPTIONS");
    flight_error(&f, 405, "unknown", NULL);
    flight_send(&r, &f, &r.alice, "POST", FRAMES_OF("1"), NULL, 0);
    assert_string_equal((flight_reply(&f), flight_reply_header(&f, "Allow")),
                        "GET, HEAD, OPTIONS");
    flight_error(&f, 405, "unknown", NULL);
    rpc_rig_done(&r);
}

static void post_with(struct rpc_rig *r, struct flight *f, const char *type, const char *name,
                      const char *value, const char *body, size_t len)
{
    if (type != NULL) {
        flight_add(f, "content-type", type);
    }
    if (name != NULL) {
        flight_add(f, name, value);
    }
    flight_send(r, f, &r->alice, "POST", GET_HOST, body, len);
}

static void other_codecs_are_refused_with_what_is_taken(void **state)
{
    static const char *const types[] = {
        NULL, "application/connect+json", "application/connect+proto", "application/grpc", "application/prot",
        "application/proton", "",
    };
    struct rpc_rig r;

    (void)state;
    rpc_rig_init(&r, false);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct flight f = {0};

        post_with(&r, &f, types[i], NULL, NULL, NULL, 0);
        assert_string_equal((flight_reply(&f), flight_reply_header(&f, "Accept-Post")),
                            "application/proto, application/json");
        flight_error(&f, 415, "unknown", NULL);
    }
    rpc_rig_done(&r);
}

static void headers_that_connect_does_not_allow_are_refused(void **state)
{
    static const struct { const char *name, *value; int status; const char *code; } wrong[] = {
        {"Connect-Protocol-Version", "2", 400, "invalid_argument"},
        {"Connect-Timeout-Ms", "0", 400, "invalid_argument"},
        {"Connect-Timeout-Ms", "-1", 400, "invalid_argument"},
        {"Connect-Timeout-Ms", "", 400, "invalid_argument"},
        {"Connect-Timeout-Ms", "1 ", 400, "invalid_argument"},
        {"Connect-Timeout-Ms", "12345678901", 400, "invalid_argument"},
        {"Content-Encoding", "br", 501, "unimplemented"},
        {"Content-Type", "application/proto", 400, "invalid_argument"},     /* twice */
    };
    struct rpc_rig r;

    (void)state;
    rpc_rig_init(&r, false);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct flight f = {0};

        post_with(&r, &f, "application/proto", wrong[i].name, wrong[i].value, NULL, 0);
        flight_error(&f, wrong[i].status, wrong[i].code, NULL);
    }
    rpc_rig_done(&r);
}

static void headers_that_connect_allows_pass(void **state)
{
    static const struct { const char *type, *name, *value; } right[] = {
        {"application/proto", "Connect-Protocol-Version", "1"},
        {"Application/Proto", "Connect-Timeout-Ms", "9999999999"},
        {"application/proto; charset=utf-8", "Content-Encoding", "identity"},
        {"application/proto ;x=y", "Accept-Encoding", "br"},
    };
    struct rpc_rig r;

    (void)state;
    rpc_rig_init(&r, false);
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        struct flight f = {0};

        post_with(&r, &f, right[i].type, right[i].name, right[i].value, NULL, 0);
        assert_int_equal(flight_reply(&f)->status, 200);
        flight_done(&f);
    }
    rpc_rig_done(&r);
}

static void a_body_of_the_limit_passes_and_one_byte_more_does_not(void **state)
{
    static char body[RPC_RIG_REQUEST_MAX_BYTES + 1];
    struct rpc_rig r;
    struct flight f = {0};

    (void)state;
    rpc_rig_init(&r, false);
    /* An unknown field (15) of bytes that fills it: two bytes of length. */
    memset(body, 'x', sizeof(body));
    body[0] = 0x7a;
    body[1] = (char)(0x80 | ((RPC_RIG_REQUEST_MAX_BYTES - 3) & 0x7f));
    body[2] = (char)((RPC_RIG_REQUEST_MAX_BYTES - 3) >> 7);
    post_with(&r, &f, "application/proto", NULL, NULL, body, RPC_RIG_REQUEST_MAX_BYTES);
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
    post_with(&r, &f, "application/proto", NULL, NULL, body, RPC_RIG_REQUEST_MAX_BYTES + 1);
    flight_error(&f, 429, "resource_exhausted", NULL);
    rpc_rig_done(&r);
}

static void a_body_where_none_belongs_is_refused(void **state)
{
    struct rpc_rig r;
    struct flight f = {0};

    (void)state;
    rpc_rig_init(&r, false);
    flight_send(&r, &f, &r.alice, "GET", FRAMES_OF("1"), "x", 1);
    flight_error(&f, 400, "invalid_argument", NULL);
    rpc_rig_done(&r);
}

static void malformed_messages_are_refused(void **state)
{
    static const struct { const char *bytes; size_t len; } wrong[] = {
        {"\x0a", 1}, {"\x0a\x05" "ab", 4}, {"\xff\xff\xff\xff\xff", 5}, {"\x0b\x0c", 2},
    };
    struct rpc_rig r;

    (void)state;
    rpc_rig_init(&r, false);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct flight f = {0};

        post_with(&r, &f, "application/proto", NULL, NULL, wrong[i].bytes, wrong[i].len);
        flight_error(&f, 400, "invalid_argument", NULL);
    }
    rpc_rig_done(&r);
}

static void what_http_refuses_becomes_the_reply(void **state)
{
    struct rpc_rig r;
    struct flight f = {0};
    struct failure why;
    const struct exchange_head head = {
        .method = "POST", .target = GET_HOST, .header = flight_header, .arg = &f, .who = NULL,
        .peer_address = "", .received_ns = 0};

    (void)state;
    rpc_rig_init(&r, false);
    flight_add(&f, "Content-Type", "application/proto");
    flight_send(&r, &f, &r.alice, "POST", GET_HOST, NULL, 0);
    flight_reply(&f);
    flight_done(&f);
    failure_set(&why, ERROR_INVALID_ARGUMENT, "broken framing");
    f.exchange = exchange_new(r.rpc, &head);        /* a reply stands: it is kept */
    exchange_refuse(f.exchange, &why);
    f.at_once = exchange_run(f.exchange, flight_on_ready, &f.ready);
    assert_true(f.at_once);
    assert_true(flight_reply(&f)->close);
    flight_error(&f, 401, "unauthenticated", NULL);
    rpc_rig_done(&r);
}

static void each_method_refuses_who_has_no_rule(void **state)
{
    struct rpc_rig r;
    const struct method *methods = services_table.methods;

    (void)state;
    rpc_rig_init(&r, true);
    struct flight warm = {0};

    get(&r, &warm, &r.alice, FRAMES_OF("99"));      /* lists the domains */
    rpc_rig_domains(&r);
    flight_error(&warm, 404, "not_found", "ESRCH");
    for (size_t i = 0; i < services_table.count; i++) {
        struct flight f = {0};
        bool connect = methods[i].kind != METHOD_RAW;

        if (methods[i].open || methods[i].kind == METHOD_STREAM) {
            continue;                               /* streams: stream_test.c */
        }
        /* Field 1 of the requests that name a domain is its name. */
        bool of_domain = connect && strstr(methods[i].path, "HostService") == NULL &&
                         strstr(methods[i].path, "ListTraces") == NULL;

        if (connect) {
            flight_add(&f, "Content-Type", "application/proto");
        }
        flight_send(&r, &f, &r.nobody, connect ? "POST" : "GET",
                    connect ? methods[i].path : FRAMES_OF("web-1"), "\x0a\x05web-1", of_domain ? 7 : 0);
        rpc_rig_list_if_asked(&r, &f);
        if (of_domain && strstr(methods[i].path, "GetSnapshot") != NULL) {
            flight_error(&f, 400, "invalid_argument", "EINVAL");    /* no type: seen before */
        } else if (of_domain || !connect) {
            flight_error(&f, 404, "not_found", "ESRCH");    /* not even that it is there */
        } else {
            flight_error(&f, 403, "permission_denied", NULL);
        }
    }
    rpc_rig_done(&r);
}

/* The whole replies: code, text and details. */
static void a_hidden_domain_and_none_are_answered_alike(void **state)
{
    struct rpc_rig r;
    char *bodies[2];

    (void)state;
    rpc_rig_init(&r, true);
    for (int i = 0; i < 2; i++) {
        struct flight f = {0};

        get(&r, &f, &r.alice, FRAMES_OF("vault"));
        if (i == 0) {
            rpc_rig_domains(&r);
        } else {
            union message request;
            const struct message_domain other = fake_domain(1, "web-1", 0x11, 1);

            fake_mapper_request(&r.mapper, &request);   /* the list changed: no vault any more */
            fake_mapper_domains(&r.mapper, request.head.serial, &other, 1, false);
        }
        const struct exchange_reply *reply = flight_reply(&f);

        assert_int_equal(reply->status, 404);
        bodies[i] = strndup(reply->body, reply->body_len_bytes);
        flight_done(&f);
        rpc_domains_changed(r.rpc, 1);
    }
    assert_string_equal(bodies[0], bodies[1]);
    free(bodies[0]);
    free(bodies[1]);
    rpc_rig_done(&r);
}

static void a_visible_domain_without_the_action_is_permission_denied(void **state)
{
    struct rpc_rig r;
    struct flight f = {0};

    (void)state;
    rpc_rig_init(&r, true);
    get(&r, &f, &r.viewer, FRAMES_OF("web-1"));
    rpc_rig_domains(&r);
    flight_error(&f, 403, "permission_denied", "");
    rpc_rig_done(&r);
}

static void a_new_policy_holds_for_the_next_call(void **state)
{
    struct rpc_rig r;
    struct flight before = {0}, after = {0};

    (void)state;
    rpc_rig_init(&r, true);
    get(&r, &before, &r.alice, FRAMES_OF("web-1"));
    struct policy *policy = rpc_rig_parse_policy(
        "rule \"r\" { effect = allow identities = { \"cn:bob\" } domains = { \"all\" }"
        " types = { \"all\" } actions = { \"list\" } }\n");

    rpc_set_rules(r.rpc, policy, NULL);
    policy_unref(policy);
    rpc_rig_domains(&r);                    /* `before` decides with the policy that it began with */
    rpc_rig_frames(&r, 0, 1);
    assert_int_equal(flight_reply(&before)->status, 200);
    flight_done(&before);
    get(&r, &after, &r.alice, FRAMES_OF("web-1"));
    rpc_rig_list_if_asked(&r, &after);
    flight_error(&after, 404, "not_found", NULL);
    rpc_rig_done(&r);
}

static void an_aborted_copy_is_tried_once_more_with_the_domain_as_it_is_now(void **state)
{
    struct rpc_rig r;
    struct flight f = {0};
    union message request;
    const struct message_domain reborn = fake_domain(9, "web-1", 0x11, 99);

    (void)state;
    rpc_rig_init(&r, true);
    get(&r, &f, &r.alice, FRAMES_OF("web-1"));
    rpc_rig_domains(&r);
    fake_mapper_request(&r.mapper, &request);
    assert_int_equal(request.snapshot.domain.domid, 1);
    fake_mapper_failed(&r.mapper, request.head.serial, ERROR_ABORTED, 0);
    fake_mapper_request(&r.mapper, &request);
    assert_int_equal(request.head.type, MESSAGE_DOMAINS);
    fake_mapper_domains(&r.mapper, request.head.serial, &reborn, 1, false);
    fake_mapper_request(&r.mapper, &request);
    assert_int_equal(request.snapshot.domain.domid, 9);
    assert_int_equal(request.snapshot.domain.incarnation[0], 99);
    fake_mapper_snapshot(&r.mapper, &request, 0, 1);
    assert_int_equal(flight_reply(&f)->status, 200);
    assert_string_equal(flight_reply_header(&f, "Xenres-Domid"), "9");
    flight_done(&f);
    rpc_rig_done(&r);
}

static void a_second_abort_is_the_answer(void **state)
{
    struct rpc_rig r;
    struct flight f = {0};
    union message request;

    (void)state;
    rpc_rig_init(&r, true);
    get(&r, &f, &r.alice, FRAMES_OF("web-1"));
    for (int i = 0; i < 2; i++) {
        rpc_rig_domains(&r);
        fake_mapper_request(&r.mapper, &request);
        fake_mapper_failed(&r.mapper, request.head.serial, ERROR_ABORTED, 0);
    }
    flight_error(&f, 409, "aborted", NULL);
    rpc_rig_done(&r);
}

static void a_domain_that_is_gone_is_looked_for_and_asked_again_only_if_another_took_its_name(
    void **state)
{
    struct rpc_rig r;
    struct flight f = {0};
    union message request;
    const struct message_domain other = fake_domain(8, "web-1", 0x88, 8);

    (void)state;
    rpc_rig_init(&r, true);
    get(&r, &f, &r.alice, FRAMES_OF("web-1"));
    rpc_rig_domains(&r);
    fake_mapper_request(&r.mapper, &request);
    fake_mapper_failed(&r.mapper, request.head.serial, ERROR_NOT_FOUND, ESRCH);
    rpc_rig_domains(&r);                    /* the same: what the mapper said stands */
    flight_error(&f, 404, "not_found", "ESRCH");
    get(&r, &f, &r.alice, FRAMES_OF("web-1"));
    fake_mapper_request(&r.mapper, &request);
    fake_mapper_failed(&r.mapper, request.head.serial, ERROR_NOT_FOUND, ESRCH);
    fake_mapper_request(&r.mapper, &request);
    fake_mapper_domains(&r.mapper, request.head.serial, &other, 1, false);
    rpc_rig_frames(&r, 0, 1);
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
    get(&r, &f, &r.alice, FRAMES_OF("web-1"));
    fake_mapper_request(&r.mapper, &request);
    fake_mapper_failed(&r.mapper, request.head.serial, ERROR_NOT_FOUND, ENOENT);
    flight_error(&f, 404, "not_found", "ENOENT");       /* no such resource: nothing to look for */
    rpc_rig_done(&r);
}

static void another_incarnation_is_aborted_and_nothing_is_read(void **state)
{
    struct rpc_rig r;
    struct flight f = {0};

    (void)state;
    rpc_rig_init(&r, true);
    get(&r, &f, &r.alice, FRAMES_OF("web-1") "?incarnation=02000000000000000000000000000000");
    rpc_rig_domains(&r);
    flight_error(&f, 409, "aborted", NULL);
    get(&r, &f, &r.alice, FRAMES_OF("web-1") "?incarnation=0x");
    flight_error(&f, 400, "invalid_argument", NULL);
    get(&r, &f, &r.alice, FRAMES_OF("web-1") "?incarnation=01000000000000000000000000000000");
    rpc_rig_frames(&r, 0, 1);
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void the_clients_deadline_counts_where_it_is_shorter(void **state)
{
    struct rpc_rig r;
    struct flight f = {0};
    Xenres__V1__GetSnapshotRequest request;
    char name[] = "web-1";

    (void)state;
    rpc_rig_init(&r, true);
    xenres__v1__get_snapshot_request__init(&request);
    request.domain = name;
    request.type = XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE;
    flight_add(&f, "Connect-Timeout-Ms", "5");
    flight_call(&r, &f, &r.alice, "ResourceService/GetSnapshot", &request.base);
    flight_error(&f, 504, "deadline_exceeded", NULL);   /* the mapper says nothing at all */
    rpc_rig_done(&r);
}

static void a_mapper_that_dies_in_between_is_unavailable(void **state)
{
    struct rpc_rig r;
    struct flight f = {0};
    union message request;

    (void)state;
    rpc_rig_init(&r, true);
    get(&r, &f, &r.alice, FRAMES_OF("web-1"));
    rpc_rig_domains(&r);
    fake_mapper_request(&r.mapper, &request);
    fake_mapper_leave(&r.mapper);
    flight_error(&f, 503, "unavailable", NULL);
    fake_mapper_join(&r.mapper);
    outcome_wait(&r.connected, 2);
    get(&r, &f, &r.alice, FRAMES_OF("web-1"));
    rpc_rig_frames(&r, 0, 1);
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void one_identity_has_its_share_of_calls(void **state)
{
    struct rpc_rig r;
    struct flight held[RPC_RIG_CALLS] = {{0}}, f = {0};
    union message request;

    (void)state;
    rpc_rig_init(&r, true);
    for (int i = 0; i < RPC_RIG_CALLS; i++) {
        get(&r, &held[i], &r.alice, FRAMES_OF("web-1"));
        if (i == 0) {
            rpc_rig_domains(&r);
        }
        rpc_rig_frames(&r, 0, 1);
        assert_int_equal(flight_reply(&held[i])->status, 200);
    }
    get(&r, &f, &r.alice, FRAMES_OF("web-1"));
    flight_error(&f, 429, "resource_exhausted", NULL);
    get(&r, &f, &r.viewer, FRAMES_OF("web-1"));         /* another's share is another's */
    flight_error(&f, 403, "permission_denied", NULL);
    flight_done(&held[0]);
    get(&r, &f, &r.alice, FRAMES_OF("web-1"));
    rpc_rig_frames(&r, 0, 1);
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
    for (int i = 1; i < RPC_RIG_CALLS; i++) {
        flight_done(&held[i]);
    }
    (void)request;
    rpc_rig_done(&r);
}

static void one_identity_has_its_share_of_the_arena(void **state)
{
    struct rpc_rig r;
    struct flight f = {0}, held = {0};

    (void)state;
    rpc_rig_init(&r, true);
    get(&r, &held, &r.alice, FRAMES_OF("web-1") "?count=16");       /* exactly its share */
    rpc_rig_domains(&r);
    rpc_rig_frames(&r, 0, 16);
    assert_int_equal(flight_reply(&held)->status, 200);
    get(&r, &f, &r.alice, FRAMES_OF("web-1") "?count=1");
    flight_error(&f, 429, "resource_exhausted", NULL);
    get(&r, &f, &r.alice, FRAMES_OF("web-1"));                      /* some, however many they are */
    flight_error(&f, 429, "resource_exhausted", NULL);
    get(&r, &f, &r.alice, "/schema/xenres.v1.binpb");               /* costs nothing of it */
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
    flight_done(&held);
    get(&r, &f, &r.alice, FRAMES_OF("web-1") "?count=17");          /* refused before it is copied */
    flight_error(&f, 429, "resource_exhausted", NULL);
    get(&r, &f, &r.alice, FRAMES_OF("web-1"));                      /* as many turn out to be in use */
    rpc_rig_frames(&r, 0, 17);
    flight_error(&f, 429, "resource_exhausted", NULL);
    get(&r, &f, &r.alice, FRAMES_OF("web-1"));
    rpc_rig_frames(&r, 0, 16);
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void an_answer_above_the_limit_is_refused_with_what_to_do(void **state)
{
    struct rpc_rig r;
    struct flight f = {0};
    Xenres__V1__GetSnapshotRequest request;
    char name[] = "web-1";

    (void)state;
    rpc_rig_init(&r, true);
    xenres__v1__get_snapshot_request__init(&request);
    request.domain = name;
    request.type = XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE;
    flight_call(&r, &f, &r.alice, "ResourceService/GetSnapshot", &request.base);
    rpc_rig_domains(&r);
    rpc_rig_frames(&r, 0, 16);              /* 64 KiB, and the rest of the message */
    flight_error(&f, 429, "resource_exhausted", NULL);
    flight_call(&r, &f, &r.alice, "ResourceService/GetSnapshot", &request.base);
    rpc_rig_frames(&r, 0, 15);
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
    rpc_rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_unauthenticated),
        cmocka_unit_test(what_has_no_row_is_not_found),
        cmocka_unit_test(another_http_method_is_told_which_are_allowed),
        cmocka_unit_test(other_codecs_are_refused_with_what_is_taken),
        cmocka_unit_test(headers_that_connect_does_not_allow_are_refused),
        cmocka_unit_test(headers_that_connect_allows_pass),
        cmocka_unit_test(a_body_of_the_limit_passes_and_one_byte_more_does_not),
        cmocka_unit_test(a_body_where_none_belongs_is_refused),
        cmocka_unit_test(malformed_messages_are_refused),
        cmocka_unit_test(what_http_refuses_becomes_the_reply),
        cmocka_unit_test(each_method_refuses_who_has_no_rule),
        cmocka_unit_test(a_hidden_domain_and_none_are_answered_alike),
        cmocka_unit_test(a_visible_domain_without_the_action_is_permission_denied),
        cmocka_unit_test(a_new_policy_holds_for_the_next_call),
        cmocka_unit_test(an_aborted_copy_is_tried_once_more_with_the_domain_as_it_is_now),
        cmocka_unit_test(a_second_abort_is_the_answer),
        cmocka_unit_test(
            a_domain_that_is_gone_is_looked_for_and_asked_again_only_if_another_took_its_name),
        cmocka_unit_test(another_incarnation_is_aborted_and_nothing_is_read),
        cmocka_unit_test(the_clients_deadline_counts_where_it_is_shorter),
        cmocka_unit_test(a_mapper_that_dies_in_between_is_unavailable),
        cmocka_unit_test(one_identity_has_its_share_of_calls),
        cmocka_unit_test(one_identity_has_its_share_of_the_arena),
        cmocka_unit_test(an_answer_above_the_limit_is_refused_with_what_to_do),
    };

    log_open("exchange_test", (enum log_level)0);
    return UNIT_RUN(tests);
}
