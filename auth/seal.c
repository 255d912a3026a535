/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/seal.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "auth/certificate.h"
#include "auth/guarded_file.h"
#include "common/base64.h"

enum { MAC_BYTES = 32 };

struct seal {
    EVP_MAC_CTX *keyed; /* never computed with: each token's MAC begins as a copy of it */
};

/* --- the key ---------------------------------------------------------------------------------- */

static int make_key(const char *path, struct failure *f)
{
    uint8_t key[SEAL_KEY_BYTES];
    int result;

    if (RAND_priv_bytes(key, sizeof key) != 1) {
        return certificate_cause(f,
                                 failure_set(f, ERROR_INTERNAL, "no random numbers for %s", path));
    }
    result = guarded_file_create(path, GUARDED_SECRET, key, sizeof key, f);
    OPENSSL_cleanse(key, sizeof key);
    /* Another process was faster: its key is read now. */
    return result == -ERROR_ALREADY_EXISTS ? 0 : result;
}

static int read_key(const char *path, struct buffer *key, struct failure *f)
{
    int result = guarded_file_read(path, GUARDED_SECRET, key, f);

    if (result == -ERROR_NOT_FOUND) {
        result = make_key(path, f);
        if (result == 0) {
            result = guarded_file_read(path, GUARDED_SECRET, key, f);
        }
    }
    if (result == -ERROR_RESOURCE_EXHAUSTED || (result == 0 && key->len_bytes != SEAL_KEY_BYTES)) {
        result = failure_set(f, ERROR_FAILED_PRECONDITION, "%s has not the %d bytes of a key", path,
                             SEAL_KEY_BYTES);
        result = failure_next(f, result, "remove it: a new one is made (old page tokens end then)");
    }
    return result;
}

static EVP_MAC_CTX *keyed_mac(const uint8_t *key, size_t len_bytes)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;

    EVP_MAC_free(hmac);
    if (ctx != NULL && EVP_MAC_init(ctx, key, len_bytes, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

int seal_load(const char *path, struct seal **out, struct failure *f)
{
    BUFFER_AUTO(key, SEAL_KEY_BYTES);
    struct seal *s;
    int result;

    result = read_key(path, &key, f);
    if (result == 0) {
        s = calloc(1, sizeof *s);
        if (s != NULL) {
            s->keyed = keyed_mac(key.data, key.len_bytes);
        }
        if (s == NULL || s->keyed == NULL) {
            seal_free(s);
            result = certificate_cause(
                f, failure_set(f, ERROR_INTERNAL, "cannot use the key of %s", path));
        } else {
            *out = s;
        }
    }
    if (key.data != NULL) {
        OPENSSL_cleanse(key.data, key.capacity_bytes);
    }
    return result;
}

void seal_free(struct seal *s)
{
    if (s != NULL) {
        EVP_MAC_CTX_free(s->keyed); /* wipes it */
        free(s);
    }
}

/* --- tokens ----------------------------------------------------------------------------------- */

/* Lengths come first, so that no two pairs of purpose and content are the same bytes. */
static bool compute(const struct seal *s, const char *purpose, const uint8_t *content,
                    size_t len_bytes, uint8_t mac[MAC_BYTES])
{
    size_t purpose_len = strlen(purpose);
    size_t mac_len = 0;
    uint8_t lengths[3];
    EVP_MAC_CTX *ctx;
    bool done;

    assert(purpose_len <= SEAL_PURPOSE_MAX_BYTES && len_bytes <= SEAL_CONTENT_MAX_BYTES);
    lengths[0] = (uint8_t)purpose_len;
    lengths[1] = (uint8_t)(len_bytes >> 8);
    lengths[2] = (uint8_t)len_bytes;
    ctx = EVP_MAC_CTX_dup(s->keyed);
    done = ctx != NULL && EVP_MAC_update(ctx, lengths, sizeof lengths) == 1 &&
           EVP_MAC_update(ctx, (const uint8_t *)purpose, purpose_len) == 1 &&
           EVP_MAC_update(ctx, content, len_bytes) == 1 &&
           EVP_MAC_final(ctx, mac, &mac_len, MAC_BYTES) == 1 && mac_len == MAC_BYTES;
    EVP_MAC_CTX_free(ctx);
    return done;
}

int seal_make(const struct seal *s, const char *purpose, const void *content, size_t len_bytes,
              struct buffer *token, struct failure *f)
{
    uint8_t whole[SEAL_CONTENT_MAX_BYTES + MAC_BYTES];

    if (len_bytes > SEAL_CONTENT_MAX_BYTES) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "content of %zu bytes to seal (at most %d)",
                           len_bytes, SEAL_CONTENT_MAX_BYTES);
    }
    if (len_bytes > 0) {
        memcpy(whole, content, len_bytes);
    }
    if (!compute(s, purpose, whole, len_bytes, whole + len_bytes)) {
        return certificate_cause(f, failure_set(f, ERROR_INTERNAL, "cannot seal a token"));
    }
    if (!base64_encode(token, whole, len_bytes + MAC_BYTES, BASE64_URL | BASE64_UNPADDED)) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no room for a token");
    }
    return 0;
}

/* `text` is the one spelling of `bytes` that seal_make() writes: the decoder takes others, too. */
static bool is_our_spelling(const struct buffer *bytes, const char *text, size_t len)
{
    BUFFER_AUTO(again, SEAL_TOKEN_MAX_BYTES);

    return base64_encode(&again, bytes->data, bytes->len_bytes, BASE64_URL | BASE64_UNPADDED) &&
           again.len_bytes == len && memcmp(again.data, text, len) == 0;
}

int seal_open(const struct seal *s, const char *purpose, const char *token, void *content,
              size_t max_bytes, size_t *len_bytes, struct failure *f)
{
    BUFFER_AUTO(whole, SEAL_CONTENT_MAX_BYTES + MAC_BYTES);
    uint8_t mac[MAC_BYTES];
    size_t token_len = strnlen(token, SEAL_TOKEN_MAX_BYTES + 1);
    size_t content_len;

    if (token_len > SEAL_TOKEN_MAX_BYTES || !base64_decode(&whole, token, token_len) ||
        whole.len_bytes < MAC_BYTES || !is_our_spelling(&whole, token, token_len)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "not a token of this gateway");
    }
    content_len = whole.len_bytes - MAC_BYTES;
    if (!compute(s, purpose, whole.data, content_len, mac)) {
        return certificate_cause(f, failure_set(f, ERROR_INTERNAL, "cannot check a token"));
    }
    /* In constant time: how long a wrong one takes must not tell how much of it was right. */
    if (CRYPTO_memcmp(mac, whole.data + content_len, MAC_BYTES) != 0 || content_len > max_bytes) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "not a token of this gateway");
    }
    if (content_len > 0) {
        memcpy(content, whole.data, content_len);
    }
    *len_bytes = content_len;
    return 0;
}
