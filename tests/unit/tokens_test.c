/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/tokens.h"

#include "auth/opaque_file.h"
#include "auth/token_memory.h"
#include "tests/lib/folder.h"
#include "tests/lib/minter.h"
#include "tests/lib/unit.h"

#define NOW    MINTER_NOW_S
#define HEADER "{\"alg\":\"ES256\",\"kid\":\"ES256\"}"
#define CLAIMS                                                                                     \
    "{\"iss\":\"https://"                                                                          \
    "issuer.example\",\"aud\":\"xenresd\",\"sub\":\"alice\",\"exp\":2000000100}"

static struct minter minter;

static void write_keys(const char *path)
{
    BUFFER_AUTO(text, 8192);

    minter_jwks(&minter, &text);
    folder_write(path, text.data, text.len_bytes);
}

static struct tokens_issuer issuer_of(const char *name, const char *iss, const char *path)
{
    return (struct tokens_issuer){
        .name = name, .issuer = iss, .audience = "xenresd", .groups_claim = "groups", .jwks = path
    };
}

static int load(const struct tokens_issuer *issuers, size_t count, const char *file,
                struct tokens **out, struct failure *f)
{
    struct tokens_source source = { .issuer_count = count, .file = file };

    for (size_t i = 0; i < count; i++) {
        source.issuers[i] = issuers[i];
    }
    return tokens_load(&source, out, f);
}

/* --- loading ---------------------------------------------------------------------------------- */

static void both_kinds_are_verified(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *keys = folder_path(&dir, "keys"), *file = folder_path(&dir, "tokens");
    const struct tokens_issuer issuer = issuer_of("corp", "https://issuer.example", keys);
    char opaque[OPAQUE_TOKEN_BYTES];
    BUFFER_AUTO(token, 4096);
    struct tokens *t = NULL;
    struct token out = { 0 };

    (void)state;
    write_keys(keys);
    assert_int_equal(opaque_file_add(file, "backup", "", NOW + 10, opaque, NULL), 0);
    assert_int_equal(load(&issuer, 1, file, &t, NULL), 0);
    assert_true(tokens_are_accepted(t));
    minter_mint(&minter, JOSE_ES256, HEADER, CLAIMS, &token);
    for (int i = 0; i < 3; i++) { /* remembered after the first time */
        memset(&out, 0, sizeof(out));
        assert_int_equal(
            tokens_verify(t, (char *)token.data, token.len_bytes, NULL, NOW, &out, NULL), 0);
        assert_string_equal(out.who.text, "jwt:corp:alice");
        assert_int_equal(out.who.not_after_s, 2000000099);
    }
    assert_int_equal(
        tokens_verify(t, (char *)token.data, token.len_bytes, NULL, NOW + 100, &out, NULL),
        -ERROR_UNAUTHENTICATED);
    assert_int_equal(tokens_verify(t, opaque, strlen(opaque), NULL, NOW, &out, NULL), 0);
    assert_string_equal(out.who.text, "token:backup");
    tokens_free(t);
}

/* Remembering takes the place of the signature only. */
static void a_remembered_token_is_bound_all_the_same(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *keys = folder_path(&dir, "keys");
    const struct tokens_issuer issuer = issuer_of("corp", "https://issuer.example", keys);
    const struct identity right = { .fingerprint = { [31] = 1 }, .not_after_s = NOW + 5 };
    const struct identity wrong = { .fingerprint = { [31] = 2 }, .not_after_s = NOW + 5 };
    BUFFER_AUTO(token, 4096);
    struct tokens *t = NULL;
    struct token out = { 0 };

    (void)state;
    write_keys(keys);
    assert_int_equal(load(&issuer, 1, NULL, &t, NULL), 0);
    minter_mint(&minter, JOSE_ES256, HEADER,
                "{\"iss\":\"https://issuer.example\",\"aud\":\"xenresd\",\"sub\":\"alice\","
                "\"exp\":2000000100,\"cnf\":{\"x5t#S256\":"
                "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}}",
                &token);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            tokens_verify(t, (char *)token.data, token.len_bytes, &right, NOW, &out, NULL), 0);
        assert_true(out.who.is_bound);
        assert_int_equal(out.who.not_after_s, NOW + 5);
        assert_int_equal(
            tokens_verify(t, (char *)token.data, token.len_bytes, &wrong, NOW, &out, NULL),
            -ERROR_UNAUTHENTICATED);
        assert_int_equal(
            tokens_verify(t, (char *)token.data, token.len_bytes, NULL, NOW, &out, NULL),
            -ERROR_UNAUTHENTICATED);
    }
    tokens_free(t);
}

