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
#include "auth/crl.h"
#include "auth/guarded_file.h"
#include "auth/identity_pattern.h"
#include "auth/pem.h"
#include "common/buffer.h"
#include "common/text.h"

/* 112 bits, NIST SP 800-57's floor: refuses RSA below 2048, curves below 224 bits, and SHA-1. */
enum { SECURITY_LEVEL = 2 };

struct trust {
    X509_STORE *store; /* immutable once loaded; OpenSSL locks its cache itself */
    char *patterns;    /* each NUL-ended, an empty one last; NULL: everybody */
    bool has_crls, accepts_expired_crls;
};

/* --- loading ---------------------------------------------------------------------------------- */

struct reading {
    struct trust *trust;
    const char *name;
};

/* A signature of its own over itself proves nothing, but that the file is as it was written. */
static bool is_damaged(X509 *anchor)
{
    return X509_NAME_cmp(X509_get_subject_name(anchor), X509_get_issuer_name(anchor)) == 0 &&
           X509_check_issued(anchor, anchor) == X509_V_OK &&
           X509_verify(anchor, X509_get0_pubkey(anchor)) != 1;
}

static int add_anchor(void *arg, const uint8_t *der, size_t len_bytes, unsigned number,
                      struct failure *f)
{
    const struct reading *r = arg;
    struct failure why = { 0 };
    X509_AUTO *anchor = certificate_decode(der, len_bytes, &why);

    if (anchor == NULL) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "certificate %u in %s cannot be read",
                                 number, r->name);
        return failure_cause(f, result, "%s", why.message);
    }
    /* 1: its basic constraints say so. Other positive answers are guesses about old ones. */
    if (X509_check_ca(anchor) != 1) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT,
                                 "certificate %u in %s is not an authority's", number, r->name);
        return failure_next(f, result,
                            "put the certificate of the authority that issues clients there");
    }
    if (is_damaged(anchor)) {
        return certificate_cause(f, failure_set(f, ERROR_INVALID_ARGUMENT,
                                                "certificate %u in %s is damaged: its signature of "
                                                "itself is wrong",
                                                number, r->name));
    }
    if (X509_STORE_add_cert(r->trust->store, anchor) != 1) {
        return certificate_cause(f,
                                 failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                                             "cannot keep certificate %u of %s", number, r->name));
    }
    return 0;
}

int trust_parse(const char *name, const void *pem, size_t len_bytes, struct trust **out,
                struct failure *f)
{
    static const struct pem_kind kind = {
        .label = PEM_STRING_X509,
        .noun = "certificate",
        .max = TRUST_ANCHORS_MAX,
        .max_bytes = TRUST_FILE_MAX_BYTES,
    };
    struct trust *t = calloc(1, sizeof *t);
    struct reading reading = { .trust = t, .name = name };
    int result;

    if (t != NULL) {
        t->store = X509_STORE_new();
    }
    if (t == NULL || t->store == NULL) {
        result = certificate_cause(
            f, failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for %s", name));
    } else {
        result = pem_read(&kind, name, pem, len_bytes, add_anchor, &reading, f);
    }
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

int trust_add_crls(struct trust *t, const char *name, const void *pem, size_t len_bytes,
                   struct failure *f)
{
    t->has_crls = true; /* also where it fails: rather nobody than somebody unchecked */
    return crl_parse(t->store, name, pem, len_bytes, f);
}

int trust_load_crls(struct trust *t, const char *path, struct failure *f)
{
    BUFFER_AUTO(content, CRL_FILE_MAX_BYTES);
    int result = guarded_file_read(path, GUARDED_PUBLIC, &content, f);

    return result != 0 ? result : trust_add_crls(t, path, content.data, content.len_bytes, f);
}

void trust_accept_expired_crls(struct trust *t)
{
    t->accepts_expired_crls = true;
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

/* OpenSSL takes a pointer to what is not const, and only gives it back. */
static void *app_data(const struct trust *t)
{
    union {
        const struct trust *constant;
        void *plain;
    } u = { .constant = t };

    return u.plain;
}

#define CONTEXT_AUTO __attribute__((cleanup(free_context))) X509_STORE_CTX

/*
 * OpenSSL asks whether it may go on. Of revocation it may where the anchor itself is checked, whose
 * issuer we do not know and need not; and where a list's time is over, and that was said to be fine.
 */
static int may_go_on(int ok, X509_STORE_CTX *ctx)
{
    const struct trust *t = X509_STORE_CTX_get_app_data(ctx);
    int error = X509_STORE_CTX_get_error(ctx);
    bool is_anchor =
        X509_STORE_CTX_get_error_depth(ctx) == sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) - 1;

    if (ok == 1 || !((error == X509_V_ERR_UNABLE_TO_GET_CRL && is_anchor) ||
                     (error == X509_V_ERR_CRL_HAS_EXPIRED && t->accepts_expired_crls))) {
        return ok;
    }
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

static int set_up(X509_STORE_CTX *ctx, const struct trust *t, const struct chain *chain,
                  int64_t now_s)
{
    if (ctx == NULL || X509_STORE_CTX_init(ctx, t->store, chain->leaf, chain->others) != 1) {
        return -1;
    }
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;

    if (t->has_crls) {
        flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
        X509_STORE_CTX_set_verify_cb(ctx, may_go_on);
    }
    if (X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT) != 1 ||
        X509_STORE_CTX_set_app_data(ctx, app_data(t)) != 1 ||
        X509_VERIFY_PARAM_set_flags(param, flags) != 1) {
        return -1;
    }
    X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
    X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
    return 0;
}

/* An authority whose time is over vouches for nobody, however long the client's certificate may last. */
static int find_end(X509_STORE_CTX *ctx, int64_t *end_s, struct failure *f)
{
    STACK_OF(X509) *verified = X509_STORE_CTX_get0_chain(ctx);
    int64_t first_s = INT64_MAX, one_s;

    for (int i = 0; i < sk_X509_num(verified); i++) {
        if (!certificate_time(X509_get0_notAfter(sk_X509_value(verified, i)), &one_s)) {
            return failure_set(f, ERROR_UNAUTHENTICATED, "an authority's end cannot be read");
        }
        first_s = one_s < first_s ? one_s : first_s;
    }
    *end_s = first_s;
    return 0;
}

bool trust_lists_end(const struct trust *t, int64_t since_s, int64_t now_s)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(t->store);
    int64_t end_s;

    for (int i = 0; i < sk_X509_OBJECT_num(objects) && !t->accepts_expired_crls; i++) {
        const X509_CRL *list = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(objects, i));

        if (list != NULL && certificate_time(X509_CRL_get0_nextUpdate(list), &end_s) &&
            end_s > since_s && end_s <= now_s) { /* OpenSSL's bounds: from that second on */
            return true;
        }
    }
    return false;
}

int trust_verify(const struct trust *t, const struct chain *chain, int64_t now_s, int64_t *end_s,
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
    int result = find_end(ctx, end_s, f);

    if (result == 0) {
        *fault = IDENTITY_OK;
    }
    return result;
}
