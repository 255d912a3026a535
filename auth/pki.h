/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A small public key infrastructure for demonstrations, tests and first installations: a CA, a
 * server certificate, client certificates, all P-256 with SHA-256. Each file is written whole or
 * not at all, and a certificate never without its key; keys have mode 0600 (PKCS #8, not
 * encrypted). Nothing that exists is overwritten. Any thread.
 */
#ifndef XENRES_AUTH_PKI_H
#define XENRES_AUTH_PKI_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct pki_subject {
    const char *common_name;      /* may be NULL */
    const char *const *uris;      /* URI SANs, NULL-ended; may be NULL */
    const char *const *dns_names; /* DNS SANs, NULL-ended; may be NULL */
    const char *const *addresses; /* IP SANs in text, NULL-ended; may be NULL */
    bool server;                  /* EKU serverAuth, else clientAuth */
    int valid_days;               /* tests may pass a negative number: expired */
};

enum { PKI_VALID_DAYS_MAX = 36500 };

/*
 * Writes DIR/NAME.crt and DIR/NAME.key. A name is letters, digits, and _ . - , and begins with none
 * of those three. -ERROR_ALREADY_EXISTS: one of the two is there; -ERROR_INVALID_ARGUMENT: a name
 * or subject that cannot be. The CA signs leaf certificates only (pathlen 0).
 */
int pki_make_ca(const char *dir, const char *name, const char *common_name, int valid_days,
                struct failure *f);
/* Issues from DIR/CA.crt and DIR/CA.key. */
int pki_issue(const char *dir, const char *ca, const char *name, const struct pki_subject *subject,
              struct failure *f);

#endif
