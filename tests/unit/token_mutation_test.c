/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The files that tokens are judged by, changed at random: nothing crashes; a file is refused, or a token is
 * good for what a line of it says, and one that the file never knew is good for nothing.
 * MUTATION_SEED=n begins with another seed.
 */
#include <stdio.h>

#include "auth/jwt.h"
#include "auth/opaque.h"
#include "common/text.h"
#include "tests/lib/minter.h"
#include "tests/lib/mutate.h"
#include "tests/lib/unit.h"

enum { OPAQUE_CASES = 20000, JWKS_CASES = 3000, TOKENS = 3 };

#define NOW INT64_C(1800000000)

/* --- opaque tokens ---------------------------------------------------------------------------- */

static struct {
    char token[TOKENS][OPAQUE_TOKEN_BYTES], foreign[OPAQUE_TOKEN_BYTES];
    struct buffer text;
} opaque;

static void make_opaque(void)
{
    static const char *const groups[TOKENS] = { "", "ops", "dev,ops" };
    BUFFER_AUTO(nowhere, 4096);

    buffer_init(&opaque.text, MUTATE_MAX_BYTES);
    buffer_append_string(&opaque.text, "# NAME ID SALT HASH EXPIRES GROUPS\n");
    for (size_t i = 0; i < TOKENS; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "name-%zu", i);
        assert_int_equal(
            opaque_make(name, groups[i], NOW + 1000, opaque.token[i], &opaque.text, NULL), 0);
    }
    assert_int_equal(opaque_make("x", "", NOW + 1000, opaque.foreign, &nowhere, NULL), 0);
}

/* A line of the text has the id of the token, and says just this of who bears it. */
static bool is_said(const char *text, const char *token, const struct token *t)
{
    while (*text != '\0') {
        char line[1024], words[6][1024], date[OPAQUE_DATE_BYTES], groups[IDENTITY_GROUPS_BYTES];
        size_t len = strcspn(text, "\n"), used = 0;

        (void)snprintf(line, sizeof(line), "%.*s", (int)len, text);
        text += len + (text[len] == '\n');
        if (sscanf(line, " %s %s %s %s %s %s", words[0], words[1], words[2], words[3], words[4],
                   words[5]) != 6 ||
            strncmp(words[1], token + strlen(OPAQUE_PREFIX), OPAQUE_ID_BYTES - 1) != 0) {
            continue;
        }
        groups[0] = '\0';
        for (const char *g = t->who.groups; *g != '\0'; g += strlen(g) + 1) {
            used += (size_t)snprintf(groups + used, sizeof(groups) - used, "%s%s",
                                     used > 0 ? "," : "", g);
        }
        return strncmp(t->who.text, "token:", 6) == 0 && strcmp(t->who.text + 6, words[0]) == 0 &&
               strcmp(words[5], used > 0 ? groups : "-") == 0 &&
               opaque_date(t->who.not_after_s + 1, date) && strcmp(date, words[4]) == 0;
    }
    return false;
}

static void a_changed_file_of_tokens_is_refused_or_means_what_it_says(void **state)
{
    static uint8_t text[MUTATE_MAX_BYTES + 1];
    unsigned taken = 0, good = 0;

    (void)state;
    for (unsigned i = 0; i < OPAQUE_CASES; i++) {
        unsigned long long began = mutate_seed;
        struct opaque_set *set = NULL;
        struct token t;

        memcpy(text, opaque.text.data, opaque.text.len_bytes);
        size_t len = mutate(text, opaque.text.len_bytes);

        text[len] = '\0';
        if (opaque_parse("tokens", (const char *)text, len, &set, NULL) != 0) {
            continue;
        }
        taken++;
        for (size_t n = 0; n < TOKENS; n++) {
            if (opaque_verify(set, opaque.token[n], strlen(opaque.token[n]), NOW, &t, NULL) != 0) {
                continue;
            }
            good++;
            if (!is_said((const char *)text, opaque.token[n], &t)) {
                fail_msg("seed %llu: %s is said nowhere: %s", began, t.who.text,
                         (const char *)text);
            }
        }
        if (opaque_verify(set, opaque.foreign, strlen(opaque.foreign), NOW, &t, NULL) == 0) {
            fail_msg("seed %llu: a token that was never there is good", began);
        }
        opaque_free(set);
    }
    print_message("%u of %d were taken, %u tokens good\n", taken, OPAQUE_CASES, good);
    assert_in_range(taken, OPAQUE_CASES / 20, OPAQUE_CASES / 2);
    assert_true(good > taken / 2 && good < taken * TOKENS);
}

