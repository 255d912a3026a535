/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/jwks.h"

#include <sys/stat.h>

#include "tests/lib/folder.h"
#include "tests/lib/minter.h"
#include "tests/lib/unit.h"

static struct minter minter;

#define EC_X "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""
#define EC_Y "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EC   "\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "," EC_Y

static int parse(const char *text, struct jwks **out, struct failure *f)
{
    return jwks_parse("set", text, strlen(text), out, f);
}

/* A good key first, then one of these members. */
static void is_refused(const char *members, const char *why)
{
    BUFFER_AUTO(text, 8192);
    struct jwks *set = NULL;
    struct failure f = { 0 };

    assert_true(buffer_printf(&text, "{\"keys\":[{\"kid\":\"good\"," EC "},{%s}]}", members));
    assert_int_equal(parse(buffer_string(&text), &set, &f), -ERROR_INVALID_ARGUMENT);
    assert_null(set);
    if (strstr(f.message, why) == NULL || strstr(f.message, "key 2 in set") == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", f.message, why);
    }
}

static void is_left_out(const char *members)
{
    BUFFER_AUTO(text, 8192);
    struct jwks *set = NULL;

    assert_true(
        buffer_printf(&text, "{\"keys\":[{\"kid\":\"good\"," EC "},{\"kid\":\"b\",%s}]}", members));
    assert_int_equal(parse(buffer_string(&text), &set, NULL), 0);
    assert_int_equal(jwks_count(set), 1);
    assert_null(jwks_find(set, "b"));
    assert_non_null(jwks_find(set, "good"));
    jwks_free(set);
}

static void keys_of_all_kinds_are_found_by_their_kid(void **state)
{
    BUFFER_AUTO(text, 8192);
    struct jwks *set = NULL;

    (void)state;
    minter_jwks(&minter, &text);
    assert_int_equal(parse(buffer_string(&text), &set, NULL), 0);
    assert_int_equal(jwks_count(set), 4);
    assert_int_equal(jwks_find(set, "ES256")->algorithms, 1U << JOSE_ES256);
    assert_int_equal(jwks_find(set, "RSA")->algorithms, 1U << JOSE_RS256 | 1U << JOSE_PS256);
    assert_int_equal(jwks_find(set, "PS256")->algorithms, 1U << JOSE_PS256);
    assert_int_equal(jwks_find(set, "EdDSA")->algorithms, 1U << JOSE_EDDSA);
    assert_int_equal(EVP_PKEY_eq(jwks_find(set, "RSA")->key, minter.keys[JOSE_RS256]), 1);
    assert_null(jwks_find(set, "rsa"));
    assert_null(jwks_find(set, ""));
    jwks_free(set);
}

