/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A private key in PEM (RFC 7468), taken apart here: GnuTLS, which can do it too, makes a copy of the text on
 * its way and gives that back to the heap as it is. What is made here is wiped. Any thread.
 */
#ifndef XENRES_HTTP_KEY_PEM_H
#define XENRES_HTTP_KEY_PEM_H

#include <gnutls/x509.h>
#include <stddef.h>

#include "common/error.h"

/* The first block whose label ends in "PRIVATE KEY"; the caller deinitializes *out. -ERROR_INVALID_ARGUMENT:
 * there is none, or it cannot be read, as when it is encrypted. */
int key_pem_read(const void *pem, size_t len_bytes, gnutls_x509_privkey_t *out, struct failure *f);

#endif