/* What was verified by the files of before: is it known by those of now? */
static void withdrawn_keys_and_lines_are_noticed(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *keys = folder_path(&dir, "keys"), *file = folder_path(&dir, "tokens");
    const struct tokens_issuer issuer = issuer_of("corp", "https://issuer.example", keys);
    const struct tokens_issuer longer = issuer_of("corp-2", "https://issuer.example", keys);
    char opaque[OPAQUE_TOKEN_BYTES], id[OPAQUE_ID_BYTES];
    BUFFER_AUTO(token, 4096);
    BUFFER_AUTO(other, 8192);
    struct token jwt = { 0 }, line = { 0 };
    struct minter another = minter;
    struct tokens *t = NULL;

    (void)state;
    write_keys(keys);
    assert_int_equal(opaque_file_add(file, "backup", "", NOW + 10, opaque, NULL), 0);
    assert_int_equal(load(&issuer, 1, file, &t, NULL), 0);
    minter_mint(&minter, JOSE_ES256, HEADER, CLAIMS, &token);
    assert_int_equal(tokens_verify(t, (char *)token.data, token.len_bytes, NULL, NOW, &jwt, NULL),
                     0);
    assert_int_equal(tokens_verify(t, opaque, strlen(opaque), NULL, NOW, &line, NULL), 0);
    assert_int_equal(tokens_still(t, &jwt, NULL), 0);
    assert_int_equal(tokens_still(t, &line, NULL), 0);
    tokens_free(t);
    assert_int_equal(load(&longer, 1, NULL, &t, NULL), 0); /* another issuer, and no file */
    assert_int_equal(tokens_still(t, &jwt, NULL), -ERROR_UNAUTHENTICATED);
    assert_int_equal(tokens_still(t, &line, NULL), -ERROR_UNAUTHENTICATED);
    tokens_free(t);
    /* The same kid, and another key. */
    another.keys[JOSE_ES256] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    minter_jwks(&another, &other);
    folder_write(keys, other.data, other.len_bytes);
    EVP_PKEY_free(another.keys[JOSE_ES256]);
    memcpy(id, opaque + 3, 16);
    id[16] = '\0';
    assert_int_equal(opaque_file_remove(file, id, NULL), 0);
    assert_int_equal(load(&issuer, 1, file, &t, NULL), 0);
    assert_int_equal(tokens_still(t, &jwt, NULL), -ERROR_UNAUTHENTICATED);
    assert_int_equal(tokens_still(t, &line, NULL), -ERROR_UNAUTHENTICATED);
    tokens_free(t);
}

static int claim_groups(struct tokens *t, const char *groups, struct token *out, struct failure *f)
{
    BUFFER_AUTO(claims, 1024);
    BUFFER_AUTO(token, 4096);

    buffer_printf(&claims,
                  "{\"iss\":\"https://issuer.example\",\"aud\":\"xenresd\",\"sub\":\"alice\","
                  "\"exp\":2000000100,\"groups\":%s}",
                  groups);
    minter_mint(&minter, JOSE_ES256, HEADER, buffer_string(&claims), &token);
    return tokens_verify(t, (char *)token.data, token.len_bytes, NULL, NOW, out, f);
}

/* A group of another's is refused with the whole token; and so is, when the files change, what was
 * accepted by those of before. */
