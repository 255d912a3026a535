/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any bytes as a bearer token, as the claims of one whose signature was good, as a set of keys, and as a
 * file of opaque tokens: each is refused, or says what may be said, and nothing that is let in is without
 * an end, a name, and bounds. The corpus has tokens that are good: the private halves of these keys exist
 * no longer.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity_pattern.h"
#include "auth/jwt_claims.h"
#include "auth/opaque.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char keys[] =
    "{\"keys\":[{\"kid\":\"ES256\",\"use\":\"sig\",\"alg\":\"ES256\",\"kty\":\"EC\",\"crv\":\"P-"
    "256\",\"x\""
    ":\"WVJ_w27orQEG5jF_3NoH80pNJbkNKrBvzaZ0uABAro0\",\"y\":\"YcCTQS5XvlLg6-m4Bh33U3nYiE"
    "YN4IpyC4b0XbBoS6U\"},{\"kid\":\"RSA\",\"kty\":\"RSA\",\"n\":\"_U2zSuGCBV_mOGKFi7atQCDK_wo_"
    "ZypTIX5ROQlTGWylf1xqudwUImhpf9xd786Rcjy1M1s8CHO8BpdKqiEAh8TRFeAENqFCbeP9Eu1yIG"
    "lqv9V_nQYqWDoVxYdlnQf03AQS7vN7DEEuzsvjziedKCE85ZLVlfnbY-6tj07IXlnnEkmltIyx7KvE"
    "dKP3cIbMndC6WkOcc-GcBhwm5u9LXmj_RkApOzWSIy-XbCtm0BFRVSk9b9f4qsqorVpTcAlrWv1M7W"
    "WgkOBjrYlfJ6E7UgS6iDeFHOFqzJwnP4RO4njIy3AxJB5R1OTTBJ4hDZSR0YkGhyDAHaH9wg4uiDA_"
    "gw\",\"e\":\"AQAB\"},{\"kid\":\"PS256\",\"alg\":\"PS256\",\"key_ops\":[\"verify\"],\"kty\":"
    "\"RSA\","
    "\"n\":\"_U2zSuGCBV_mOGKFi7atQCDK_wo_ZypTIX5ROQlTGWylf1xqudwUImhpf9xd786Rcjy1M1s8C"
    "HO8BpdKqiEAh8TRFeAENqFCbeP9Eu1yIGlqv9V_nQYqWDoVxYdlnQf03AQS7vN7DEEuzsvjziedKCE"
    "85ZLVlfnbY-6tj07IXlnnEkmltIyx7KvEdKP3cIbMndC6WkOcc-GcBhwm5u9LXmj_RkApOzWSIy-Xb"
    "Ctm0BFRVSk9b9f4qsqorVpTcAlrWv1M7WWgkOBjrYlfJ6E7UgS6iDeFHOFqzJwnP4RO4njIy3AxJB5"
    "R1OTTBJ4hDZSR0YkGhyDAHaH9wg4uiDA_gw\",\"e\":\"AQAB\"},{\"kid\":\"EdDSA\",\"alg\":\"EdDSA\","
    "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"-z2bAxEdKCIsXg8jwbp52sEtH0CX8_Jn4ieKWhpkSU4\"}"
    "]}";

static const int64_t now_s = 2000000000;

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_token(const struct token *t, const char *prefix)
{
    const struct identity *who = &t->who;
    size_t len = strnlen(who->text, sizeof(who->text));

    check(len < sizeof(who->text) && len > strlen(prefix) &&
          strncmp(who->text, prefix, strlen(prefix)) == 0);
    for (size_t i = 0; i < len; i++) {
        check(who->text[i] > ' ' && who->text[i] <= '~');
    }
    check(identity_exact_fault(who->text) == NULL); /* it can be denied */
    check(who->not_after_s >= now_s && !who->is_bound);
    check(strnlen(who->token_id, sizeof(who->token_id)) < sizeof(who->token_id));
    check(who->groups[sizeof(who->groups) - 1] == '\0');
    check(who->groups[sizeof(who->groups) - 2] == '\0');
}

static void as_token(const struct jwt_issuer *issuer, const char *text, size_t size)
{
    struct token out;
    struct failure f = { 0 };

    if (jwt_verify(issuer, 1, text, size, now_s, &out, &f) == 0) {
        check(size <= JWT_MAX_BYTES);
        check_token(&out, "jwt:corp:");
    } else {
        check(f.code == ERROR_UNAUTHENTICATED && f.cause[0] != '\0');
    }
}

static void as_claims(const struct jwt_issuer *issuer, const char *text, size_t size)
{
    const char *why;
    JOSE_AUTO *claims = jose_object(text, size, &why);
    struct token out;

    if (claims != NULL && jwt_claims_read(claims, issuer, now_s, &out, NULL) == 0) {
        check_token(&out, "jwt:corp:");
    }
}

static void as_keys(const char *text, size_t size)
{
    struct jwks *set = NULL;

    if (jwks_parse("fuzz", text, size, &set, NULL) == 0) {
        check(jwks_count(set) > 0 && jwks_count(set) <= JWKS_KEYS_MAX);
    }
    jwks_free(set);
}

static void as_lines(const char *text, size_t size)
{
    struct opaque_set *set = NULL;
    struct token out;

    if (opaque_parse("fuzz", text, size, &set, NULL) != 0) {
        return;
    }
    check(opaque_count(set) <= OPAQUE_TOKENS_MAX);
    if (opaque_verify(set, text, size, now_s, &out, NULL) == 0) {
        check_token(&out, "token:");
    }
    opaque_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct jwt_issuer issuer = { .name = "corp",
                                        .issuer = "https://issuer.example",
                                        .audience = "xenresd",
                                        .groups_claim = "groups" };
    const char *text = (const char *)data;

    if (issuer.keys == NULL) {
        check(jwks_parse("keys", keys, strlen(keys), &issuer.keys, NULL) == 0);
    }
    as_token(&issuer, text, size);
    as_claims(&issuer, text, size);
    as_keys(text, size);
    as_lines(text, size);
    return 0;
}
