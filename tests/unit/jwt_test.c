/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/jwt.h"

#include <openssl/hmac.h>

#include "tests/lib/minter.h"
#include "tests/lib/unit.h"

#define NOW     MINTER_NOW_S
#define FOREVER "\"exp\":4000000000"
#define WHO     "\"iss\":\"https://issuer.example\",\"aud\":\"xenresd\",\"sub\":\"alice\""
#define GOOD    "{" WHO "," FOREVER "}"
#define HEADER  "{\"alg\":\"ES256\",\"kid\":\"ES256\"}"

static struct minter minter;
static struct jwt_issuer issuers[2];

static int verify(const char *token, size_t len, struct token *out, struct failure *f)
{
    int result = jwt_verify(issuers, 2, token, len, NOW, out, f);

    assert_true(result == 0 || result == -ERROR_UNAUTHENTICATED);
    return result;
}

static void check_refused(const char *token, size_t len, enum token_fault fault, const char *cause)
{
    struct token out = { .has_binding = true };
    struct failure f = { 0 };

    assert_int_equal(verify(token, len, &out, &f), -ERROR_UNAUTHENTICATED);
    assert_string_equal(f.message, token_fault_text(fault));
    if (strstr(f.cause, cause) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", f.cause, cause);
    }
    assert_string_equal(out.who.text, ""); /* changed on success only */
    assert_true(out.has_binding);
}

/* Signed with ES256's key. */
static void is_refused(const char *header, const char *claims, enum token_fault fault,
                       const char *cause)
{
    BUFFER_AUTO(token, 65536);

    minter_mint(&minter, JOSE_ES256, header, claims, &token);
    check_refused((char *)token.data, token.len_bytes, fault, cause);
}

static struct token is_taken(enum jose_algorithm a, const char *header, const char *claims)
{
    BUFFER_AUTO(token, 65536);
    struct token out = { 0 };
    struct failure f = { 0 };

    minter_mint(&minter, a, header, claims, &token);
    if (verify((char *)token.data, token.len_bytes, &out, &f) != 0) {
        fail_msg("%s: %s", f.message, f.cause);
    }
    return out;
}

/* --- good ones -------------------------------------------------------------------------------- */

static void tokens_of_each_algorithm_say_who_bears_them(void **state)
{
    static const struct {
        enum jose_algorithm a;
        const char *header;
    } rows[] = {
        { JOSE_ES256, "{\"typ\":\"JWT\",\"alg\":\"ES256\",\"kid\":\"ES256\"}" },
        { JOSE_RS256, "{\"alg\":\"RS256\",\"kid\":\"RSA\",\"typ\":\"at+jwt\"}" },
        { JOSE_PS256, "{\"alg\":\"PS256\",\"kid\":\"RSA\",\"typ\":\"application/at+JWT\"}" },
        { JOSE_PS256,
          "{\"alg\":\"PS256\",\"kid\":\"PS256\",\"x5t\":\"AA\",\"jku\":\"https://evil\"}" },
        { JOSE_EDDSA, "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\"}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct token t = is_taken(rows[i].a, rows[i].header, GOOD);

        assert_string_equal(t.who.text, "jwt:corp:alice");
        assert_int_equal(t.who.not_after_s, 3999999999);
        assert_string_equal(t.who.token_id, "");
        assert_string_equal(t.who.groups, "");
        assert_false(t.has_binding);
        assert_false(t.who.is_bound);
    }
}

static void claims_become_parts_of_the_identity(void **state)
{
    struct token t =
        is_taken(JOSE_ES256, HEADER,
                 "{" WHO ",\"jti\":\"id-7\",\"groups\":[\"ops\",\"on call\"],"
                 "\"nbf\":2000000060,\"iat\":2000000060,\"exp\":2000000000.5,"
                 "\"cnf\":{\"x5t#S256\":\"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA\"}}");

    (void)state;
    assert_string_equal(t.who.token_id, "id-7");
    assert_memory_equal(t.who.groups, "ops\0on call\0", 13);
    assert_int_equal(t.who.not_after_s, NOW);
    assert_true(t.has_binding);
    for (unsigned i = 0; i < sizeof(t.binding); i++) {
        assert_int_equal(t.binding[i], i + 1);
    }
}

static void one_of_several_audiences_is_ours(void **state)
{
    (void)state;
    (void)is_taken(JOSE_ES256, HEADER,
                   "{\"iss\":\"https://issuer.example\",\"aud\":[\"other\",\"xenresd\"],"
                   "\"sub\":\"alice\"," FOREVER "}");
}

static void an_issuer_has_its_own_audience_name_and_groups(void **state)
{
    struct token t = is_taken(JOSE_ES256, HEADER,
                              "{\"iss\":\"urn:other\",\"aud\":\"gate\",\"sub\":\"alice\"," FOREVER
                              ",\"https://x/roles\":\"one\",\"groups\":7}");

    (void)state;
    assert_string_equal(t.who.text, "jwt:other:alice");
    assert_memory_equal(t.who.groups, "one\0", 5);
}

/* --- altered ones ----------------------------------------------------------------------------- */

static void altered_header_or_payload(void **state)
{
    BUFFER_AUTO(token, 4096);
    BUFFER_AUTO(other, 4096);

    (void)state;
    minter_mint(&minter, JOSE_ES256, HEADER, GOOD, &token);
    const char *signature = strrchr(buffer_string(&token), '.');

    static const char admin[] =
        "{\"iss\":\"https://issuer.example\",\"aud\":\"xenresd\",\"sub\":\"admin\"," FOREVER "}";

    minter_unsigned(&other, HEADER, admin, strlen(admin));
    buffer_append_string(&other, signature);
    check_refused((char *)other.data, other.len_bytes, TOKEN_SIGNATURE, "not by key");
    buffer_reset(&other);
    minter_unsigned(&other, "{\"alg\":\"ES256\",\"kid\":\"ES256\",\"typ\":\"JWT\"}", GOOD,
                    strlen(GOOD));
    buffer_append_string(&other, signature);
    check_refused((char *)other.data, other.len_bytes, TOKEN_SIGNATURE, "not by key");
}

/* Nothing that differs in one bit passes: neither a part nor what separates them. */
static void altered_anywhere(void **state)
{
    BUFFER_AUTO(token, 4096);
    struct token out;

    (void)state;
    minter_mint(&minter, JOSE_ES256, HEADER, GOOD, &token);
    for (size_t i = 0; i < token.len_bytes; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            token.data[i] ^= (uint8_t)(1U << bit);
            assert_int_equal(verify((char *)token.data, token.len_bytes, &out, NULL),
                             -ERROR_UNAUTHENTICATED);
            token.data[i] ^= (uint8_t)(1U << bit);
        }
        assert_int_equal(verify((char *)token.data, i, &out, NULL), -ERROR_UNAUTHENTICATED);
    }
    assert_int_equal(verify((char *)token.data, token.len_bytes, &out, NULL), 0);
}

