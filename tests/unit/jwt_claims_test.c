/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/jwt_claims.h"

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

/* --- claims ----------------------------------------------------------------------------------- */

static void expired_and_future_ones(void **state)
{
    (void)state;
    is_refused(HEADER, "{" WHO ",\"exp\":2000000000}", TOKEN_EXPIRED, "0 s ago");
    is_refused(HEADER, "{" WHO ",\"exp\":1999999000}", TOKEN_EXPIRED, "1000 s ago");
    (void)is_taken(JOSE_ES256, HEADER, "{" WHO ",\"exp\":2000000001}");
    is_refused(HEADER, "{" WHO "," FOREVER ",\"nbf\":2000000061}", TOKEN_NOT_YET_VALID,
               "nbf is 61 s");
    is_refused(HEADER, "{" WHO "," FOREVER ",\"iat\":2000000061}", TOKEN_NOT_YET_VALID,
               "iat is 61 s");
    (void)is_taken(JOSE_ES256, HEADER, "{" WHO "," FOREVER ",\"nbf\":2000000060,\"iat\":0}");
}

static void dates_that_are_none(void **state)
{
    static const char *const dates[] = { "\"4000000000\"", "null", "-1",  "1e300",
                                         "253402300800",   "[]",   "true" };

    (void)state;
    is_refused(HEADER, "{" WHO "}", TOKEN_MALFORMED, "exp is missing");
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        BUFFER_AUTO(claims, 1024);

        buffer_printf(&claims, "{" WHO ",\"exp\":%s}", dates[i]);
        is_refused(HEADER, buffer_string(&claims), TOKEN_MALFORMED, "exp is missing, or no date");
        buffer_reset(&claims);
        buffer_printf(&claims, "{" WHO "," FOREVER ",\"nbf\":%s}", dates[i]);
        is_refused(HEADER, buffer_string(&claims), TOKEN_MALFORMED, "nbf is no date");
    }
    is_refused(HEADER, "{" WHO ",\"exp\":99999999999999999999}", TOKEN_MALFORMED, "not valid JSON");
}

static void for_somebody_else(void **state)
{
#define FROM "{\"iss\":\"https://issuer.example\",\"sub\":\"alice\"," FOREVER
    (void)state;
    is_refused(HEADER, FROM ",\"aud\":\"other\"}", TOKEN_AUDIENCE, "\"xenresd\"");
    is_refused(HEADER, FROM ",\"aud\":\"XENRESD\"}", TOKEN_AUDIENCE, "\"xenresd\"");
    is_refused(HEADER, FROM ",\"aud\":[]}", TOKEN_AUDIENCE, "\"xenresd\"");
    is_refused(HEADER, FROM ",\"aud\":[\"other\"]}", TOKEN_AUDIENCE, "\"xenresd\"");
    is_refused(HEADER, FROM ",\"aud\":\"gate\"}", TOKEN_AUDIENCE,
               "\"xenresd\""); /* another issuer's */
    is_refused(HEADER, FROM ",\"aud\":[\"xenresd\",7]}", TOKEN_MALFORMED, "no string");
    is_refused(HEADER, FROM "}", TOKEN_MALFORMED, "no aud");
    is_refused(HEADER, FROM ",\"aud\":{\"xenresd\":1}}", TOKEN_MALFORMED, "no aud");
#undef FROM
}

static void of_another_issuer(void **state)
{
    static const char *const issuers_of[] = { "\"https://issuer.example/\"",
                                              "\"HTTPS://issuer.example\"", "\"\"", "7",
                                              "[\"https://issuer.example\"]" };

    (void)state;
    for (size_t i = 0; i < sizeof(issuers_of) / sizeof(issuers_of[0]); i++) {
        BUFFER_AUTO(claims, 1024);

        buffer_printf(&claims, "{\"aud\":\"xenresd\",\"sub\":\"alice\"," FOREVER ",\"iss\":%s}",
                      issuers_of[i]);
        is_refused(HEADER, buffer_string(&claims), TOKEN_UNKNOWN, "none of the issuers");
    }
    is_refused(HEADER, "{\"aud\":\"xenresd\",\"sub\":\"alice\"," FOREVER "}", TOKEN_UNKNOWN,
               "none of the issuers");
}