static void keys_for_something_else_are_left_out(void **state)
{
    (void)state;
    is_left_out(EC ",\"use\":\"enc\"");
    is_left_out(EC ",\"key_ops\":[\"encrypt\"]");
    is_left_out(EC ",\"key_ops\":[]");
    is_left_out(EC ",\"use\":\"enc\",\"key_ops\":[\"verify\"]");
    is_left_out(EC ",\"alg\":\"ES384\"");
    is_left_out(EC ",\"alg\":\"HS256\"");
    is_left_out("\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"");
    is_left_out("\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AA\"");
    is_left_out("\"kty\":\"AKP\"");
}

static void secrets_are_refused(void **state)
{
    (void)state;
    is_refused("\"kid\":\"b\",\"kty\":\"oct\",\"k\":\"AAAA\"", "shared secret");
    is_refused("\"kid\":\"b\"," EC ",\"k\":\"AAAA\"", "shared secret");
    is_refused("\"kid\":\"b\"," EC ",\"d\":\"AAAA\"", "private key");
    is_refused("\"kid\":\"b\",\"use\":\"enc\"," EC ",\"d\":\"AAAA\"", "private key");
}

static void malformed_keys_are_refused(void **state)
{
    (void)state;
    is_refused("\"kid\":\"b\"", "has no kty");
    is_refused(EC, "no kid");
    is_refused("\"kid\":\"\"," EC, "no kid");
    is_refused("\"kid\":7," EC, "no kid");
    is_refused("\"kid\":\"good\"," EC, "has the kid of key 1");
    is_refused("\"kid\":\"b\"," EC ",\"use\":1", "use that is no string");
    is_refused("\"kid\":\"b\"," EC ",\"key_ops\":\"verify\"", "key_ops that are no array");
    is_refused("\"kid\":\"b\"," EC ",\"alg\":{}", "alg that is no string");
    is_refused("\"kid\":\"b\"," EC ",\"alg\":\"RS256\"", "no key for RS256");
    is_refused("\"kid\":\"b\",\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X, "two coordinates");
    is_refused("\"kid\":\"b\",\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X ",\"y\":\"AAAA\"",
               "two coordinates");
    is_refused("\"kid\":\"b\",\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X
               ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"",
               "two coordinates"); /* bits left over */
    /* Not on the curve. */
    is_refused("\"kid\":\"b\",\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X
               ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a8\"",
               "no point on P-256");
    is_refused("\"kid\":\"b\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"", "32 bytes");
    is_refused("\"kid\":\"b\",\"kty\":\"RSA\",\"n\":\"AAAA\"", "modulus and exponent");
    is_refused("\"kid\":\"b\",\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"", "17 bits");
}

static void rsa_of(unsigned bits, struct buffer *out)
{
    EVP_PKEY *key = minter_rsa(bits);

    buffer_append_string(out, "{\"keys\":[{\"kid\":\"r\",");
    minter_members(out, key);
    buffer_append_string(out, "}]}");
    EVP_PKEY_free(key);
}

static void rsa_keys_have_their_bounds(void **state)
{
    struct jwks *set = NULL;
    struct failure f = { 0 };
    BUFFER_AUTO(weak, 4096);
    BUFFER_AUTO(text, 4096);

    (void)state;
    rsa_of(2047, &weak);
    assert_int_equal(parse(buffer_string(&weak), &set, &f), -ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(f.message, "2047 bits"));
    /* One of 4096 bits takes long to make; any odd modulus of that size has the form. */
    for (unsigned bytes = 512; bytes <= 513; bytes++) {
        BUFFER_AUTO(modulus, 1024);

        buffer_reset(&text);
        for (unsigned i = 0; i < bytes; i++) {
            buffer_append_byte(&modulus, i == 0 ? 0xc1 : (uint8_t)(i | 1));
        }
        buffer_append_string(&text,
                             "{\"keys\":[{\"kid\":\"r\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
        minter_encode(&text, modulus.data, modulus.len_bytes);
        buffer_append_string(&text, "\"}]}");
        int result = parse(buffer_string(&text), &set, &f);

        if (bytes == 512) {
            assert_int_equal(result, 0);
            jwks_free(set);
        } else {
            assert_int_equal(result, -ERROR_INVALID_ARGUMENT);
        }
    }
}

static void exponents_are_odd_and_usual(void **state)
{
    static const char *const bad[] = { "Aw", "AQAA", "AQ", "AQAAAAAB" }; /* 3, even, 1, 41 bits */
    BUFFER_AUTO(text, 4096);

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct failure f = { 0 };
        struct jwks *set = NULL;

        buffer_reset(&text);
        buffer_append_string(&text, "{\"keys\":[{\"kid\":\"r\",\"kty\":\"RSA\",\"n\":\"");
        minter_number(&text, minter.keys[JOSE_RS256], OSSL_PKEY_PARAM_RSA_N);
        buffer_printf(&text, "\",\"e\":\"%s\"}]}", bad[i]);
        assert_int_equal(parse(buffer_string(&text), &set, &f), -ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(f.message, "exponent"));
    }
}

static void what_is_no_set_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[7]}",
        "{\"keys\":[],\"keys\":[]}",
        "{\"keys\":[{\"kid\":\"a\",\"kid\":\"b\"," EC "}]}",
        "{\"keys\":[{\"kid\":\"a\"," EC "}]} {}",
        "{\"keys\":[{\"kid\":\"a\",\"use\":\"enc\"," EC "}]}", /* nothing is left */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct jwks *set = NULL;

        assert_int_equal(parse(bad[i], &set, NULL), -ERROR_INVALID_ARGUMENT);
        assert_null(set);
    }
}

static void as_many_keys_as_are_taken(void **state)
{
    (void)state;
    for (unsigned count = JWKS_KEYS_MAX; count <= JWKS_KEYS_MAX + 1; count++) {
        BUFFER_AUTO(text, JWKS_FILE_MAX_BYTES);
        struct jwks *set = NULL;

        buffer_append_string(&text, "{\"keys\":[");
        for (unsigned i = 0; i < count; i++) {
            buffer_printf(&text, "%s{\"kid\":\"%u\"," EC "}", i > 0 ? "," : "", i);
        }
        buffer_append_string(&text, "]}");
        assert_int_equal(parse(buffer_string(&text), &set, NULL),
                         count > JWKS_KEYS_MAX ? -ERROR_INVALID_ARGUMENT : 0);
        jwks_free(set);
    }
}

static void a_kid_as_long_as_is_taken(void **state)
{
    char kid[JWKS_KID_BYTES + 1];

    (void)state;
    for (size_t len = JWKS_KID_BYTES - 1; len <= JWKS_KID_BYTES; len++) {
        BUFFER_AUTO(text, 4096);
        struct jwks *set = NULL;

        memset(kid, 'k', len);
        kid[len] = '\0';
        buffer_printf(&text, "{\"keys\":[{\"kid\":\"%s\"," EC "}]}", kid);
        assert_int_equal(parse(buffer_string(&text), &set, NULL),
                         len < JWKS_KID_BYTES ? 0 : -ERROR_INVALID_ARGUMENT);
        jwks_free(set);
    }
}

static void a_file_is_guarded_and_bounded(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "keys.json");
    static const char text[] = "{\"keys\":[{\"kid\":\"a\"," EC "}]}";
    BUFFER_AUTO(long_text, JWKS_FILE_MAX_BYTES + 1);
    struct jwks *set = NULL;

    (void)state;
    assert_int_equal(jwks_load(path, &set, NULL), -ERROR_NOT_FOUND);
    buffer_append_string(&long_text, text);
    while (long_text.len_bytes < JWKS_FILE_MAX_BYTES) {
        buffer_append_byte(&long_text, ' ');
    }
    folder_write(path, long_text.data, long_text.len_bytes);
    assert_int_equal(jwks_load(path, &set, NULL), 0);
    jwks_free(set);
    set = NULL;
    buffer_append_byte(&long_text, ' ');
    folder_write(path, long_text.data, long_text.len_bytes);
    assert_int_equal(jwks_load(path, &set, NULL), -ERROR_RESOURCE_EXHAUSTED);
    folder_write(path, text, strlen(text));
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(jwks_load(path, &set, NULL), -ERROR_FAILED_PRECONDITION);
    assert_null(set);
}

static int set_up(void **state)
{
    (void)state;
    minter_init(&minter);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    minter_done(&minter);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_all_kinds_are_found_by_their_kid),
        cmocka_unit_test(keys_for_something_else_are_left_out),
        cmocka_unit_test(secrets_are_refused),
        cmocka_unit_test(malformed_keys_are_refused),
        cmocka_unit_test(rsa_keys_have_their_bounds),
        cmocka_unit_test(exponents_are_odd_and_usual),
        cmocka_unit_test(what_is_no_set_is_refused),
        cmocka_unit_test(as_many_keys_as_are_taken),
        cmocka_unit_test(a_kid_as_long_as_is_taken),
        cmocka_unit_test(a_file_is_guarded_and_bounded),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