static void no_algorithm(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"None\",\"kid\":\"ES256\"}",
        "{\"kid\":\"ES256\"}",
        "{\"alg\":\"\",\"kid\":\"ES256\"}",
        "{\"alg\":7,\"kid\":\"ES256\"}",
        "{\"alg\":\"HS256\",\"kid\":\"RSA\"}",
        "{\"alg\":\"es256\",\"kid\":\"ES256\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        BUFFER_AUTO(token, 4096);

        is_refused(headers[i], GOOD, TOKEN_ALGORITHM, "its alg is");
        minter_unsigned(&token, headers[i], GOOD, strlen(GOOD));
        buffer_append_byte(&token, '.');
        check_refused((char *)token.data, token.len_bytes, TOKEN_ALGORITHM, "its alg is");
    }
}

/* The attack of CVE-2015-9235: the public key, which everybody has, as the secret of an HMAC. */
static void a_public_key_as_a_shared_secret(void **state)
{
    BUFFER_AUTO(token, 4096);
    BUFFER_AUTO(members, 4096);
    uint8_t mac[32];
    unsigned len = sizeof(mac);

    (void)state;
    minter_members(&members, minter.keys[JOSE_RS256]);
    minter_unsigned(&token, "{\"alg\":\"HS256\",\"kid\":\"RSA\"}", GOOD, strlen(GOOD));
    assert_non_null(HMAC(EVP_sha256(), members.data, (int)members.len_bytes, token.data,
                         token.len_bytes, mac, &len));
    buffer_append_byte(&token, '.');
    minter_encode(&token, mac, sizeof(mac));
    check_refused((char *)token.data, token.len_bytes, TOKEN_ALGORITHM, "HS256");
}