static void groups_are_their_issuer_s_to_give(void **state)
{
    static const struct {
        const char *patterns, *groups;
        bool accepted;
    } rows[] = {
        { NULL, "[\"ops\",\"anything\"]", true },
        { "corp-*\0auditors\0", "[\"corp-ops\",\"auditors\"]", true },
        { "corp-*\0auditors\0", "\"corp-\"", true },
        { "corp-*\0auditors\0", "[]", true },
        { "corp-*\0auditors\0", "[\"corp-ops\",\"ops\"]", false },
        { "corp-*\0auditors\0", "\"auditors2\"", false },
        { "corp-*\0auditors\0", "\"Corp-ops\"", false },
        { "", "[]", true },
        { "", "\"corp-ops\"", false },
    };
    FOLDER_AUTO dir = folder_make();
    const char *keys = folder_path(&dir, "keys");
    struct tokens_issuer issuer = issuer_of("corp", "https://issuer.example", keys);

    (void)state;
    write_keys(keys);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tokens *any = NULL, *bound = NULL;
        struct token out = { 0 }, ignored;
        struct failure f = { 0 };

        issuer.groups = NULL;
        assert_int_equal(load(&issuer, 1, NULL, &any, NULL), 0);
        issuer.groups = rows[i].patterns;
        assert_int_equal(load(&issuer, 1, NULL, &bound, NULL), 0);
        assert_int_equal(claim_groups(any, rows[i].groups, &out, NULL), 0);
        int expected = rows[i].accepted ? 0 : -ERROR_UNAUTHENTICATED;

        assert_int_equal(claim_groups(bound, rows[i].groups, &ignored, &f), expected);
        assert_int_equal(tokens_still(bound, &out, NULL), expected);
        if (expected != 0) {
            assert_string_equal(f.message, token_fault_text(TOKEN_GROUP));
            assert_non_null(strstr(f.cause, "issuer corp may not give group"));
        }
        tokens_free(any);
        tokens_free(bound);
    }
}

static void nothing_configured_accepts_nothing(void **state)
{
    static const char opaque[] = "xr_0011223344556677_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    BUFFER_AUTO(token, 4096);
    struct tokens *t = NULL;
    struct token out;

    (void)state;
    assert_int_equal(load(NULL, 0, "", &t, NULL), 0);
    assert_false(tokens_are_accepted(t));
    minter_mint(&minter, JOSE_ES256, HEADER, CLAIMS, &token);
    assert_int_equal(tokens_verify(t, (char *)token.data, token.len_bytes, NULL, NOW, &out, NULL),
                     -ERROR_UNAUTHENTICATED);
    assert_int_equal(tokens_verify(t, opaque, strlen(opaque), NULL, NOW, &out, NULL),
                     -ERROR_UNAUTHENTICATED);
    tokens_free(t);
}

static void issuers_that_cannot_be(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *keys = folder_path(&dir, "keys");
    const struct tokens_issuer good = issuer_of("corp", "https://issuer.example", keys);
    struct tokens_issuer pairs[][2] = {
        { good, good }, /* the same name */
        { good, good }, /* the same iss: which audience would hold? */
        { good, good }, { good, good }, { good, good }, { good, good },
    };
    char long_text[JWT_TEXT_BYTES + 1];

    (void)state;
    write_keys(keys);
    memset(long_text, 'x', JWT_TEXT_BYTES);
    long_text[JWT_TEXT_BYTES] = '\0';
    for (size_t i = 1; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        pairs[i][1].name = "second";
        pairs[i][1].issuer = i == 1 ? good.issuer : "urn:second";
    }
    pairs[2][1].name = "a:b";
    pairs[3][1].audience = "";
    pairs[4][1].jwks = folder_path(&dir, "none");
    pairs[5][1].issuer = long_text;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct tokens *t = NULL;

        assert_int_equal(load(pairs[i], 2, NULL, &t, NULL),
                         i == 4 ? -ERROR_NOT_FOUND : -ERROR_INVALID_ARGUMENT);
        assert_null(t);
    }
}

