/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who a peer is: its certificate chain verified, and one typed identity read from the same object.
 *
 * The TLS library proves that the peer holds the key of the first certificate; everything else is
 * decided here, by OpenSSL, so that no two parsers can disagree about one certificate. Accepted is
 * a certificate that was issued for TLS clients (extendedKeyUsage has clientAuth: absent is
 * refused) and is no authority's, below an anchor of ours through at most three authorities that
 * say they are such, all of them valid at the time given, with keys and digests of 112 bits or more
 * (RSA 2048, P-256, SHA-256), and without a critical extension that OpenSSL does not know. Nothing
 * but the anchors' file is trusted: no system store, no fetching. Revocation lists are not read
 * yet.
 *
 * A `struct trust` is immutable once loaded, counted, and shared by all threads: a reload makes a
 * new one.
 */
#ifndef XENRES_AUTH_IDENTITY_H
#define XENRES_AUTH_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum {
    IDENTITY_TEXT_BYTES = 512, /* longer names are refused */
    IDENTITY_TOKEN_ID_BYTES = 64,
    IDENTITY_GROUPS_BYTES = 512, /* of all groups; more are refused */
    IDENTITY_CHAIN_MAX = 4,      /* certificates that a peer may send */
    IDENTITY_CERTIFICATE_MAX_BYTES = 16384,
    TRUST_ANCHORS_MAX = 64, /* certificates in the file of anchors */
    TRUST_FILE_MAX_BYTES = 1 << 20,
};

/* `spiffe:…` of exactly one URI SAN, which has to be a SPIFFE ID; else `dns:…` of exactly one DNS
 * SAN, in lower case; else `cn:…` of exactly one common name. Two of a kind are refused, and the
 * next kind is not tried then. Printable ASCII without spaces; anything else is refused. */
struct identity {
    char text[IDENTITY_TEXT_BYTES]; /* "spiffe:spiffe://example.org/agent" */
    uint8_t fingerprint[32];        /* SHA-256 of the connection's certificate; zeros: none */
    int64_t not_after_s;            /* the end of what was shown, seconds since 1970 */
    char token_id[IDENTITY_TOKEN_ID_BYTES]; /* of the token that was shown; "": none */
    char groups[IDENTITY_GROUPS_BYTES]; /* that a token claims, each NUL-ended, an empty one last */
    bool is_bound; /* whoever shows this has proved to hold a key that belongs to it */
};

/* Why a peer is not let in: what the TLS alert and the metrics say. */
enum identity_fault {
    IDENTITY_OK = 0,
    IDENTITY_NO_CERTIFICATE,  /* alert certificate_required */
    IDENTITY_UNKNOWN_CA,      /* unknown_ca: no anchor of ours above it, self-signed */
    IDENTITY_EXPIRED,         /* certificate_expired; also not yet valid */
    IDENTITY_REVOKED,         /* certificate_revoked */
    IDENTITY_BAD_CERTIFICATE, /* bad_certificate: malformed, wrong signature or usage, weak key,
                                   no name, too many */
};

struct trust;

/* Trust anchors from a PEM file of one or more CA certificates and nothing else; each is an anchor,
 * whether self-signed or not. -ERROR_INVALID_ARGUMENT: something else is in it;
 * -ERROR_FAILED_PRECONDITION: others could write it. */
int trust_load(const char *ca_path, struct trust **out, struct failure *f);
/* The same from memory; `name` is for the failure. */
int trust_parse(const char *name, const void *pem, size_t len_bytes, struct trust **out,
                struct failure *f);
struct trust *trust_ref(struct trust *t);
void trust_unref(struct trust *t); /* NULL is fine */

struct identity_der {
    const uint8_t *bytes;
    size_t len_bytes;
};

/* Verifies the chain (leaf first; as received, hostile) at the time `now_s` for TLS client use, and
 * reads the identity. -ERROR_UNAUTHENTICATED with `*fault` set. */
int trust_verify(const struct trust *t, const struct identity_der *chain, size_t chain_count,
                 int64_t now_s, struct identity *out, enum identity_fault *fault,
                 struct failure *f);

#endif
