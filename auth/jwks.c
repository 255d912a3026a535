/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/jwks.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "auth/certificate.h"
#include "auth/guarded_file.h"

enum {
    COORDINATE_BYTES = 32,
    ED25519_BYTES = 32,
    NUMBER_MAX_BYTES = JWKS_RSA_MAX_BITS / 8 + 1, /* some write a zero in front */
    EXPONENT_MIN = 65537,                         /* SP 800-56B, 6.2 */
    EXPONENT_MAX_BITS = 32,
};

struct jwks {
    size_t count;
    struct jwks_key keys[JWKS_KEYS_MAX];
};

/* Where the key that is read is, for faults. */
struct place {
    const char *name;
    unsigned number;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct failure *f, const struct place *at,
                                                        const char *format, ...)
{
    char what[FAILURE_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return failure_set(f, ERROR_INVALID_ARGUMENT, "key %u in %s %s", at->number, at->name, what);
}

/* --- keys of each kind ------------------------------------------------------------------------ */

/* Appends the bytes of a member. */
static bool read_bytes(const json_t *jwk, const char *name, struct buffer *out)
{
    const json_t *value = json_object_get(jwk, name);

    return json_is_string(value) &&
           jose_decode(out, json_string_value(value), json_string_length(value));
}

/* NULL: OpenSSL does not take it. Checks that a point is on its curve. */
static EVP_PKEY *make_key(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (ctx == NULL || params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    ctx = key != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
    if (ctx == NULL || EVP_PKEY_public_check(ctx) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static int read_ec(const json_t *jwk, const struct place *at, EVP_PKEY **out, struct failure *f)
{
    char group[] = "prime256v1"; /* OpenSSL's name of P-256 */
    BUFFER_AUTO(point, 1 + 2 * COORDINATE_BYTES);

    buffer_append_byte(&point, 4); /* not compressed: both coordinates follow (SEC 1, 2.3.3) */
    if (!read_bytes(jwk, "x", &point) || point.len_bytes != 1 + COORDINATE_BYTES ||
        !read_bytes(jwk, "y", &point) || point.len_bytes != 1 + 2 * COORDINATE_BYTES) {
        return refuse(f, at, "has not the two coordinates of a point on P-256");
    }
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len_bytes),
        OSSL_PARAM_construct_end(),
    };

    *out = make_key("EC", params);
    return *out != NULL ? 0 : certificate_cause(f, refuse(f, at, "is no point on P-256"));
}

static int read_okp(const json_t *jwk, const struct place *at, EVP_PKEY **out, struct failure *f)
{
    BUFFER_AUTO(x, ED25519_BYTES);

    if (!read_bytes(jwk, "x", &x) || x.len_bytes != ED25519_BYTES) {
        return refuse(f, at, "has not the %d bytes of an Ed25519 key", ED25519_BYTES);
    }
    *out = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.data, x.len_bytes);
    return *out != NULL ? 0 : certificate_cause(f, refuse(f, at, "is no Ed25519 key"));
}

static EVP_PKEY *make_rsa(const BIGNUM *n, const BIGNUM *e)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key;

    if (builder != NULL && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1) {
        params = OSSL_PARAM_BLD_to_param(builder);
    }
    key = make_key("RSA", params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static int check_rsa(const BIGNUM *n, const BIGNUM *e, const struct place *at, struct failure *f)
{
    int bits = BN_num_bits(n);

    if (bits < JWKS_RSA_MIN_BITS || bits > JWKS_RSA_MAX_BITS) {
        return refuse(f, at, "is an RSA key of %d bits; expected %d to %d", bits, JWKS_RSA_MIN_BITS,
                      JWKS_RSA_MAX_BITS);
    }
    if (BN_is_odd(e) != 1 || BN_num_bits(e) > EXPONENT_MAX_BITS || BN_get_word(e) < EXPONENT_MIN) {
        return refuse(f, at, "has an RSA exponent that is even, below %d, or of more than %d bits",
                      EXPONENT_MIN, EXPONENT_MAX_BITS);
    }
    return 0;
}

static int read_rsa(const json_t *jwk, const struct place *at, EVP_PKEY **out, struct failure *f)
{
    BUFFER_AUTO(modulus, NUMBER_MAX_BYTES);
    BUFFER_AUTO(exponent, NUMBER_MAX_BYTES);

    if (!read_bytes(jwk, "n", &modulus) || !read_bytes(jwk, "e", &exponent) ||
        modulus.len_bytes == 0 || exponent.len_bytes == 0) {
        return refuse(f, at, "has not the modulus and exponent of an RSA key of at most %d bits",
                      JWKS_RSA_MAX_BITS);
    }
    BIGNUM *n = BN_bin2bn(modulus.data, (int)modulus.len_bytes, NULL);
    BIGNUM *e = BN_bin2bn(exponent.data, (int)exponent.len_bytes, NULL);
    int result = n != NULL && e != NULL
                     ? check_rsa(n, e, at, f)
                     : failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %s", at->name);

    if (result == 0) {
        *out = make_rsa(n, e);
        result = *out != NULL ? 0 : certificate_cause(f, refuse(f, at, "is no RSA key"));
    }
    BN_free(n);
    BN_free(e);
    return result;
}

/* --- one key ---------------------------------------------------------------------------------- */

static const struct kind {
    const char *kty, *crv; /* NULL: none */
    unsigned algorithms;
    int (*read)(const json_t *jwk, const struct place *at, EVP_PKEY **out, struct failure *f);
} kinds[] = {
    { "EC", "P-256", 1U << JOSE_ES256, read_ec },
    { "RSA", NULL, 1U << JOSE_RS256 | 1U << JOSE_PS256, read_rsa },
    { "OKP", "Ed25519", 1U << JOSE_EDDSA, read_okp },
};

static const struct kind *find_kind(const json_t *jwk)
{
    const char *kty = jose_string(jwk, "kty");
    const char *crv = jose_string(jwk, "crv");

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].kty, kty) == 0 &&
            (kinds[i].crv == NULL || (crv != NULL && strcmp(kinds[i].crv, crv) == 0))) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* What is not for all to see. A private key in a file of public ones is one that others have. */