static void as_many_issuers_as_are_taken(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *keys = folder_path(&dir, "keys");
    struct tokens_issuer issuers[TOKENS_ISSUERS_MAX];
    char names[TOKENS_ISSUERS_MAX][8];
    struct tokens *t = NULL;

    (void)state;
    write_keys(keys);
    for (size_t i = 0; i < TOKENS_ISSUERS_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "i%zu", i);
        issuers[i] = issuer_of(names[i], names[i], keys);
    }
    assert_int_equal(load(issuers, TOKENS_ISSUERS_MAX, NULL, &t, NULL), 0);
    tokens_free(t);
}

/* --- the memory ------------------------------------------------------------------------------- */

static void a_memory_forgets_what_expired(void **state)
{
    struct token_memory *m = token_memory_new();
    const uint8_t digest[TOKEN_DIGEST_BYTES] = { 1 }, other[TOKEN_DIGEST_BYTES] = { 1, 1 };
    const struct token kept = { .who = { .text = "jwt:a:b", .not_after_s = 100 } };
    struct token found = { 0 };

    (void)state;
    assert_non_null(m);
    assert_false(token_memory_find(m, digest, 50, &found));
    token_memory_keep(m, digest, 50, &kept);
    token_memory_keep(m, digest, 50, &kept); /* twice is once */
    assert_true(token_memory_find(m, digest, 100, &found));
    assert_string_equal(found.who.text, "jwt:a:b");
    assert_false(token_memory_find(m, other, 100, &found));
    assert_false(token_memory_find(m, digest, 101, &found));
    assert_false(token_memory_find(m, digest, 100, &found)); /* it is gone */
    token_memory_free(m);
}

static void a_full_memory_forgets_who_was_not_seen_the_longest(void **state)
{
    struct token_memory *m = token_memory_new();
    uint8_t digests[TOKEN_MEMORY_WAYS + 2][TOKEN_DIGEST_BYTES] = { { 0 } };
    struct token kept = { .who = { .not_after_s = 100 } }, found;

    (void)state;
    for (size_t i = 0; i < TOKEN_MEMORY_WAYS + 2; i++) {
        digests[i][0] = 7; /* all in one bucket */
        digests[i][31] = (uint8_t)i;
    }
    for (size_t i = 0; i < TOKEN_MEMORY_WAYS; i++) {
        token_memory_keep(m, digests[i], 50, &kept);
    }
    assert_true(token_memory_find(m, digests[0], 50, &found)); /* so 1 is the oldest */
    token_memory_keep(m, digests[TOKEN_MEMORY_WAYS], 50, &kept);
    for (size_t i = 0; i <= TOKEN_MEMORY_WAYS; i++) {
        assert_int_equal(token_memory_find(m, digests[i], 50, &found), i != 1);
    }
    kept.who.not_after_s = 55; /* one that expires goes before the oldest */
    token_memory_keep(m, digests[3], 50, &kept);
    kept.who.not_after_s = 100;
    token_memory_keep(m, digests[TOKEN_MEMORY_WAYS + 1], 60, &kept);
    for (size_t i = 0; i <= TOKEN_MEMORY_WAYS + 1; i++) {
        assert_int_equal(token_memory_find(m, digests[i], 60, &found), i != 1 && i != 3);
    }
    token_memory_free(m);
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
        cmocka_unit_test(both_kinds_are_verified),
        cmocka_unit_test(a_remembered_token_is_bound_all_the_same),
        cmocka_unit_test(withdrawn_keys_and_lines_are_noticed),
        cmocka_unit_test(groups_are_their_issuer_s_to_give),
        cmocka_unit_test(nothing_configured_accepts_nothing),
        cmocka_unit_test(issuers_that_cannot_be),
        cmocka_unit_test(as_many_issuers_as_are_taken),
        cmocka_unit_test(a_memory_forgets_what_expired),
        cmocka_unit_test(a_full_memory_forgets_who_was_not_seen_the_longest),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
