/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who somebody is, and whether he still is: all that decides it, as it was read from its files at one
 * moment. The anchors of clients' certificates with what each may speak for and their revocation
 * lists, issuers and files of bearer tokens, and the deny list.
 *
 * The TLS library proves that the peer holds the key of the first certificate; everything else is
 * decided here, by OpenSSL.
 *
 * Immutable once loaded, counted, and shared by all threads: a reload makes a new one, which is
 * exchanged whole.
 */
#ifndef XENRES_AUTH_ACCESS_H
#define XENRES_AUTH_ACCESS_H

#include "auth/deny.h"
#include "auth/identity.h"
#include "auth/tokens.h"
#include "auth/trust.h"
#include "common/buffer.h"

enum {
    ACCESS_TRUSTS_MAX = 17, /* xenresd.conf's sections, and its tls.client_ca */
    ACCESS_FILES_MAX = 2 * ACCESS_TRUSTS_MAX + TOKENS_ISSUERS_MAX + 2,
};

struct access;

/* Paths of files, and what else the configuration says. "" (or NULL): none. */
struct access_trust {
    const char *ca, *crl;
    const char *identities; /* patterns, each NUL-ended, an empty one last; NULL: everybody */
};
struct access_options {
    struct access_trust trusts[ACCESS_TRUSTS_MAX];
    size_t trust_count;
    struct tokens_source tokens;
    const char *deny;
    bool accept_expired_crl; /* a list that is older than it says it may be counts all the same */
};

/* All or nothing. Every fault is a line in `faults`; the result is the first one's, and so is `f`. */
int access_load(const struct access_options *options, struct access **out, struct buffer *faults,
                struct failure *f);
/* The files that access_load() reads; how many. Paths of `options`. */
size_t access_files(const struct access_options *options, const char *paths[ACCESS_FILES_MAX]);
/* Of parts, which are its own from then on, in any case. `deny` may be NULL. */
int access_new(struct trust *const *trusts, size_t trust_count, struct deny *deny,
               struct access **out, struct failure *f);
struct access *access_ref(struct access *a);
void access_unref(struct access *a); /* NULL is fine */

/*
 * Verifies the chain (leaf first; as received, hostile) at the time `now_s` for TLS client use, and
 * reads the identity. -ERROR_UNAUTHENTICATED with `*fault` set.
 *
 * One anchor file that verifies it and may speak for the identity suffices; but what one of them has
 * revoked is revoked. It is good until the first of the chain ends, the anchor included; by the anchor file
 * by which that is latest.
 */
int access_certificate(const struct access *a, const struct identity_der *certificates,
                       size_t count, int64_t now_s, struct identity *out,
                       enum identity_fault *fault, struct failure *f);

/* Is any bearer token accepted? */
bool access_takes_tokens(const struct access *a);
/* tokens_are_cheap(), which see. */
bool access_token_is_cheap(struct access *a, const char *token, size_t len, int64_t now_s);
/* Who bears `token`: as tokens_verify() and tokens_still(), which see. The deny list is not looked at:
 * access_still() is asked at each request anyway. */
int access_token(struct access *a, const char *token, size_t len,
                 const struct identity *certificate, int64_t now_s, struct token *out,
                 struct failure *f);
int access_token_still(const struct access *a, const struct token *token, struct failure *f);

/* Is that, which was found before, to be let go on? -ERROR_UNAUTHENTICATED: what was shown has
 * ended, or the deny list keeps it out; *fault, where not NULL: IDENTITY_EXPIRED or IDENTITY_REVOKED.
 * Of revocation lists it knows nothing: a certificate is verified again for those, when they are others,
 * and when one stops to count. */
int access_still(const struct access *a, const struct identity *who, int64_t now_s,
                 enum identity_fault *fault, struct failure *f);
/* Does a revocation list stop to count behind `since_s`, and until `now_s`? */
bool access_lists_end(const struct access *a, int64_t since_s, int64_t now_s);

#endif