/* Who could be denied by a pattern only, or together with others, is nobody. */
static void a_subject_that_a_deny_list_cannot_name_is_refused(void **state)
{
    static const char *const bad[] = { "*", "al?ce", "https://x/?user=1" };
    BUFFER_AUTO(claims, 4096);

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        buffer_reset(&claims);
        buffer_printf(&claims,
                      "{\"iss\":\"https://issuer.example\",\"aud\":\"xenresd\"," FOREVER
                      ",\"sub\":\"%s\"}",
                      bad[i]);
        is_refused(HEADER, buffer_string(&claims), TOKEN_MALFORMED, "its sub has * or ?");
    }
}

static void subjects_and_ids_are_bounded(void **state)
{
    static const char *const bad[] = { "\"\"",         "7",           "\"a b\"", "\"a\\nb\"",
                                       "\"\xc3\xa4\"", "\"a\\u007f\"" };
    BUFFER_AUTO(claims, 4096);
    char longest[JWT_SUBJECT_MAX_BYTES + 2];

    (void)state;
#define FROM "\"iss\":\"https://issuer.example\",\"aud\":\"xenresd\"," FOREVER
    is_refused(HEADER, "{" FROM "}", TOKEN_MALFORMED, "its sub is not");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        buffer_reset(&claims);
        buffer_printf(&claims, "{" FROM ",\"sub\":%s}", bad[i]);
        is_refused(HEADER, buffer_string(&claims), TOKEN_MALFORMED, "its sub is not");
        buffer_reset(&claims);
        buffer_printf(&claims, "{" WHO "," FOREVER ",\"jti\":%s}", bad[i]);
        is_refused(HEADER, buffer_string(&claims), TOKEN_MALFORMED, "its jti is not");
    }
    memset(longest, 's', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    buffer_reset(&claims);
    buffer_printf(&claims, "{" FROM ",\"sub\":\"%s\"}", longest);
    is_refused(HEADER, buffer_string(&claims), TOKEN_MALFORMED, "its sub is not");
    buffer_reset(&claims);
    buffer_printf(&claims, "{" FROM ",\"sub\":\"%s\"}", longest + 1);
    struct token t = is_taken(JOSE_ES256, HEADER, buffer_string(&claims));

    assert_int_equal(strlen(t.who.text), strlen("jwt:corp:") + JWT_SUBJECT_MAX_BYTES);
    for (size_t len = IDENTITY_TOKEN_ID_BYTES - 1; len <= IDENTITY_TOKEN_ID_BYTES; len++) {
        BUFFER_AUTO(token, 4096);
        struct token out;

        buffer_reset(&claims);
        buffer_printf(&claims, "{" WHO "," FOREVER ",\"jti\":\"%.*s\"}", (int)len, longest);
        minter_mint(&minter, JOSE_ES256, HEADER, buffer_string(&claims), &token);
        assert_int_equal(verify((char *)token.data, token.len_bytes, &out, NULL) == 0,
                         len < IDENTITY_TOKEN_ID_BYTES);
    }
#undef FROM
}

static void groups_come_all_or_none(void **state)
{
    static const char *const bad[] = { "7",    "{}",          "[7]",       "[\"a\",\"\"]",
                                       "\"\"", "[\"a\\tb\"]", "[[\"a\"]]", "[\"\xc3\xa4\"]" };
    BUFFER_AUTO(claims, 4096);

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        buffer_reset(&claims);
        buffer_printf(&claims, "{" WHO "," FOREVER ",\"groups\":%s}", bad[i]);
        is_refused(HEADER, buffer_string(&claims), TOKEN_MALFORMED, "group");
    }
    /* 50 of 9 bytes and a last one, each with its NUL; and the NUL of the empty one. */
    for (int last = 10; last <= 11; last++) {
        BUFFER_AUTO(token, 4096);
        struct token out;

        buffer_reset(&claims);
        buffer_printf(&claims, "{" WHO "," FOREVER ",\"groups\":[");
        for (int i = 0; i < 50; i++) {
            buffer_printf(&claims, "\"group%04d\",", i);
        }
        buffer_printf(&claims, "\"%.*s\"]}", last, "last-group-");
        minter_mint(&minter, JOSE_ES256, HEADER, buffer_string(&claims), &token);
        int result = verify((char *)token.data, token.len_bytes, &out, NULL);

        assert_int_equal(result, last == 10 ? 0 : -ERROR_UNAUTHENTICATED);
        if (result == 0) {
            assert_string_equal(out.who.groups + 50 * 10, "last-group");
            assert_int_equal(out.who.groups[sizeof(out.who.groups) - 1], 0);
        }
    }
}

