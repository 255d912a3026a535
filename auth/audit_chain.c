/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_chain.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/certificate.h"
#include "common/text.h"

static const char next_label[] = "xenresd audit: next key";
static const char id_label[] = "xenresd audit: name of the chain";

struct audit_crypto {
    EVP_MAC_CTX *hmac;
    EVP_MD *sha256;
    EVP_MD_CTX *digest;
};

int audit_crypto_new(struct audit_crypto **out, struct failure *f)
{
    char name[] = "SHA256";
    const uint8_t none[AUDIT_KEY_BYTES] = { 0 };
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_end(),
    };
    struct audit_crypto *c = calloc(1, sizeof *c);
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    if (c != NULL && hmac != NULL) {
        c->hmac = EVP_MAC_CTX_new(hmac);
        c->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        c->digest = EVP_MD_CTX_new();
    }
    EVP_MAC_free(hmac);
    if (c == NULL || c->hmac == NULL || c->sha256 == NULL || c->digest == NULL ||
        EVP_MAC_init(c->hmac, none, sizeof none, params) != 1) {
        audit_crypto_free(c);
        return certificate_cause(f, failure_set(f, ERROR_INTERNAL, "cannot compute MACs"));
    }
    *out = c;
    return 0;
}

void audit_crypto_free(struct audit_crypto *c)
{
    if (c != NULL) {
        EVP_MAC_CTX_free(c->hmac); /* wipes it */
        EVP_MD_CTX_free(c->digest);
        EVP_MD_free(c->sha256);
        free(c);
    }
}

static int hmac(struct audit_crypto *c, const uint8_t *key, const void *first, size_t first_len,
                const void *second, size_t second_len, uint8_t out[AUDIT_MAC_BYTES])
{
    size_t len = 0;

    return EVP_MAC_init(c->hmac, key, AUDIT_KEY_BYTES, NULL) == 1 &&
                   EVP_MAC_update(c->hmac, first, first_len) == 1 &&
                   (second_len == 0 || EVP_MAC_update(c->hmac, second, second_len) == 1) &&
                   EVP_MAC_final(c->hmac, out, &len, AUDIT_MAC_BYTES) == 1 && len == AUDIT_MAC_BYTES
               ? 0
               : -ERROR_INTERNAL;
}

void audit_link_first(struct audit_link *link, const uint8_t key[AUDIT_KEY_BYTES])
{
    *link = (struct audit_link){ .sequence = 1 };
    memcpy(link->key, key, AUDIT_KEY_BYTES);
}

int audit_chain_id(struct audit_crypto *c, const uint8_t key[AUDIT_KEY_BYTES],
                   uint8_t id[AUDIT_ID_BYTES])
{
    uint8_t whole[AUDIT_MAC_BYTES];
    int result = hmac(c, key, id_label, sizeof id_label - 1, NULL, 0, whole);

    if (result == 0) {
        memcpy(id, whole, AUDIT_ID_BYTES);
    }
    return result;
}

int audit_chain_next_key(struct audit_crypto *c, uint8_t key[AUDIT_KEY_BYTES])
{
    uint8_t next[AUDIT_MAC_BYTES];
    int result = hmac(c, key, next_label, sizeof next_label - 1, NULL, 0, next);

    if (result == 0) {
        memcpy(key, next, AUDIT_KEY_BYTES);
    }
    OPENSSL_cleanse(next, sizeof next);
    return result;
}

int audit_chain_mac(struct audit_crypto *c, const uint8_t key[AUDIT_KEY_BYTES],
                    const uint8_t before[AUDIT_MAC_BYTES], const void *covered, size_t len,
                    uint8_t mac[AUDIT_MAC_BYTES])
{
    return hmac(c, key, before, AUDIT_MAC_BYTES, covered, len, mac);
}