static void an_algorithm_that_is_not_the_keys(void **state)
{
    static const struct {
        enum jose_algorithm a;
        const char *header;
    } rows[] = {
        { JOSE_RS256, "{\"alg\":\"RS256\",\"kid\":\"PS256\"}" }, /* the very key, for PS256 alone */
        { JOSE_RS256, "{\"alg\":\"RS256\",\"kid\":\"ES256\"}" },
        { JOSE_EDDSA, "{\"alg\":\"EdDSA\",\"kid\":\"ES256\"}" },
        { JOSE_ES256, "{\"alg\":\"ES256\",\"kid\":\"EdDSA\"}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        BUFFER_AUTO(token, 4096);

        minter_mint(&minter, rows[i].a, rows[i].header, GOOD, &token);
        check_refused((char *)token.data, token.len_bytes, TOKEN_ALGORITHM, "is not for");
    }
}

static void switched_between_the_algorithms_of_one_key(void **state)
{
    BUFFER_AUTO(token, 4096);

    (void)state;
    minter_mint(&minter, JOSE_PS256, "{\"alg\":\"RS256\",\"kid\":\"RSA\"}", GOOD, &token);
    check_refused((char *)token.data, token.len_bytes, TOKEN_SIGNATURE, "not by key");
}

/* --- headers ---------------------------------------------------------------------------------- */

static void unknown_keys(void **state)
{
    (void)state;
    is_refused("{\"alg\":\"ES256\",\"kid\":\"other\"}", GOOD, TOKEN_UNKNOWN, "no key \"other\"");
    is_refused("{\"alg\":\"ES256\"}", GOOD, TOKEN_UNKNOWN, "names no key");
    is_refused("{\"alg\":\"ES256\",\"kid\":7}", GOOD, TOKEN_UNKNOWN, "names no key");
}

static void headers_that_ask_for_more(void **state)
{
    (void)state;
#define WITH(more) "{\"alg\":\"ES256\",\"kid\":\"ES256\"," more "}"
    is_refused(WITH("\"crit\":[\"exp\"],\"exp\":1"), GOOD, TOKEN_MALFORMED, "\"crit\"");
    is_refused(WITH("\"crit\":[]"), GOOD, TOKEN_MALFORMED, "\"crit\"");
    is_refused(WITH("\"crit\":[\"crit\"]"), GOOD, TOKEN_MALFORMED, "\"crit\"");
    is_refused(WITH("\"x\":{\"crit\":[\"b64\"]}"), GOOD, TOKEN_MALFORMED, "an object or a list");
    is_refused(WITH("\"b64\":false"), GOOD, TOKEN_MALFORMED, "\"b64\"");
    is_refused(WITH("\"cty\":\"JWT\""), GOOD, TOKEN_MALFORMED, "\"cty\"");
    is_refused(WITH("\"zip\":\"DEF\""), GOOD, TOKEN_MALFORMED, "\"zip\"");
    is_refused(WITH("\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}"), GOOD, TOKEN_MALFORMED, "\"jwk\"");
    is_refused(WITH("\"x5c\":[\"AA\"]"), GOOD, TOKEN_MALFORMED, "\"x5c\"");
    is_refused(WITH("\"typ\":\"logout+jwt\""), GOOD, TOKEN_MALFORMED, "typ");
    is_refused(WITH("\"typ\":null"), GOOD, TOKEN_MALFORMED, "typ");
#undef WITH
}

static void members_that_are_there_twice(void **state)
{
    (void)state;
    is_refused("{\"alg\":\"ES256\",\"kid\":\"ES256\",\"alg\":\"ES256\"}", GOOD, TOKEN_MALFORMED,
               "header cannot be read: a member is in it twice");
    is_refused("{\"alg\":\"none\",\"kid\":\"ES256\",\"\\u0061lg\":\"ES256\"}", GOOD,
               TOKEN_MALFORMED, "header cannot be read: a member is in it twice");
    is_refused(HEADER, "{" WHO ",\"sub\":\"root\"," FOREVER "}", TOKEN_MALFORMED,
               "claims cannot be read: a member is in it twice");
    is_refused(HEADER, "{" WHO "," FOREVER ",\"x\":{\"y\":1,\"y\":1}}", TOKEN_MALFORMED,
               "claims cannot be read: a member is in it twice");
}

static void what_is_no_token(void **state)
{
    static const char *const texts[] = { "",        ".",    "..",       "...",         "a.b",
                                         "a.b.c.d", "\n..", "e30.e30.", "e30=.e30.AA", "e30.e30.AA",
                                         "xr_1" };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct token out;
        struct failure f = { 0 };

        assert_int_equal(verify(texts[i], strlen(texts[i]), &out, &f), -ERROR_UNAUTHENTICATED);
    }
    is_refused("[]", GOOD, TOKEN_MALFORMED, "not a JSON object");
    is_refused(HEADER, "[]", TOKEN_MALFORMED, "not a JSON object");
    is_refused(HEADER, GOOD " {}", TOKEN_MALFORMED, "not valid JSON");
    is_refused(HEADER, "{" WHO "," FOREVER ",\"x\":\"\xff\"}", TOKEN_MALFORMED, "not UTF-8");
    is_refused("{\"alg\":\"ES256\",\"kid\":\"\xc0\xaf\"}", GOOD, TOKEN_MALFORMED, "not UTF-8");
}