/* --- keys of issuers -------------------------------------------------------------------------- */

#define CLAIMS "{\"iss\":\"https://corp\",\"aud\":\"xenresd\",\"sub\":\"alice\",\"exp\":1800000100}"

static const struct {
    enum jose_algorithm algorithm;
    const char *header;
} kinds[] = {
    { JOSE_ES256, "{\"alg\":\"ES256\",\"kid\":\"ES256\"}" },
    { JOSE_RS256, "{\"alg\":\"RS256\",\"kid\":\"RSA\"}" },
    { JOSE_EDDSA, "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\"}" },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Keys that are in the file, and keys of the same names that never were. */
static struct minter minter, impostor;

static bool is_good(struct jwks *keys, const char *token, size_t len)
{
    struct jwt_issuer issuer = {
        .name = "corp",
        .issuer = "https://corp",
        .audience = "xenresd",
        .groups_claim = "groups",
        .keys = keys,
    };
    struct token t;

    return jwt_verify(&issuer, 1, token, len, NOW, &t, NULL) == 0;
}

static void a_changed_set_of_keys_makes_nobody_else_s_token_good(void **state)
{
    static uint8_t text[MUTATE_MAX_BYTES + 1];
    BUFFER_AUTO(original, MUTATE_MAX_BYTES - 64);
    struct buffer genuine[KINDS], forged[KINDS];
    unsigned taken = 0, good = 0;

    (void)state;
    minter_jwks(&minter, &original);
    for (size_t k = 0; k < KINDS; k++) {
        buffer_init(&genuine[k], 8192);
        buffer_init(&forged[k], 8192);
        minter_mint(&minter, kinds[k].algorithm, kinds[k].header, CLAIMS, &genuine[k]);
        minter_mint(&impostor, kinds[k].algorithm, kinds[k].header, CLAIMS, &forged[k]);
    }
    for (unsigned i = 0; i < JWKS_CASES; i++) {
        unsigned long long began = mutate_seed;
        struct jwks *keys = NULL;

        memcpy(text, original.data, original.len_bytes);
        size_t len = i > 0 ? mutate(text, original.len_bytes) : original.len_bytes;

        if (jwks_parse("keys", text, len, &keys, NULL) != 0) {
            continue;
        }
        taken++;
        for (size_t k = 0; k < KINDS; k++) {
            good += is_good(keys, (const char *)genuine[k].data, genuine[k].len_bytes);
            if (is_good(keys, (const char *)forged[k].data, forged[k].len_bytes)) {
                fail_msg("seed %llu: %s of a key that was never there is good", began,
                         jose_algorithm_name(kinds[k].algorithm));
            }
        }
        assert_true(i > 0 || good == KINDS);
        jwks_free(keys);
    }
    print_message("%u of %d were taken, %u tokens good\n", taken, JWKS_CASES, good);
    assert_in_range(taken, JWKS_CASES / 50, JWKS_CASES / 2);
    assert_true(good > taken && good < taken * KINDS);
    for (size_t k = 0; k < KINDS; k++) {
        buffer_done(&genuine[k]);
        buffer_done(&forged[k]);
    }
}

static int set_up(void **state)
{
    (void)state;
    mutate_begin();
    make_opaque();
    minter_init(&minter);
    minter_init(&impostor);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_done(&opaque.text);
    minter_done(&minter);
    minter_done(&impostor);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_file_of_tokens_is_refused_or_means_what_it_says),
        cmocka_unit_test(a_changed_set_of_keys_makes_nobody_else_s_token_good),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
