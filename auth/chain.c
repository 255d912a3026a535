/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/chain.h"

#include <openssl/err.h>

#include "auth/certificate.h"
#include "auth/name.h"

void chain_done(struct chain *c)
{
    sk_X509_pop_free(c->others, X509_free);
    X509_free(c->leaf);
    *c = (struct chain){ 0 };
    ERR_clear_error();
}

static int decode(struct chain *c, const struct identity_der *certificates, size_t count,
                  struct failure *f)
{
    c->others = sk_X509_new_null();
    if (c->others == NULL) {
        return failure_set(f, ERROR_UNAUTHENTICATED, "out of memory for a peer's certificates");
    }
    c->leaf = certificate_decode(certificates[0].bytes, certificates[0].len_bytes, f);
    if (c->leaf == NULL) {
        return -ERROR_UNAUTHENTICATED;
    }
    for (size_t i = 1; i < count; i++) {
        X509 *other = certificate_decode(certificates[i].bytes, certificates[i].len_bytes, f);

        if (other == NULL) {
            return -ERROR_UNAUTHENTICATED;
        }
        if (sk_X509_push(c->others, other) <= 0) {
            X509_free(other);
            return failure_set(f, ERROR_UNAUTHENTICATED, "out of memory for a peer's certificates");
        }
    }
    return 0;
}

int chain_decode(struct chain *out, const struct identity_der *certificates, size_t count,
                 enum identity_fault *fault, struct failure *f)
{
    *fault = IDENTITY_NO_CERTIFICATE;
    if (count == 0) {
        return failure_set(f, ERROR_UNAUTHENTICATED, "the peer showed no certificate");
    }
    *fault = IDENTITY_BAD_CERTIFICATE;
    if (count > IDENTITY_CHAIN_MAX) {
        return failure_set(f, ERROR_UNAUTHENTICATED,
                           "the peer sent %zu certificates; at most %d are taken", count,
                           IDENTITY_CHAIN_MAX);
    }
    int result = decode(out, certificates, count, f);

    if (result != 0) {
        chain_done(out);
    }
    return result;
}

int chain_identity(const struct chain *c, struct identity *out, struct failure *f)
{
    struct identity who = { .is_bound = true }; /* the TLS library has seen that it holds the key */
    int result = certificate_check_client(c->leaf, f);

    if (result == 0) {
        result = name_read(c->leaf, who.text, f);
    }
    if (result == 0) {
        result = certificate_facts(c->leaf, &who, f);
    }
    if (result == 0) {
        *out = who;
    }
    return result;
}
