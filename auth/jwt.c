/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/jwt.h"

#include <string.h>
#include <strings.h>

#include "auth/jwt_claims.h"

/* The three parts, as they were sent. */
struct parts {
    const char *header, *claims, *signature;
    size_t header_len, claims_len, signature_len;
};

static int split(const char *token, size_t len, struct parts *out, struct failure *f)
{
    const char *end = token + len;
    const char *first = memchr(token, '.', len);
    const char *second = first != NULL ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;

    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL) {
        return token_refuse(f, TOKEN_MALFORMED, "it has not three parts with dots between");
    }
    *out = (struct parts){
        .header = token,
        .header_len = (size_t)(first - token),
        .claims = first + 1,
        .claims_len = (size_t)(second - first - 1),
        .signature = second + 1,
        .signature_len = (size_t)(end - second - 1),
    };
    return 0;
}

/* A part that is a JSON object; the caller's to give back. NULL with `f`. */
static json_t *read_object(const char *part, const char *text, size_t len, struct failure *f)
{
    BUFFER_AUTO(bytes, JWT_MAX_BYTES);
    const char *why = NULL;
    json_t *object = NULL;

    if (len == 0 || !jose_decode(&bytes, text, len)) {
        token_refuse(f, TOKEN_MALFORMED, "its %s is not base64url", part);
    } else {
        object = jose_object(bytes.data, bytes.len_bytes, &why);
        if (object == NULL) {
            token_refuse(f, TOKEN_MALFORMED, "its %s cannot be read: %s", part, why);
        }
    }
    return object;
}

/* --- the header ------------------------------------------------------------------------------- */

/*
 * Members that change what a token means cannot be ignored: `crit` and `b64` (RFC 7797), `cty` of a
 * token within a token. Keys that it brings itself, or the address of some, are of whoever made it:
 * those of it that are objects or lists are refused, the others not looked at.
 */
static int check_members(json_t *header, struct failure *f)
{
    static const char *const never[] = { "crit", "b64", "cty", "enc", "zip" };

    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (json_object_get(header, never[i]) != NULL) {
            return token_refuse(f, TOKEN_MALFORMED, "its header has \"%s\"", never[i]);
        }
    }
    for (void *at = json_object_iter(header); at != NULL; at = json_object_iter_next(header, at)) {
        const json_t *value = json_object_iter_value(at);

        if (json_is_object(value) || json_is_array(value)) {
            return token_refuse(f, TOKEN_MALFORMED, "its header's \"%.40s\" is an object or a list",
                                json_object_iter_key(at));
        }
    }
    return 0;
}

static int check_type(const json_t *header, struct failure *f)
{
    static const char *const types[] = { "JWT", "at+jwt", "application/at+jwt", "application/jwt" };
    const json_t *typ = json_object_get(header, "typ");

    if (typ == NULL) {
        return 0;
    }
    for (size_t i = 0; json_is_string(typ) && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcasecmp(json_string_value(typ), types[i]) == 0) {
            return 0;
        }
    }
    /* A logout token, say, has the same signature and issuer as one for access (RFC 8725, 3.11). */
    return token_refuse(f, TOKEN_MALFORMED, "its typ is neither JWT nor at+jwt");
}

static int read_header(json_t *header, enum jose_algorithm *algorithm, const char **kid,
                       struct failure *f)
{
    const char *alg = jose_string(header, "alg");
    int result = check_members(header, f);

    if (result == 0) {
        result = check_type(header, f);
    }
    if (result != 0) {
        return result;
    }
    if (alg == NULL || !jose_algorithm_find(alg, algorithm)) {
        return token_refuse(f, TOKEN_ALGORITHM,
                            "its alg is \"%.20s\"; accepted are ES256, RS256, "
                            "PS256 and EdDSA",
                            alg != NULL ? alg : "");
    }
    *kid = jose_string(header, "kid");
    return *kid != NULL ? 0 : token_refuse(f, TOKEN_UNKNOWN, "its header names no key (kid)");
}

/* --- the signature ---------------------------------------------------------------------------- */

static const struct jwt_issuer *find_issuer(const struct jwt_issuer *issuers, size_t count,
                                            const json_t *claims)
{
    const char *iss = jose_string(claims, "iss");

    for (size_t i = 0; iss != NULL && i < count; i++) {
        if (strcmp(issuers[i].issuer, iss) == 0) {
            return &issuers[i];
        }
    }
    return NULL;
}

/* What the key is for decides, never the header: or a public RSA key would be the secret of an HMAC,
 * and PS256's key one for the weaker padding (RFC 8725, 3.1). */
static int check_signature(const struct jwt_issuer *issuer, enum jose_algorithm algorithm,
                           const char *kid, const struct parts *p,
                           uint8_t digest[JWKS_DIGEST_BYTES], struct failure *f)
{
    BUFFER_AUTO(signature, JWT_MAX_BYTES);
    const struct jwks_key *key = jwks_find(issuer->keys, kid);

    if (key == NULL) {
        return token_refuse(f, TOKEN_UNKNOWN, "issuer %s has no key \"%.100s\"", issuer->name, kid);
    }
    if ((key->algorithms & 1U << algorithm) == 0) {
        return token_refuse(f, TOKEN_ALGORITHM, "key \"%.100s\" of issuer %s is not for %s", kid,
                            issuer->name, jose_algorithm_name(algorithm));
    }
    if (p->signature_len == 0 || !jose_decode(&signature, p->signature, p->signature_len)) {
        return token_refuse(f, TOKEN_MALFORMED, "its signature is not base64url");
    }
    /* Header and claims stand together, with the dot between. */
    if (!jose_verify(algorithm, key->key, p->header, p->header_len + 1 + p->claims_len,
                     signature.data, signature.len_bytes)) {
        return token_refuse(f, TOKEN_SIGNATURE,
                            "its signature is not by key \"%.100s\" of issuer %s", kid,
                            issuer->name);
    }
    memcpy(digest, key->digest, JWKS_DIGEST_BYTES);
    return 0;
}

int jwt_verify(const struct jwt_issuer *issuers, size_t issuer_count, const char *token, size_t len,
               int64_t now_s, struct token *out, struct failure *f)
{
    struct parts p = { .header = token };
    enum jose_algorithm algorithm = JOSE_ES256;
    const char *kid = NULL;

    if (len > JWT_MAX_BYTES) {
        return token_refuse(f, TOKEN_MALFORMED, "it has %zu bytes, of %d at most", len,
                            JWT_MAX_BYTES);
    }
    int result = split(token, len, &p, f);

    if (result != 0) {
        return result;
    }
    JOSE_AUTO *header = read_object("header", p.header, p.header_len, f);

    if (header == NULL || read_header(header, &algorithm, &kid, f) != 0) {
        return -ERROR_UNAUTHENTICATED;
    }
    JOSE_AUTO *claims = read_object("claims", p.claims, p.claims_len, f);

    if (claims == NULL) {
        return -ERROR_UNAUTHENTICATED;
    }
    const struct jwt_issuer *issuer = find_issuer(issuers, issuer_count, claims);

    if (issuer == NULL) {
        return token_refuse(f, TOKEN_UNKNOWN, "its iss is none of the issuers in xenresd.conf");
    }
    uint8_t key[JWKS_DIGEST_BYTES];

    result = check_signature(issuer, algorithm, kid, &p, key, f);
    if (result == 0) {
        result = jwt_claims_read(claims, issuer, now_s, out, f);
    }
    if (result == 0) {
        memcpy(out->key, key, sizeof(out->key));
    }
    return result;
}