/* --- bindings --------------------------------------------------------------------------------- */

static void bindings_that_cannot_be_checked(void **state)
{
    static const struct {
        const char *cnf;
        enum token_fault fault;
    } rows[] = {
        { "{}", TOKEN_BINDING },
        { "7", TOKEN_BINDING },
        { "{\"jkt\":\"AA\"}", TOKEN_BINDING },
        { "{\"x5t#S256\":7}", TOKEN_BINDING },
        { "{\"x5t#S256\":\"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA\",\"jkt\":\"AA\"}",
          TOKEN_BINDING },
        { "{\"x5t#S256\":\"AAAA\"}", TOKEN_MALFORMED },
        { "{\"x5t#S256\":\"\"}", TOKEN_MALFORMED },
        { "{\"x5t#S256\":\"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB\"}",
          TOKEN_MALFORMED }, /* bits */
        { "{\"x5t#S256\":\"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\"}", TOKEN_MALFORMED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        BUFFER_AUTO(claims, 1024);

        buffer_printf(&claims, "{" WHO "," FOREVER ",\"cnf\":%s}", rows[i].cnf);
        is_refused(HEADER, buffer_string(&claims), rows[i].fault, "");
    }
}

static void a_binding_is_to_one_certificate(void **state)
{
    const struct token bound = { .who = { .text = "jwt:corp:alice", .not_after_s = 500 },
                                 .has_binding = true,
                                 .binding = { 1, 2, 3 } };
    const struct token bearer = { .who = { .text = "jwt:corp:alice", .not_after_s = 500 } };
    const struct identity right = { .fingerprint = { 1, 2, 3 }, .not_after_s = 400 };
    const struct identity wrong = { .fingerprint = { 1, 2, 4 }, .not_after_s = 600 };
    struct failure f = { 0 };
    struct token t = bound;

    (void)state;
    assert_int_equal(token_bear(&t, NULL, &f), -ERROR_UNAUTHENTICATED);
    assert_string_equal(f.message, token_fault_text(TOKEN_BINDING));
    assert_int_equal(token_bear(&t, &wrong, NULL), -ERROR_UNAUTHENTICATED);
    assert_memory_equal(&t, &bound, sizeof(t));
    assert_int_equal(token_bear(&t, &right, NULL), 0);
    assert_string_equal(t.who.text, "jwt:corp:alice");
    assert_memory_equal(t.who.fingerprint, right.fingerprint, sizeof(right.fingerprint));
    assert_int_equal(t.who.not_after_s, 400); /* the earlier end */
    assert_true(t.who.is_bound);
    t = bearer;
    assert_int_equal(token_bear(&t, &wrong, NULL), 0);
    assert_int_equal(t.who.not_after_s, 500);
    assert_memory_equal(t.who.fingerprint, wrong.fingerprint, sizeof(wrong.fingerprint));
    assert_false(t.who.is_bound); /* the certificate says nothing about this token */
    t = bearer;
    assert_int_equal(token_bear(&t, NULL, NULL), 0);
    assert_int_equal(t.who.fingerprint[0], 0);
    assert_false(t.who.is_bound);
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
        cmocka_unit_test(expired_and_future_ones),
        cmocka_unit_test(dates_that_are_none),
        cmocka_unit_test(for_somebody_else),
        cmocka_unit_test(of_another_issuer),
        cmocka_unit_test(a_subject_that_a_deny_list_cannot_name_is_refused),
        cmocka_unit_test(subjects_and_ids_are_bounded),
        cmocka_unit_test(groups_come_all_or_none),
        cmocka_unit_test(bindings_that_cannot_be_checked),
        cmocka_unit_test(a_binding_is_to_one_certificate),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