static int check_no_secret(const json_t *jwk, const struct place *at, struct failure *f)
{
    const char *kty = jose_string(jwk, "kty");

    if (kty == NULL) {
        return refuse(f, at, "has no kty");
    }
    if (strcmp(kty, "oct") == 0 || json_object_get(jwk, "k") != NULL) {
        int result = refuse(f, at, "is a shared secret (kty \"oct\")");

        return failure_next(f, result,
                            "have tokens signed with a private key, of which the public "
                            "one is put here");
    }
    if (json_object_get(jwk, "d") != NULL) {
        int result = refuse(f, at, "is a private key");

        return failure_next(f, result,
                            "replace that key: whoever read this file can sign with it; "
                            "put its public half here");
    }
    return 0;
}

/* Whether it may verify at all. -ERROR_…: its statements about that are malformed. */
static int check_use(const json_t *jwk, const struct place *at, bool *may, struct failure *f)
{
    const json_t *use = json_object_get(jwk, "use");
    const json_t *ops = json_object_get(jwk, "key_ops");

    *may = use == NULL;
    if (use != NULL) {
        if (!json_is_string(use)) {
            return refuse(f, at, "has a use that is no string");
        }
        *may = strcmp(json_string_value(use), "sig") == 0;
    }
    if (ops != NULL) {
        bool verifies = false;
        const json_t *op;
        size_t i;

        if (!json_is_array(ops)) {
            return refuse(f, at, "has key_ops that are no array");
        }
        json_array_foreach(ops, i, op)
        {
            verifies |= json_is_string(op) && strcmp(json_string_value(op), "verify") == 0;
        }
        *may = *may && verifies;
    }
    return 0;
}

/* The algorithms that it is for: none, where that is one that we have not. */
static int check_algorithm(const json_t *jwk, const struct kind *kind, const struct place *at,
                           unsigned *algorithms, struct failure *f)
{
    const json_t *alg = json_object_get(jwk, "alg");
    enum jose_algorithm a;

    *algorithms = kind->algorithms;
    if (alg == NULL) {
        return 0;
    }
    if (!json_is_string(alg)) {
        return refuse(f, at, "has an alg that is no string");
    }
    if (!jose_algorithm_find(json_string_value(alg), &a)) {
        *algorithms = 0;
        return 0;
    }
    *algorithms &= 1U << a;
    return *algorithms != 0 ? 0
                            : refuse(f, at, "is of kind %s, and no key for %s", kind->kty,
                                     jose_algorithm_name(a));
}

static int read_kid(const json_t *all, const json_t *jwk, const struct place *at,
                    struct jwks_key *out, struct failure *f)
{
    const char *kid = jose_string(jwk, "kid");

