/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The anchors and the verification by them.
 *
 * Every certificate in the file is an anchor, intermediates too (X509_V_FLAG_PARTIAL_CHAIN): an
 * operator who trusts one department's authority does not have to trust the company's root, nor all
 * that it ever signs. Hence only authorities are accepted in the file.
 *
 * Not X509_V_FLAG_X509_STRICT: it refuses many private authorities for missing key identifiers,
 * which stop no attack. What does stop one, an authority has to say that it is one (basic
 * constraints), OpenSSL checks of all between leaf and anchor anyway, and we of the anchors.
 */
#include "auth/trust.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "auth/certificate.h"
#include "auth/guarded_file.h"
#include "auth/identity_pattern.h"
#include "common/buffer.h"
#include "common/text.h"

/* 112 bits, NIST SP 800-57's floor: refuses RSA below 2048, curves below 224 bits, and SHA-1. */
enum { SECURITY_LEVEL = 2 };

struct trust {
    X509_STORE *store; /* immutable once loaded; OpenSSL locks its cache itself */
    char *patterns;    /* each NUL-ended, an empty one last; NULL: everybody */
};

/* --- loading ---------------------------------------------------------------------------------- */

static int add_anchor(X509_STORE *store, const uint8_t *der, size_t len_bytes, const char *name,
                      unsigned number, struct failure *f)
{
    struct failure why = { 0 };
    X509_AUTO *anchor = certificate_decode(der, len_bytes, &why);

    if (anchor == NULL) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "certificate %u in %s cannot be read",
                                 number, name);
        return failure_cause(f, result, "%s", why.message);
    }
    /* 1: its basic constraints say so. Other positive answers are guesses about old ones. */
    if (X509_check_ca(anchor) != 1) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT,
                                 "certificate %u in %s is not an authority's", number, name);
        return failure_next(f, result,
                            "put the certificate of the authority that issues clients there");
    }
    if (X509_STORE_add_cert(store, anchor) != 1) {
        return certificate_cause(f, failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                                                "cannot keep certificate %u of %s", number, name));
    }
    return 0;
}

/* Every block of the file, and nothing skipped: what is not a certificate was put there by mistake,
 * and what cannot be honoured (a revocation list) must not seem to be. */
static int add_anchors(X509_STORE *store, BIO *pem, const char *name, struct failure *f)
{
    unsigned count = 0;

    for (;;) {
        char *label = NULL, *header = NULL;
        unsigned char *der = NULL;
        long len = 0;
        int result = 0;

        if (PEM_read_bio(pem, &label, &header, &der, &len) != 1) {
            break;
        }
        count++;
        if (strcmp(label, PEM_STRING_X509) != 0) {
            result = failure_set(f, ERROR_INVALID_ARGUMENT,
                                 "block %u in %s is \"%.40s\"; expected \"%s\"", count, name, label,
                                 PEM_STRING_X509);
        } else if (count > TRUST_ANCHORS_MAX) {
            result = failure_set(f, ERROR_INVALID_ARGUMENT, "more than %d certificates in %s",
                                 TRUST_ANCHORS_MAX, name);
        } else {
            result = add_anchor(store, der, (size_t)len, name, count, f);
        }
        OPENSSL_free(label);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)len); /* a misplaced key, perhaps */
        if (result != 0) {
            return result;
        }
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        return certificate_cause(f, failure_set(f, ERROR_INVALID_ARGUMENT,
                                                "block %u in %s cannot be read", count + 1, name));
    }
    ERR_clear_error();
    return count > 0 ? 0 : failure_set(f, ERROR_INVALID_ARGUMENT, "no certificate in %s", name);
}

int trust_parse(const char *name, const void *pem, size_t len_bytes, struct trust **out,
                struct failure *f)
{
    struct trust *t = calloc(1, sizeof *t);
    BIO *bio = NULL;
    int result;

