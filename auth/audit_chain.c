/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_chain.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "auth/certificate.h"
#include "common/text.h"

static const char next_label[] = "xenresd audit: next key";
static const char id_label[] = "xenresd audit: name of the chain";

struct audit_crypto {
    EVP_MD *sha256;
    EVP_MD_CTX *digest;
};

struct piece {
    const void *bytes;
    size_t len;
};

int audit_crypto_new(struct audit_crypto **out, struct failure *f)
{
    struct audit_crypto *c = calloc(1, sizeof *c);

    if (c != NULL) {
        c->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        c->digest = EVP_MD_CTX_new();
    }
    if (c == NULL || c->sha256 == NULL || c->digest == NULL) {
        audit_crypto_free(c);
        return certificate_cause(f, failure_set(f, ERROR_INTERNAL, "cannot compute MACs"));
    }
    *out = c;
    return 0;
}

void audit_crypto_free(struct audit_crypto *c)
{
    if (c != NULL) {
        EVP_MD_CTX_free(c->digest); /* wipes it */
        EVP_MD_free(c->sha256);
        free(c);
    }
}

static bool sha256(struct audit_crypto *c, const struct piece *pieces, size_t count,
                   uint8_t out[AUDIT_DIGEST_BYTES])
{
    unsigned len = 0;
    bool done = EVP_DigestInit_ex2(c->digest, c->sha256, NULL) == 1;

    for (size_t i = 0; i < count && done; i++) {
        done = EVP_DigestUpdate(c->digest, pieces[i].bytes, pieces[i].len) == 1;
    }
    return done && EVP_DigestFinal_ex(c->digest, out, &len) == 1 && len == AUDIT_DIGEST_BYTES;
}

void audit_link_first(struct audit_link *link, const uint8_t key[AUDIT_KEY_BYTES])
{
    *link = (struct audit_link){ .sequence = 1 };
    memcpy(link->key, key, AUDIT_KEY_BYTES);
}

/* Of a key, for one purpose. */
static bool derive(struct audit_crypto *c, const char *label, const uint8_t key[AUDIT_KEY_BYTES],
                   uint8_t out[AUDIT_DIGEST_BYTES])
{
    return sha256(c, (struct piece[]){ { label, strlen(label) }, { key, AUDIT_KEY_BYTES } }, 2,
                  out);
}

int audit_chain_id(struct audit_crypto *c, const uint8_t key[AUDIT_KEY_BYTES],
                   uint8_t id[AUDIT_ID_BYTES])
{
    uint8_t whole[AUDIT_DIGEST_BYTES];
    bool done = derive(c, id_label, key, whole);

    if (done) {
        memcpy(id, whole, AUDIT_ID_BYTES);
    }
    return done ? 0 : -ERROR_INTERNAL;
}

int audit_chain_next_key(struct audit_crypto *c, uint8_t key[AUDIT_KEY_BYTES])
{
    uint8_t next[AUDIT_DIGEST_BYTES];
    bool done = derive(c, next_label, key, next);

    if (done) {
        memcpy(key, next, AUDIT_KEY_BYTES);
    }
    OPENSSL_cleanse(next, sizeof next);
    return done ? 0 : -ERROR_INTERNAL;
}

int audit_chain_digest(struct audit_crypto *c, const struct audit_link *before, const void *covered,
                       size_t len, uint8_t digest[AUDIT_DIGEST_BYTES])
{
    const struct piece pieces[] = { { before->digest, sizeof before->digest },
                                    { before->mac, sizeof before->mac },
                                    { covered, len } };

    return sha256(c, pieces, 3, digest) ? 0 : -ERROR_INTERNAL;
}

int audit_chain_mac(struct audit_crypto *c, const uint8_t key[AUDIT_KEY_BYTES],
                    const uint8_t digest[AUDIT_DIGEST_BYTES], uint8_t mac[AUDIT_MAC_BYTES])
{
    uint8_t whole[AUDIT_DIGEST_BYTES];
    bool done = sha256(
        c, (struct piece[]){ { key, AUDIT_KEY_BYTES }, { digest, AUDIT_DIGEST_BYTES } }, 2, whole);

    if (done) {
        memcpy(mac, whole, AUDIT_MAC_BYTES);
    }
    return done ? 0 : -ERROR_INTERNAL;
}

