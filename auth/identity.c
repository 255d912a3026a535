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
#include "auth/identity.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "auth/certificate.h"
#include "auth/guarded_file.h"
#include "auth/name.h"
#include "common/buffer.h"

/* 112 bits, NIST SP 800-57's floor: refuses RSA below 2048, curves below 224 bits, and SHA-1. */
enum { SECURITY_LEVEL = 2 };

struct trust {
    atomic_uint references;
    X509_STORE *store; /* immutable once loaded; OpenSSL locks its cache itself */
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
        atomic_init(&t->references, 1);
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
        trust_unref(t);
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

struct trust *trust_ref(struct trust *t)
{
    unsigned before = atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);

    assert(before > 0 && before < UINT32_MAX);
    return t;
}

void trust_unref(struct trust *t)
{
    if (t == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel);

    assert(before > 0);
    if (before == 1) {
        X509_STORE_free(t->store);
        free(t);
    }
}

/* --- verifying -------------------------------------------------------------------------------- */

struct verification {
    X509 *leaf;
    STACK_OF(X509) * others; /* what the peer sent behind it: untrusted */
    X509_STORE_CTX *ctx;
};

#define VERIFICATION_AUTO __attribute__((cleanup(verification_done))) struct verification

static void verification_done(struct verification *v)
{
    X509_STORE_CTX_free(v->ctx);
    sk_X509_pop_free(v->others, X509_free);
    X509_free(v->leaf);
    ERR_clear_error();
}

static int decode_chain(struct verification *v, const struct identity_der *chain,
                        size_t chain_count, struct failure *f)
{
    v->leaf = certificate_decode(chain[0].bytes, chain[0].len_bytes, f);
    if (v->leaf == NULL) {
        return -ERROR_UNAUTHENTICATED;
    }
    for (size_t i = 1; i < chain_count; i++) {
        X509 *other = certificate_decode(chain[i].bytes, chain[i].len_bytes, f);

        if (other == NULL) {
            return -ERROR_UNAUTHENTICATED;
        }
        if (sk_X509_push(v->others, other) <= 0) {
            X509_free(other);
            return failure_set(f, ERROR_UNAUTHENTICATED, "out of memory for a peer's certificates");
        }
    }
    return 0;
}

static int set_up(struct verification *v, const struct trust *t, int64_t now_s, struct failure *f)
{
    X509_VERIFY_PARAM *param;

    if (X509_STORE_CTX_init(v->ctx, t->store, v->leaf, v->others) != 1) {
        return certificate_cause(f,
                                 failure_set(f, ERROR_UNAUTHENTICATED, "cannot begin to verify"));
    }
    param = X509_STORE_CTX_get0_param(v->ctx);
    if (X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT) != 1 ||
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) != 1) {
        return certificate_cause(f,
                                 failure_set(f, ERROR_UNAUTHENTICATED, "cannot begin to verify"));
    }
    X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
    X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
    return 0;
}

static int verify(struct verification *v, enum identity_fault *fault, struct failure *f)
{
    int result;

    if (X509_verify_cert(v->ctx) != 1) {
        int error = X509_STORE_CTX_get_error(v->ctx);

        *fault = certificate_fault(error);
        result = failure_set(f, ERROR_UNAUTHENTICATED, "the certificate is not accepted: %s",
                             X509_verify_cert_error_string(error));
        return failure_cause(f, result,
                             "certificate %d of the chain, counted from the client's as 0",
                             X509_STORE_CTX_get_error_depth(v->ctx));
    }
    return 0;
}

static int read_identity(struct verification *v, struct identity *out, struct failure *f)
{
    struct identity who = { .is_bound = true }; /* the TLS library has seen that it holds the key */
    int result = certificate_check_client(v->leaf, f);

    if (result == 0) {
        result = name_read(v->leaf, who.text, f);
    }
    if (result == 0) {
        result = certificate_facts(v->leaf, &who, f);
    }
    if (result == 0) {
        *out = who;
    }
    return result;
}

int trust_verify(const struct trust *t, const struct identity_der *chain, size_t chain_count,
                 int64_t now_s, struct identity *out, enum identity_fault *fault, struct failure *f)
{
    VERIFICATION_AUTO v = { 0 };
    int result;

    *fault = IDENTITY_NO_CERTIFICATE;
    if (chain_count == 0) {
        return failure_set(f, ERROR_UNAUTHENTICATED, "the peer showed no certificate");
    }
    *fault = IDENTITY_BAD_CERTIFICATE;
    if (chain_count > IDENTITY_CHAIN_MAX) {
        return failure_set(f, ERROR_UNAUTHENTICATED,
                           "the peer sent %zu certificates; at most %d are taken", chain_count,
                           IDENTITY_CHAIN_MAX);
    }
    v.others = sk_X509_new_null();
    v.ctx = X509_STORE_CTX_new();
    if (v.others == NULL || v.ctx == NULL) {
        return failure_set(f, ERROR_UNAUTHENTICATED, "out of memory for a peer's certificates");
    }
    result = decode_chain(&v, chain, chain_count, f);
    if (result == 0) {
        result = set_up(&v, t, now_s, f);
    }
    if (result == 0) {
        result = verify(&v, fault, f);
    }
    if (result == 0) {
        result = read_identity(&v, out, f);
    }
    if (result == 0) {
        *fault = IDENTITY_OK;
    }
    return result != 0 ? -ERROR_UNAUTHENTICATED : 0;
}
