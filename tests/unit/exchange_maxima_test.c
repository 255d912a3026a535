/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What an exchange takes of a request, holds for a reply and says in its head: at the maximum, and
 * one beyond. */
#include "tests/lib/rpc_rig.h"

#include "server/rpc/method.h"
#include "server/rpc/pool.h"
#include "server/rpc/state.h"

enum { BODY_MAX_BYTES = 64 * 1024 };

/* The rig's services, but with requests as long as the gateway's default lets them be: the rig's own
 * are cut before they have as many fields. */
static void take_long_requests(struct rpc_rig *r)
{
    struct policy *policy = rpc_rig_parse_policy(rpc_rig_policy);
    const struct rpc_options options = {
        .methods = &services_table,
        .mapper = r->client,
        .policy = policy,
        .quota = r->quota,
        .seal = r->seal,
        .request_timeout_ms = FAKE_WAIT_MS,
        .request_max_bytes = BODY_MAX_BYTES,
        .response_max_bytes = RPC_RIG_RESPONSE_MAX_BYTES,
    };

    rpc_free(r->rpc);
    assert_int_equal(rpc_new(&options, &r->rpc, NULL), 0);
    policy_unref(policy);
}

static void so_many_fields_in_a_request_and_not_one_more(void **state)
{
    static uint8_t body[2 * (EXCHANGE_ELEMENTS_MAX + 1)];
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(body); i += 2) {
        body[i] = 15 << 3; /* field 15, a number: none of GetHost's */
        body[i + 1] = 1;
    }
    rpc_rig_init(&r, false);
    take_long_requests(&r);
    flight_add(&f, "Content-Type", "application/proto");
    flight_send(&r, &f, &r.alice, "POST", "/xenres.v1.HostService/GetHost", body,
                2 * EXCHANGE_ELEMENTS_MAX);
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
    flight_add(&f, "Content-Type", "application/proto");
    flight_send(&r, &f, &r.alice, "POST", "/xenres.v1.HostService/GetHost", body, sizeof(body));
    flight_error(&f, 429, "resource_exhausted", NULL);
    rpc_rig_done(&r);
}

static void so_much_memory_for_a_reply_and_not_a_byte_more(void **state)
{
    struct pool p;
    alignas(max_align_t) unsigned char first[EXCHANGE_FIRST_BYTES];

    (void)state;
    /* As exchange_new() makes it: the room within the exchange does not count. */
    pool_init(&p, first, sizeof(first), EXCHANGE_POOL_MAX_BYTES);
    assert_non_null(pool_alloc(&p, EXCHANGE_FIRST_BYTES));
    assert_non_null(pool_alloc(&p, EXCHANGE_POOL_MAX_BYTES));
    assert_null(pool_alloc(&p, 1));
    assert_true(p.failed);
    pool_done(&p);
}

/* Raw frames say the most; what does not fit would be left out without a word. */
static void the_reply_that_says_the_most_says_all_of_it(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    rpc_rig_init(&r, true);
    flight_send(&r, &f, &r.alice, "GET", "/v1/domains/web-1/resources/grant_table/0/frames", NULL,
                0);
    rpc_rig_domains(&r);
    rpc_rig_frames(&r, 0, 1);
    const struct exchange_reply *reply = flight_reply(&f);

    assert_int_equal(reply->status, 200);
    assert_true(reply->header_count < EXCHANGE_HEADERS_MAX);
    assert_string_equal(reply->headers[reply->header_count - 1].name,
                        "Content-Type"); /* the last */
    flight_done(&f);
    rpc_rig_done(&r);
}

static void more_requests_than_may_be_are_told_when_to_come_again(void **state)
{
    struct rpc_rig r;
    struct flight f = { .exchange = NULL };
    struct policy *policy = rpc_rig_parse_policy(
        "rule \"r\" { effect = allow identities = { \"cn:bob\" } domains = { \"all\" }"
        " types = { \"all\" } actions = { \"list\" } }\n"
        "limits \"l\" { identities = { \"cn:alice\" } requests_per_second = 1 }\n");

    (void)state;
    rpc_rig_init(&r, true);
    rpc_set_rules(r.rpc, policy, NULL);
    policy_unref(policy);
    flight_send(&r, &f, &r.alice, "GET", "/nowhere", NULL, 0); /* counts: it costs something, too */
    flight_error(&f, 404, "not_found", NULL);
    flight_send(&r, &f, &r.alice, "GET", "/v1/domains/web-1/resources/grant_table/0/frames", NULL,
                0);
    assert_int_equal(flight_reply(&f)->status, 429);
    assert_non_null(memmem(f.reply->body, f.reply->body_len_bytes, "google.rpc.RetryInfo", 20));
    assert_non_null(memmem(f.reply->body, f.reply->body_len_bytes, "requests_per_second", 19));
    flight_error(&f, 429, "resource_exhausted", NULL);
    flight_send(&r, &f, &r.viewer, "GET", "/nowhere", NULL,
                0); /* others are none the worse for it */
    flight_error(&f, 404, "not_found", NULL);
    rpc_rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_fields_in_a_request_and_not_one_more),
        cmocka_unit_test(so_much_memory_for_a_reply_and_not_a_byte_more),
        cmocka_unit_test(the_reply_that_says_the_most_says_all_of_it),
        cmocka_unit_test(more_requests_than_may_be_are_told_when_to_come_again),
    };

    return UNIT_RUN(tests);
}