static void other_spellings_of_the_same_bytes(void **state)
{
    BUFFER_AUTO(token, 4096);
    BUFFER_AUTO(padded, 4096);

    (void)state;
    minter_mint(&minter, JOSE_ES256, HEADER, GOOD, &token);
    const char *text = buffer_string(&token);
    const char *dot = strchr(text, '.');

    /* "=" behind the header, and what the signature is of with it. */
    buffer_append(&padded, text, (size_t)(dot - text));
    buffer_append_string(&padded, "==");
    buffer_append_string(&padded, dot);
    check_refused((char *)padded.data, padded.len_bytes, TOKEN_MALFORMED,
                  "header is not base64url");
    buffer_reset(&padded);
    buffer_append_string(&padded, text);
    buffer_append_string(&padded, "==");
    check_refused((char *)padded.data, padded.len_bytes, TOKEN_MALFORMED, "signature is not");
}

static void longer_than_is_taken(void **state)
{
    BUFFER_AUTO(claims, 1 << 20);
    BUFFER_AUTO(token, 1 << 21);
    struct token out;

    (void)state;
    for (size_t len = JWT_MAX_BYTES; len <= JWT_MAX_BYTES + 1; len++) {
        size_t room = len - 1 - 86 - 1 - 40 /* the header */;

        buffer_reset(&claims);
        buffer_reset(&token);
        buffer_printf(&claims, "{" WHO "," FOREVER ",\"x\":\"");
        while ((claims.len_bytes + 2) * 4 / 3 < room - 2) {
            buffer_append_byte(&claims, 'x');
        }
        buffer_append_string(&claims, "\"}");
        minter_mint(&minter, JOSE_ES256, HEADER, buffer_string(&claims), &token);
        assert_true(token.len_bytes > JWT_MAX_BYTES - 8 && token.len_bytes < JWT_MAX_BYTES + 8);
        assert_int_equal(verify((char *)token.data, token.len_bytes, &out, NULL) == 0,
                         token.len_bytes <= JWT_MAX_BYTES);
    }
    buffer_reset(&token);
    while (token.len_bytes < 1 << 20) {
        buffer_append_byte(&token, token.len_bytes % 300000 == 99 ? '.' : 'e');
    }
    check_refused((char *)token.data, token.len_bytes, TOKEN_MALFORMED, "1048576 bytes, of 8192");
}

/* A failure is for the log, too: no part of a token may get there. */
static void failures_quote_no_token(void **state)
{
    BUFFER_AUTO(token, 4096);
    struct token out;

    (void)state;
    minter_mint(&minter, JOSE_ES256, HEADER, GOOD, &token);
    for (size_t i = 0; i < token.len_bytes; i++) {
        struct failure f = { 0 };
        uint8_t was = token.data[i];

        token.data[i] = '!';
        (void)verify((char *)token.data, token.len_bytes, &out, &f);
        token.data[i] = was;
        for (size_t at = 0; at + 8 <= token.len_bytes; at++) {
            char piece[9] = { 0 };

            memcpy(piece, token.data + at, 8);
            assert_null(strstr(f.message, piece));
            assert_null(strstr(f.cause, piece));
        }
    }
}

static int set_up(void **state)
{
    BUFFER_AUTO(text, 8192);

    (void)state;
    minter_init(&minter);
    minter_jwks(&minter, &text);
    issuers[0] = (struct jwt_issuer){ .name = "corp",
                                      .issuer = "https://issuer.example",
                                      .audience = "xenresd",
                                      .groups_claim = "groups" };
    issuers[1] = (struct jwt_issuer){ .name = "other",
                                      .issuer = "urn:other",
                                      .audience = "gate",
                                      .groups_claim = "https://x/roles" };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(jwks_parse("set", text.data, text.len_bytes, &issuers[i].keys, NULL), 0);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    jwks_free(issuers[0].keys);
    jwks_free(issuers[1].keys);
    minter_done(&minter);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_of_each_algorithm_say_who_bears_them),
        cmocka_unit_test(claims_become_parts_of_the_identity),
        cmocka_unit_test(one_of_several_audiences_is_ours),
        cmocka_unit_test(an_issuer_has_its_own_audience_name_and_groups),
        cmocka_unit_test(altered_header_or_payload),
        cmocka_unit_test(altered_anywhere),
        cmocka_unit_test(no_algorithm),
        cmocka_unit_test(a_public_key_as_a_shared_secret),
        cmocka_unit_test(an_algorithm_that_is_not_the_keys),
        cmocka_unit_test(switched_between_the_algorithms_of_one_key),
        cmocka_unit_test(unknown_keys),
        cmocka_unit_test(headers_that_ask_for_more),
        cmocka_unit_test(members_that_are_there_twice),
        cmocka_unit_test(what_is_no_token),
        cmocka_unit_test(other_spellings_of_the_same_bytes),
        cmocka_unit_test(longer_than_is_taken),
        cmocka_unit_test(failures_quote_no_token),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
