/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/jose.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#include "common/base64.h"

enum { COORDINATE_BYTES = 32, DER_MAX_BYTES = 80 };

static const char *const algorithm_names[] = {
    [JOSE_ES256] = "ES256",
    [JOSE_RS256] = "RS256",
    [JOSE_PS256] = "PS256",
    [JOSE_EDDSA] = "EdDSA",
};

const char *jose_algorithm_name(enum jose_algorithm a)
{
    return algorithm_names[a];
}

bool jose_algorithm_find(const char *name, enum jose_algorithm *out)
{
    for (int i = 0; i < JOSE_ALGORITHM_COUNT; i++) {
        if (strcmp(algorithm_names[i], name) == 0) {
            *out = (enum jose_algorithm)i;
            return true;
        }
    }
    return false;
}

/* --- text ------------------------------------------------------------------------------------- */

/* The decoder takes either alphabet, and padding: what is refused here is what it would let pass. */
bool jose_decode(struct buffer *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '+' || text[i] == '/' || text[i] == '=') {
            return false;
        }
    }
    return base64_decode(out, text, len);
}

json_t *jose_object(const void *bytes, size_t len_bytes, const char **why)
{
    json_error_t error;
    json_t *value = json_loadb(bytes, len_bytes, JSON_REJECT_DUPLICATES, &error);

    if (value != NULL && json_is_object(value)) {
        return value;
    }
    if (value != NULL) {
        *why = "it is not a JSON object";
    } else if (json_error_code(&error) == json_error_duplicate_key) {
        *why = "a member is in it twice";
    } else if (json_error_code(&error) == json_error_invalid_utf8) {
        *why = "it is not UTF-8";
    } else {
        *why = "it is not valid JSON";
    }
    json_decref(value);
    return NULL;
}

void jose_release(json_t **value)
{
    json_decref(*value);
}

const char *jose_string(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* --- signatures ------------------------------------------------------------------------------- */

/* As OpenSSL has it: a DER SEQUENCE of both numbers. 0: not a signature. */
static size_t ecdsa_der(const uint8_t signature[2 * COORDINATE_BYTES], uint8_t der[DER_MAX_BYTES])
{
    ECDSA_SIG *numbers = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, COORDINATE_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(signature + COORDINATE_BYTES, COORDINATE_BYTES, NULL);
    uint8_t *end = der;
    int len = 0;

    if (numbers == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(numbers, r, s) != 1) {
        BN_free(r);
        BN_free(s);
    } else {
        len = i2d_ECDSA_SIG(numbers, &end); /* at most 72 bytes */
    }
    ECDSA_SIG_free(numbers);
    return len > 0 ? (size_t)len : 0;
}

static bool set_padding(enum jose_algorithm a, EVP_PKEY_CTX *ctx)
{
    switch (a) {
    case JOSE_RS256: return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    case JOSE_PS256:
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    default: return true;
    }
}

bool jose_verify(enum jose_algorithm a, EVP_PKEY *key, const void *bytes, size_t len_bytes,
                 const uint8_t *signature, size_t signature_len_bytes)
{
    const EVP_MD *digest = a == JOSE_EDDSA ? NULL : EVP_sha256();
    uint8_t der[DER_MAX_BYTES];
    EVP_PKEY_CTX *pkey = NULL; /* the context's */
    EVP_MD_CTX *ctx;
    bool valid;

    if (a == JOSE_ES256) {
        if (signature_len_bytes != (size_t)2 * COORDINATE_BYTES) {
            return false;
        }
        signature_len_bytes = ecdsa_der(signature, der);
        signature = der;
    }
    ctx = EVP_MD_CTX_new();
    valid = ctx != NULL && signature_len_bytes > 0 &&
            EVP_DigestVerifyInit(ctx, &pkey, digest, NULL, key) == 1 && set_padding(a, pkey) &&
            EVP_DigestVerify(ctx, signature, signature_len_bytes, bytes, len_bytes) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return valid;
}