int audit_chain_digest(struct audit_crypto *c, uint8_t digest[AUDIT_MAC_BYTES], const void *line,
                       size_t len)
{
    unsigned out_len = 0;

    return EVP_DigestInit_ex2(c->digest, c->sha256, NULL) == 1 &&
                   EVP_DigestUpdate(c->digest, digest, AUDIT_MAC_BYTES) == 1 &&
                   EVP_DigestUpdate(c->digest, line, len) == 1 &&
                   EVP_DigestFinal_ex(c->digest, digest, &out_len) == 1 &&
                   out_len == AUDIT_MAC_BYTES
               ? 0
               : -ERROR_INTERNAL;
}

size_t audit_chain_seal(struct audit_crypto *c, const struct audit_link *before, const char *body,
                        size_t body_len, char *line, struct audit_link *after)
{
    struct audit_link next = *before;
    size_t result = 0;

    assert(body_len <= AUDIT_BODY_MAX_BYTES);
    size_t covered = (size_t)snprintf(line, AUDIT_LINE_MAX_BYTES, "{\"seq\":%llu,",
                                      (unsigned long long)before->sequence);

    memcpy(line + covered, body, body_len);
    covered += body_len;
    if (audit_chain_mac(c, before->key, before->mac, line, covered, next.mac) == 0 &&
        audit_chain_next_key(c, next.key) == 0) {
        char *tail = line + covered;

        memcpy(tail, ",\"mac\":\"", 8);
        text_from_hex(next.mac, sizeof next.mac, tail + 8);
        memcpy(tail + AUDIT_TAIL_BYTES - 3, "\"}\n", 3);
        next.sequence++;
        if (audit_chain_digest(c, next.digest, line, covered + AUDIT_TAIL_BYTES) == 0) {
            *after = next;
            result = covered + AUDIT_TAIL_BYTES;
        }
    }
    OPENSSL_cleanse(&next, sizeof next);
    return result;
}
_Static_assert(AUDIT_TAIL_BYTES == 8 + 2 * AUDIT_MAC_BYTES + 3, "the tail");

/* --- checkpoints ---------------------------------------------------------------------------------- */

int audit_chain_sign(const uint8_t key[AUDIT_SIGNING_KEY_BYTES], const void *bytes, size_t len,
                     uint8_t signature[AUDIT_SIGNATURE_BYTES], struct failure *f)
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key, AUDIT_SIGNING_KEY_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t signature_len = AUDIT_SIGNATURE_BYTES;
    bool done = pkey != NULL && ctx != NULL &&
                EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
                EVP_DigestSign(ctx, signature, &signature_len, bytes, len) == 1 &&
                signature_len == AUDIT_SIGNATURE_BYTES;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return done ? 0
                : certificate_cause(f, failure_set(f, ERROR_INTERNAL, "cannot sign a checkpoint"));
}

bool audit_chain_signed(const uint8_t public_key[AUDIT_SIGNING_KEY_BYTES], const void *bytes,
                        size_t len, const uint8_t signature[AUDIT_SIGNATURE_BYTES])
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, AUDIT_SIGNING_KEY_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_right = pkey != NULL && ctx != NULL &&
                    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
                    EVP_DigestVerify(ctx, signature, AUDIT_SIGNATURE_BYTES, bytes, len) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    (void)certificate_cause(NULL, 0);
    return is_right;
}

int audit_signing_public(const uint8_t key[AUDIT_SIGNING_KEY_BYTES],
                         uint8_t public_key[AUDIT_SIGNING_KEY_BYTES], struct failure *f)
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key, AUDIT_SIGNING_KEY_BYTES);
    size_t len = AUDIT_SIGNING_KEY_BYTES;
    bool done = pkey != NULL && EVP_PKEY_get_raw_public_key(pkey, public_key, &len) == 1 &&
                len == AUDIT_SIGNING_KEY_BYTES;

    EVP_PKEY_free(pkey);
    return done ? 0
                : certificate_cause(f, failure_set(f, ERROR_INTERNAL, "cannot read a signing key"));
}