    if (len_bytes > TRUST_FILE_MAX_BYTES) {
        free(t);
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s is longer than %d bytes", name,
                           TRUST_FILE_MAX_BYTES);
    }
    if (t != NULL) {
        t->store = X509_STORE_new();
        bio = BIO_new_mem_buf(len_bytes > 0 ? pem : "", (int)len_bytes);
    }
    if (t == NULL || t->store == NULL || bio == NULL) {
        result = certificate_cause(
            f, failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for %s", name));
    } else {
        result = add_anchors(t->store, bio, name, f);
    }
    BIO_free(bio);
    if (result != 0) {
        trust_free(t);
        return result;
    }
    *out = t;
    return 0;
}

int trust_load(const char *ca_path, struct trust **out, struct failure *f)
{
    BUFFER_AUTO(content, TRUST_FILE_MAX_BYTES);
    int result;

    result = guarded_file_read(ca_path, GUARDED_PUBLIC, &content, f);
    return result != 0 ? result : trust_parse(ca_path, content.data, content.len_bytes, out, f);
}

void trust_free(struct trust *t)
{
    if (t != NULL) {
        X509_STORE_free(t->store);
        free(t->patterns);
        free(t);
    }
}

/* --- whom they may speak for ------------------------------------------------------------------- */

static const char *next_pattern(const char *pattern)
{
    return pattern + strlen(pattern) + 1;
}

const char *trust_pattern_fault(const char *pattern)
{
    const char *fault = identity_pattern_fault(pattern);

    return fault == NULL && !identity_is_of_certificate(pattern)
               ? "an authority speaks for spiffe:, dns: and cn: only"
               : fault;
}

int trust_bind(struct trust *t, const char *patterns, struct failure *f)
{
    const char *end = patterns;

    while (*end != '\0') {
        end = next_pattern(end);
    }
    size_t bytes = (size_t)(end - patterns) + 1;
    char *copy = malloc(bytes);

    if (copy == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for patterns");
    }
    memcpy(copy, patterns, bytes);
    free(t->patterns);
    t->patterns = copy;
    return 0;
}

bool trust_may_name(const struct trust *t, const char *identity)
{
    if (t->patterns == NULL) {
        return true;
    }
    for (const char *pattern = t->patterns; *pattern != '\0'; pattern = next_pattern(pattern)) {
        if (text_glob(pattern, identity)) {
            return true;
        }
    }
    return false;
}

/* --- verifying -------------------------------------------------------------------------------- */

static void free_context(X509_STORE_CTX **ctx)
{
    X509_STORE_CTX_free(*ctx);
    ERR_clear_error();
}

#define CONTEXT_AUTO __attribute__((cleanup(free_context))) X509_STORE_CTX

static int set_up(X509_STORE_CTX *ctx, const struct trust *t, const struct chain *chain,
                  int64_t now_s)
{
    if (ctx == NULL || X509_STORE_CTX_init(ctx, t->store, chain->leaf, chain->others) != 1) {
        return -1;
    }
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

    if (X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT) != 1 ||
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) != 1) {
        return -1;
    }
    X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
    X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
    return 0;
}

int trust_verify(const struct trust *t, const struct chain *chain, int64_t now_s,
                 enum identity_fault *fault, struct failure *f)
{
    CONTEXT_AUTO *ctx = X509_STORE_CTX_new();

    *fault = IDENTITY_BAD_CERTIFICATE;
    if (set_up(ctx, t, chain, now_s) != 0) {
        return certificate_cause(f,
                                 failure_set(f, ERROR_UNAUTHENTICATED, "cannot begin to verify"));
    }
    if (X509_verify_cert(ctx) != 1) {
        int error = X509_STORE_CTX_get_error(ctx);
        int result = failure_set(f, ERROR_UNAUTHENTICATED, "the certificate is not accepted: %s",
                                 X509_verify_cert_error_string(error));

        *fault = certificate_fault(error);
        return failure_cause(f, result,
                             "certificate %d of the chain, counted from the client's as 0",
                             X509_STORE_CTX_get_error_depth(ctx));
    }
    *fault = IDENTITY_OK;
    return 0;
}
