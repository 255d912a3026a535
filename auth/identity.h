/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who somebody is: what all that a client may show comes to, and why he is not let in. Plain data.
 * auth/access decides; see there.
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
};

/* `spiffe:…` of exactly one URI SAN, which has to be a SPIFFE ID; else `dns:…` of exactly one DNS
 * SAN, in lower case; else `cn:…` of exactly one common name. Two of a kind are refused, and the
 * next kind is not tried then. Printable ASCII without spaces, * and ?, so that each can be written as it is
 * where somebody is denied; anything else is refused. */
struct identity {
    char text[IDENTITY_TEXT_BYTES]; /* "spiffe:spiffe://example.org/agent" */
    uint8_t fingerprint[32];        /* SHA-256 of the connection's certificate; zeros: none */
    int64_t
        not_after_s; /* the end of what was shown, seconds since 1970: the first to end of a chain */
    char token_id[IDENTITY_TOKEN_ID_BYTES]; /* of the token that was shown; "": none */
    char groups[IDENTITY_GROUPS_BYTES]; /* that a token claims, each NUL-ended, an empty one last */
    bool is_bound; /* whoever shows this has proved to hold a key that belongs to it */
};

/* Why a peer is not let in: what the TLS alert and the metrics say. */
enum identity_fault {
    IDENTITY_OK = 0,
    IDENTITY_NO_CERTIFICATE, /* alert certificate_required */
    IDENTITY_UNKNOWN_CA,     /* unknown_ca: no anchor of ours above it, self-signed */
    IDENTITY_EXPIRED,        /* certificate_expired; also not yet valid */
    IDENTITY_REVOKED,        /* certificate_revoked: by its authority, or by the deny list */
    IDENTITY_UNCHECKED, /* bad_certificate: its authority's revocation list is missing or old */
    IDENTITY_NOT_SPOKEN_FOR,  /* access_denied: its authority may not speak for this identity */
    IDENTITY_BAD_CERTIFICATE, /* bad_certificate: malformed, wrong signature or usage, weak key,
                                   no name, too many */
};

/* A certificate as received. */
struct identity_der {
    const uint8_t *bytes;
    size_t len_bytes;
};

#endif