int audit_chain_sum(struct audit_crypto *c, const struct audit_link *link,
                    uint8_t sum[AUDIT_DIGEST_BYTES])
{
    return audit_chain_digest(c, link, NULL, 0, sum);
}

/* `{"seq":N,`, without printf(), which would be a tenth of the whole. */
static size_t put_sequence(char *out, uint64_t sequence)
{
    static const char begin[] = "{\"seq\":";
    char digits[20];
    size_t at = sizeof digits, len = sizeof begin - 1;

    do {
        digits[--at] = (char)('0' + sequence % 10);
        sequence /= 10;
    } while (sequence > 0);
    memcpy(out, begin, len);
    memcpy(out + len, digits + at, sizeof digits - at);
    len += sizeof digits - at;
    out[len] = ',';
    return len + 1;
}

size_t audit_chain_seal(struct audit_crypto *c, const struct audit_link *before, const char *body,
                        size_t body_len, char *line, struct audit_link *after)
{
    struct audit_link next = *before;
    size_t result = 0;

    assert(body_len <= AUDIT_BODY_MAX_BYTES);
    size_t covered = put_sequence(line, before->sequence);

    memcpy(line + covered, body, body_len);
    covered += body_len;
    if (audit_chain_digest(c, before, line, covered, next.digest) == 0 &&
        audit_chain_mac(c, before->key, next.digest, next.mac) == 0 &&
        audit_chain_next_key(c, next.key) == 0) {
        char *tail = line + covered;

        memcpy(tail, ",\"mac\":\"", 8);
        text_from_hex(next.mac, sizeof next.mac, tail + 8);
        memcpy(tail + AUDIT_TAIL_BYTES - 3, "\"}\n", 3);
        next.sequence++;
        *after = next;
        result = covered + AUDIT_TAIL_BYTES;
    }
    OPENSSL_cleanse(&next, sizeof next);
    return result;
}
_Static_assert(AUDIT_TAIL_BYTES == 8 + 2 * AUDIT_MAC_BYTES + 3, "the tail");

/* --- checkpoints ---------------------------------------------------------------------------------- */

struct audit_signer {
    EVP_PKEY *key;
};

int audit_signer_new(const uint8_t key[AUDIT_SIGNING_KEY_BYTES], struct audit_signer **out,
                     struct failure *f)
{
    struct audit_signer *s = calloc(1, sizeof *s);

    if (s != NULL) {
        s->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key, AUDIT_SIGNING_KEY_BYTES);
    }
    if (s == NULL || s->key == NULL) {
        audit_signer_free(s);
        return certificate_cause(f, failure_set(f, ERROR_INTERNAL, "cannot use a signing key"));
    }
    *out = s;
    return 0;
}

void audit_signer_free(struct audit_signer *s)
{
    if (s != NULL) {
        EVP_PKEY_free(s->key); /* wipes it */
        free(s);
    }
}

int audit_chain_sign(const struct audit_signer *s, const void *bytes, size_t len,
                     uint8_t signature[AUDIT_SIGNATURE_BYTES])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t signature_len = AUDIT_SIGNATURE_BYTES;
    bool done = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, s->key) == 1 &&
                EVP_DigestSign(ctx, signature, &signature_len, bytes, len) == 1 &&
                signature_len == AUDIT_SIGNATURE_BYTES;

    EVP_MD_CTX_free(ctx);
    return done ? 0 : certificate_cause(NULL, -ERROR_INTERNAL);
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

int audit_signer_public(const struct audit_signer *s, uint8_t public_key[AUDIT_SIGNING_KEY_BYTES],
                        struct failure *f)
{
    size_t len = AUDIT_SIGNING_KEY_BYTES;
    bool done = EVP_PKEY_get_raw_public_key(s->key, public_key, &len) == 1 &&
                len == AUDIT_SIGNING_KEY_BYTES;

    return done ? 0
                : certificate_cause(f, failure_set(f, ERROR_INTERNAL, "cannot read a signing key"));
}