    if (kid == NULL || kid[0] == '\0' || strlen(kid) >= JWKS_KID_BYTES) {
        return refuse(f, at, "has no kid, or one of more than %d bytes", JWKS_KID_BYTES - 1);
    }
    for (size_t i = 0; i + 1 < at->number; i++) { /* also of those left out */
        const char *other = jose_string(json_array_get(all, i), "kid");

        if (other != NULL && strcmp(other, kid) == 0) {
            return refuse(f, at, "has the kid of key %zu", i + 1);
        }
    }
    memcpy(out->kid, kid, strlen(kid) + 1);
    return 0;
}

static bool digest_key(struct jwks_key *key)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key->key, &der);
    bool done = len > 0 && EVP_Digest(der, (size_t)len, key->digest, NULL, EVP_sha256(), NULL) == 1;

    OPENSSL_free(der);
    return done;
}

static int add_key(struct jwks *set, const json_t *all, const json_t *jwk, const struct place *at,
                   struct failure *f)
{
    struct jwks_key *key = &set->keys[set->count];
    const struct kind *kind = NULL;
    bool may = false;
    int result =
        json_is_object(jwk) ? check_no_secret(jwk, at, f) : refuse(f, at, "is no JSON object");

    if (result == 0) {
        result = read_kid(all, jwk, at, key, f);
    }
    if (result == 0) {
        result = check_use(jwk, at, &may, f);
    }
    if (result == 0 && may) {
        kind = find_kind(jwk);
    }
    if (kind == NULL) {
        return result;
    }
    result = check_algorithm(jwk, kind, at, &key->algorithms, f);
    if (result == 0 && key->algorithms != 0) {
        result = kind->read(jwk, at, &key->key, f);
        set->count += result == 0;
        if (result == 0 && !digest_key(key)) {
            result = certificate_cause(
                f, failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %s", at->name));
        }
    }
    return result;
}

/* --- the set ---------------------------------------------------------------------------------- */

static int no_set(struct failure *f, const char *name, const char *why)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "%s is no JWK set: %s", name, why);

    return failure_next(f, result, "put there what the issuer publishes: {\"keys\": [...]}");
}

static int add_keys(struct jwks *set, const char *name, const json_t *document, struct failure *f)
{
    const json_t *all = json_object_get(document, "keys");
    size_t count = json_array_size(all);

    if (!json_is_array(all)) {
        return no_set(f, name, "it has no array \"keys\"");
    }
    if (count > JWKS_KEYS_MAX) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s has %zu keys; expected at most %d", name,
                           count, JWKS_KEYS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const struct place at = { .name = name, .number = (unsigned)i + 1 };
        int result = add_key(set, all, json_array_get(all, i), &at, f);

        if (result != 0) {
            return result;
        }
    }
    if (set->count == 0) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT,
                                 "%s has no key that verifies ES256, RS256, PS256 or EdDSA", name);

        return failure_cause(f, result, "it has %zu keys, for something else", count);
    }
    return 0;
}

int jwks_parse(const char *name, const void *text, size_t len_bytes, struct jwks **out,
               struct failure *f)
{
    const char *why = NULL;
    struct jwks *set;
    int result;

    if (len_bytes > JWKS_FILE_MAX_BYTES) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s is longer than %d bytes", name,
                           JWKS_FILE_MAX_BYTES);
    }
    JOSE_AUTO *document = jose_object(text, len_bytes, &why);

    if (document == NULL) {
        return no_set(f, name, why);
    }
    set = calloc(1, sizeof(*set));
    if (set == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %s", name);
    }
    result = add_keys(set, name, document, f);
    if (result != 0) {
        jwks_free(set);
        return result;
    }
    *out = set;
    return 0;
}

int jwks_load(const char *path, struct jwks **out, struct failure *f)
{
    BUFFER_AUTO(content, JWKS_FILE_MAX_BYTES);
    int result = guarded_file_read(path, GUARDED_PUBLIC, &content, f);

    return result != 0 ? result
                       : jwks_parse(path, content.data != NULL ? (const char *)content.data : "",
                                    content.len_bytes, out, f);
}

void jwks_free(struct jwks *set)
{
    if (set == NULL) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        EVP_PKEY_free(set->keys[i].key);
    }
    free(set);
}

size_t jwks_count(const struct jwks *set)
{
    return set->count;
}

const struct jwks_key *jwks_find(const struct jwks *set, const char *kid)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->keys[i].kid, kid) == 0) {
            return &set->keys[i];
        }
    }
    return NULL;
}

bool jwks_has(const struct jwks *set, const uint8_t digest[JWKS_DIGEST_BYTES])
{
    for (size_t i = 0; i < set->count; i++) {
        if (memcmp(set->keys[i].digest, digest, JWKS_DIGEST_BYTES) == 0) {
            return true;
        }
    }
    return false;
}
