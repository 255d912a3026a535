/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A small public key infrastructure for demonstrations, tests and first installations: a CA, a
 * server certificate, client certificates, all P-256. Files are written whole or not at all; keys
 * with mode 0600. Nothing that exists is overwritten.
 */
#ifndef XENRES_AUTH_PKI_H
#define XENRES_AUTH_PKI_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct pki_subject {
    const char *common_name;        /* may be NULL */
    const char *const *uris;        /* URI SANs, NULL-ended; may be NULL */
    const char *const *dns_names;   /* DNS SANs, NULL-ended; may be NULL */
    const char *const *addresses;   /* IP SANs in text, NULL-ended; may be NULL */
    bool server;                    /* EKU serverAuth, else clientAuth */
    int valid_days;                 /* tests may pass a negative number: expired */
};

/* Writes DIR/NAME.crt and DIR/NAME.key. */
int pki_make_ca(const char *dir, const char *name, const char *common_name, int valid_days,
                struct failure *f);
/* Issues from DIR/CA.crt and DIR/CA.key. */
int pki_issue(const char *dir, const char *ca, const char *name, const struct pki_subject *subject,
              struct failure *f);

#endif
