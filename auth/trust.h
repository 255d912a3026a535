/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One file of trust anchors, the identities that they may speak for, and their revocation lists.
 *
 * Accepted is a certificate that was issued for TLS clients and is no authority's, below an anchor
 * through at most three authorities that say they are such, all of them valid at the time given,
 * with keys and digests of 112 bits or more (RSA 2048, P-256, SHA-256), and without a critical
 * extension that OpenSSL does not know. Nothing but the file is trusted: no system store, no
 * fetching. Where there are lists, there has to be one of every authority between the client and the
 * anchor, valid at that time, and none of their certificates on it: what cannot be checked is
 * refused.
 *
 * Built by one thread, immutable from then on: any thread.
 */
#ifndef XENRES_AUTH_TRUST_H
#define XENRES_AUTH_TRUST_H

#include <stdbool.h>

#include "auth/chain.h"

enum {
    TRUST_ANCHORS_MAX = 64, /* certificates in the file of anchors */
    TRUST_FILE_MAX_BYTES = 1 << 20,
};

struct trust;

/* Trust anchors from a PEM text of one or more CA certificates and nothing else; each is an anchor,
 * whether self-signed or not. They may speak for everybody until trust_bind(). `name` is for
 * failures. -ERROR_INVALID_ARGUMENT: something else is in it. */
int trust_parse(const char *name, const void *pem, size_t len_bytes, struct trust **out,
                struct failure *f);
/* The same of a file. -ERROR_FAILED_PRECONDITION: others could write it. */
int trust_load(const char *ca_path, struct trust **out, struct failure *f);
/* Revocation lists for what is below the anchors, once (auth/crl.h). From then on, also where it
 * fails, nobody is let in by these anchors who cannot be checked. */
int trust_add_crls(struct trust *t, const char *name, const void *pem, size_t len_bytes,
                   struct failure *f);
int trust_load_crls(struct trust *t, const char *path, struct failure *f);
/* A list that is older than it says it may be counts as if it were not. */
void trust_accept_expired_crls(struct trust *t);
void trust_free(struct trust *t); /* NULL is fine */

/* They may speak for identities of these patterns only, each NUL-ended, an empty one last; borrowed
 * until this returns. */
int trust_bind(struct trust *t, const char *patterns, struct failure *f);
/* NULL where it is a pattern that identities of certificates can have, else what is wrong with it. */
const char *trust_pattern_fault(const char *pattern);

/* Does the chain lead to one of the anchors, at the time `now_s`? Then *end_s is when the first of what it
 * took for that ends, the anchor included. -ERROR_UNAUTHENTICATED with `*fault` set. */
int trust_verify(const struct trust *t, const struct chain *chain, int64_t now_s, int64_t *end_s,
                 enum identity_fault *fault, struct failure *f);
/* Does one of its lists stop to count behind `since_s`, and until `now_s`? What trust_verify() said before
 * that is worth nothing then. */
bool trust_lists_end(const struct trust *t, int64_t since_s, int64_t now_s);
/* May they speak for it? */
bool trust_may_name(const struct trust *t, const char *identity);

#endif
