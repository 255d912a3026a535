/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Files of certificate revocation lists: whole ones, of several authorities, and nothing but what can
 * be honoured. A delta, a list of some certificates only or of several issuers, one with a critical
 * extension, one whose digest is weak, and a second one of the same authority's key are refused: what
 * such a list says, or which of two counts, would have to be guessed. Any thread.
 */
#ifndef XENRES_AUTH_CRL_H
#define XENRES_AUTH_CRL_H

#include <openssl/x509.h>

#include "common/error.h"

enum {
    CRL_LISTS_MAX = 64,
    CRL_FILE_MAX_BYTES = 16 << 20,
};

/* Adds the lists of a PEM text to `store`, whose certificates are anchors: of a list that seems to be
 * of one of them, that one has to have signed it. -ERROR_INVALID_ARGUMENT otherwise. */
int crl_parse(X509_STORE *store, const char *name, const void *pem, size_t len_bytes,
              struct failure *f);

#endif
