/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The certificates that a peer showed, the client's first: decoded once, verified by as many anchors
 * as there are, and the one identity that is read from the very object that was verified, so that no
 * two parsers can disagree about one certificate. One thread.
 */
#ifndef XENRES_AUTH_CHAIN_H
#define XENRES_AUTH_CHAIN_H

#include <openssl/x509.h>

#include "auth/identity.h"

struct chain {
    X509 *leaf;
    STACK_OF(X509) * others; /* what the peer sent behind it: untrusted */
};

/* Zeroed before it is decoded. */
#define CHAIN_AUTO __attribute__((cleanup(chain_done))) struct chain

/* Hostile bytes; 1 to IDENTITY_CHAIN_MAX certificates. -ERROR_UNAUTHENTICATED with `*fault`. */
int chain_decode(struct chain *out, const struct identity_der *certificates, size_t count,
                 enum identity_fault *fault, struct failure *f);
void chain_done(struct chain *c);

/* Of a verified one: that it was issued for a TLS client, and who that is. */
int chain_identity(const struct chain *c, struct identity *out, struct failure *f);

#endif
