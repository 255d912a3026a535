/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Certificates looked at before they are used: what will not do, and what will not do for much longer.
 * For the operator's checks; nobody is let in or kept out by what is said here. Every finding is told
 * at once, with the line of its file in which the certificate begins. Leaves OpenSSL's error queue
 * empty. Any thread.
 */
#ifndef XENRES_AUTH_EXAMINE_H
#define XENRES_AUTH_EXAMINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EXAMINE_SOON_DAYS = 30, /* an end that is nearer is a warning */
    EXAMINE_LIST_SOON_DAYS =
        7, /* the same of a list that is good for 28 days or more, else a quarter */
    EXAMINE_CERTIFICATES_MAX = 256, /* of one file; one more is a fault */
    EXAMINE_SECURITY_BITS =
        112, /* RSA of 2048 bits, curves of 224: what TLS libraries still take */
};

enum examine_level { EXAMINE_NOTE, EXAMINE_WARNING, EXAMINE_FAULT };

struct examine_finding {
    enum examine_level level;
    unsigned line;    /* 0: of the whole file */
    const char *text; /* what was found, and for all but notes the cure */
    bool
        of_the_time; /* a fault that it has now, and that another day, or a clock that is right, has not */
};

struct examine_options {
    int64_t now_s;
    void (*tell)(void *arg, const struct examine_finding *finding);
    void *arg;
};

/*
 * A server's certificate and its intermediates. Faults: expired, not yet valid, not for TLS servers,
 * without a name that clients could look for, a weak key or signature, a chain that does not hold
 * together. A text without any is no fault here: who loads it says so. Warnings: ends soon; is an
 * authority's; says nothing of its purpose; does not have `address`, an IP address that the server listens at
 * (NULL: any). Notes: its days left, and which authority clients have to have.
 */
void examine_server(const struct examine_options *o, const void *pem, size_t len_bytes,
                    const char *address);
/* What says of authorities whom they have revoked (auth/crl.h), and the certificates that it is for. Faults:
 * a list that is older than it says it may be, or of the future, and an authority without one: whom they have
 * issued is refused then. Warnings: one that is to be replaced soon, one of none of these authorities,
 * and, where `accept_expired`, an old one. Notes: how long they count. */
struct examine_lists {
    const void *lists, *authorities; /* PEM */
    size_t lists_len_bytes, authorities_len_bytes;
    bool accept_expired;
};
void examine_lists(const struct examine_options *o, const struct examine_lists *what);
/* Certificates of authorities: expired or not yet valid ones, such as are none's, weak keys, ends soon. */
void examine_authorities(const struct examine_options *o, const void *pem, size_t len_bytes);

#endif
