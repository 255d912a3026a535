/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Bearer tokens that are not accepted, against the real gateway: they end the connection, count for its
 * address as failed handshakes do, and cost no signature any more while that has a penalty; who is known
 * goes on meanwhile.
 */
#include "tests/lib/token_rig.h"

#include "auth/opaque_file.h"

enum {
    REFUSED_ON_A_CONNECTION = 3,
    CONNECTIONS_MAX = 8,
    /* Of a token that looks as a good one does, at 20 handshakes/s with eight seconds' burst: see
     * HANDSHAKES_PENALTY_MIN_MS. */
    VERIFIED_MAX = 12,
};

/* Signed by nobody; another one each time, as what is known to be bad is not remembered. */
static const char *forge(unsigned number)
{
    char claims[256];
    const char *token;

    (void)snprintf(claims, sizeof(claims), "{" WHO "," LATER ",\"n\":%u}", number);
    token = mint(JOSE_ES256, ES256, claims);
    memset(strrchr(token, '.') + 1, 'A', 86);
    return token;
}

static bool is_closing(const struct tls_peer *p)
{
    const char *connection = tls_peer_header(p, "Connection");

    return connection != NULL && strncasecmp(connection, "close", 5) == 0;
}

static void several_end_their_connection(void **state)
{
    const char *good = mint(JOSE_ES256, ES256, GOOD);
    struct tls_peer p;

    (void)state;
    open_as(&p, NULL);
    for (unsigned i = 1; i <= REFUSED_ON_A_CONNECTION; i++) {
        assert_int_equal(ask_by(&p, GET_HOST, bearer(good)), 200);
        assert_false(is_closing(&p));
        assert_int_equal(ask_by(&p, GET_HOST, bearer(forge(i))), 401);
        assert_int_equal(is_closing(&p), i == REFUSED_ON_A_CONNECTION);
    }
    tls_peer_close(&p);
    /* Nobody behind that address is locked out by so few. */
    assert_int_equal(with_token(NULL, mint(JOSE_ES256, ES256, "{" WHO "," LATER ",\"new\":1}")),
                     200);
}

/* Others of the address, who came before: one with a signed token that is known, one with one that is not
 * yet, one with an opaque one, and one with a certificate. */
struct others {
    struct tls_peer known, fresh, opaque, certificate;
    const char *token, *fresh_token;
};

static char opaque_token[OPAQUE_TOKEN_BYTES];

static void others_come(struct others *o)
{
    o->token = mint(JOSE_ES256, ES256, GOOD);
    o->fresh_token = mint(JOSE_ES256, ES256, "{" WHO "," LATER ",\"fresh\":1}");
    open_as(&o->known, NULL);
    assert_int_equal(ask_by(&o->known, GET_HOST, bearer(o->token)), 200);
    open_as(&o->fresh, NULL);
    open_as(&o->opaque, NULL);
    open_as(&o->certificate, "operator");
}

static void others_go_on(struct others *o)
{
    assert_int_equal(ask_by(&o->known, GET_HOST, bearer(o->token)), 200);
    assert_int_equal(ask_by(&o->opaque, GET_HOST, bearer(opaque_token)), 200);
    assert_int_equal(ask_by(&o->certificate, GET_HOST, ""), 200);
    assert_int_equal(ask_by(&o->fresh, GET_HOST, bearer(o->fresh_token)), 429);
    assert_non_null(strstr(answer, "\"resource_exhausted\""));
    assert_non_null(strstr(answer, "RetryInfo"));
    tls_peer_close(&o->known);
    tls_peer_close(&o->opaque);
    tls_peer_close(&o->certificate);
    tls_peer_close(&o->fresh);
}

/* A stranger who does nothing but show tokens that look good, on as many connections as it takes. */
static void forgeries_are_looked_at_a_few_times_and_no_more(void **state)
{
    struct tls_peer peers[CONNECTIONS_MAX];
    struct others others;
    unsigned verified = 0, refused = 0, number = 100;
    size_t at = 0;

    (void)state;
    others_come(&others);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        open_as(&peers[i], NULL);
    }
    while (verified + refused < TOKENS_MAX / 2 && at < CONNECTIONS_MAX) {
        int status = ask_by(&peers[at], GET_HOST, bearer(forge(number++)));

        assert_true(status == 401 || status == 429);
        verified += status == 401;
        refused += status == 429;
        at += is_closing(&peers[at]) ? 1 : 0;
    }
    assert_in_range(verified, REFUSED_ON_A_CONNECTION, VERIFIED_MAX);
    assert_true(refused >= 10); /* and they are not ended: who is told to wait may */
    others_go_on(&others);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        tls_peer_close(&peers[i]);
    }
}

static int start(void **state)
{
    char file[GATEWAY_PATH_BYTES];

    (void)state;
    assert_int_equal(start_gateway_with("limits { handshake_exempt = \"\" }\n"), 0);
    gateway_stop();
    gateway_path("tokens", file);
    assert_int_equal(opaque_file_add(file, "backup", "", INT64_C(4000000000), opaque_token, NULL),
                     0);
    gateway_start(false);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_end_their_connection),
        cmocka_unit_test(forgeries_are_looked_at_a_few_times_and_no_more),
    };

    return cmocka_run_group_tests(tests, start, stop_gateway);
}
