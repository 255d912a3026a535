/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * An issuer of a test's own: a key of each kind, their JWK set, and tokens with whatever header and
 * claims a test writes. Every failure ends the program: a token that could not be made proves nothing.
 */
#ifndef XENRES_TESTS_MINTER_H
#define XENRES_TESTS_MINTER_H

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jose.h"
#include "common/base64.h"

#define MINTER_NOW_S INT64_C(2000000000)

struct minter {
    EVP_PKEY *keys[JOSE_ALGORITHM_COUNT]; /* of RS256 and PS256: the same one */
};

static inline void minter_must(int holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "minter.h: cannot: %s\n", what);
        abort();
    }
}
#define MINTER_MUST(condition) minter_must((condition) ? 1 : 0, #condition)

static inline EVP_PKEY *minter_rsa(unsigned bits)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);

    MINTER_MUST(key != NULL);
    return key;
}

static inline void minter_init(struct minter *m)
{
    m->keys[JOSE_ES256] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    m->keys[JOSE_RS256] = minter_rsa(2048);
    m->keys[JOSE_PS256] = m->keys[JOSE_RS256];
    m->keys[JOSE_EDDSA] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    MINTER_MUST(m->keys[JOSE_ES256] != NULL && m->keys[JOSE_EDDSA] != NULL);
}

static inline void minter_done(struct minter *m)
{
    EVP_PKEY_free(m->keys[JOSE_ES256]);
    EVP_PKEY_free(m->keys[JOSE_RS256]);
    EVP_PKEY_free(m->keys[JOSE_EDDSA]);
}

/* --- keys ------------------------------------------------------------------------------------- */

static inline void minter_encode(struct buffer *out, const void *bytes, size_t len_bytes)
{
    MINTER_MUST(base64_encode(out, bytes, len_bytes, BASE64_URL | BASE64_UNPADDED));
}

static inline void minter_number(struct buffer *out, const EVP_PKEY *key, const char *param)
{
    uint8_t bytes[1024];
    BIGNUM *number = NULL;

    MINTER_MUST(EVP_PKEY_get_bn_param(key, param, &number) == 1);
    MINTER_MUST(BN_num_bytes(number) <= (int)sizeof(bytes));
    minter_encode(out, bytes, (size_t)BN_bn2bin(number, bytes));
    BN_free(number);
}

/* The members of a key beside `kid`: "kty":"RSA","n":"…","e":"…" */
static inline void minter_members(struct buffer *out, const EVP_PKEY *key)
{
    uint8_t bytes[128];
    size_t len = sizeof(bytes);

    if (EVP_PKEY_is_a(key, "RSA")) {
        buffer_append_string(out, "\"kty\":\"RSA\",\"n\":\"");
        minter_number(out, key, OSSL_PKEY_PARAM_RSA_N);
        buffer_append_string(out, "\",\"e\":\"");
        minter_number(out, key, OSSL_PKEY_PARAM_RSA_E);
    } else if (EVP_PKEY_is_a(key, "EC")) {
        MINTER_MUST(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, bytes,
                                                    sizeof(bytes), &len) == 1);
        MINTER_MUST(len == 65 && bytes[0] == 4);
        buffer_append_string(out, "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"");
        minter_encode(out, bytes + 1, 32);
        buffer_append_string(out, "\",\"y\":\"");
        minter_encode(out, bytes + 33, 32);
    } else {
        MINTER_MUST(EVP_PKEY_get_raw_public_key(key, bytes, &len) == 1);
        buffer_append_string(out, "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
        minter_encode(out, bytes, len);
    }
    MINTER_MUST(buffer_append_string(out, "\""));
}

/* All keys: kid "ES256", "RSA" (for both of its algorithms), "PS256" (the same, for that alone),
 * "EdDSA". */
static inline void minter_jwks(const struct minter *m, struct buffer *out)
{
    static const struct {
        const char *kid, *more;
        enum jose_algorithm key;
    } rows[] = {
        { "ES256", ",\"use\":\"sig\",\"alg\":\"ES256\"", JOSE_ES256 },
        { "RSA", "", JOSE_RS256 },
        { "PS256", ",\"alg\":\"PS256\",\"key_ops\":[\"verify\"]", JOSE_PS256 },
        { "EdDSA", ",\"alg\":\"EdDSA\"", JOSE_EDDSA },
    };

    buffer_append_string(out, "{\"keys\":[");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buffer_printf(out, "%s{\"kid\":\"%s\"%s,", i > 0 ? "," : "", rows[i].kid, rows[i].more);
        minter_members(out, m->keys[rows[i].key]);
        buffer_append_string(out, "}");
    }
    MINTER_MUST(buffer_append_string(out, "]}"));
}

/* --- tokens ----------------------------------------------------------------------------------- */

static inline size_t minter_ecdsa(uint8_t *signature, size_t len)
{
    const uint8_t *at = signature;
    ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &at, (long)len);

    MINTER_MUST(numbers != NULL);
    MINTER_MUST(BN_bn2binpad(ECDSA_SIG_get0_r(numbers), signature, 32) == 32);
    MINTER_MUST(BN_bn2binpad(ECDSA_SIG_get0_s(numbers), signature + 32, 32) == 32);
    ECDSA_SIG_free(numbers);
    return 64;
}

/* Signs what is in `text`, and appends a dot and the signature. */
static inline void minter_sign(const struct minter *m, enum jose_algorithm a, struct buffer *text)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pkey = NULL;
    uint8_t signature[1024];
    size_t len = sizeof(signature);

    MINTER_MUST(EVP_DigestSignInit(ctx, &pkey, a == JOSE_EDDSA ? NULL : EVP_sha256(), NULL,
                                   m->keys[a]) == 1);
    if (a == JOSE_PS256) {
        MINTER_MUST(EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING) == 1 &&
                    EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, RSA_PSS_SALTLEN_DIGEST) == 1);
    }
    MINTER_MUST(EVP_DigestSign(ctx, signature, &len, text->data, text->len_bytes) == 1);
    EVP_MD_CTX_free(ctx);
    if (a == JOSE_ES256) {
        len = minter_ecdsa(signature, len);
    }
    buffer_append_byte(text, '.');
    minter_encode(text, signature, len);
}

/* header.claims, without a signature. */
static inline void minter_unsigned(struct buffer *out, const char *header, const void *claims,
                                   size_t claims_len)
{
    minter_encode(out, header, strlen(header));
    buffer_append_byte(out, '.');
    minter_encode(out, claims, claims_len);
}

/* A token, appended. */
static inline void minter_mint(const struct minter *m, enum jose_algorithm a, const char *header,
                               const char *claims, struct buffer *out)
{
    minter_unsigned(out, header, claims, strlen(claims));
    minter_sign(m, a, out);
    MINTER_MUST(!out->failed);
}

#endif
