/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The one name in a certificate: `spiffe:URI` of exactly one URI SAN, else `dns:NAME` of exactly
 * one DNS SAN, else `cn:NAME` of exactly one common name. A kind that is there but cannot be used
 * (two of them, a URI that is no SPIFFE ID, a wildcard) is refused; the next kind is never tried
 * instead, so that nobody is taken for somebody else. Pure, any thread.
 */
#ifndef XENRES_AUTH_NAME_H
#define XENRES_AUTH_NAME_H

#include <openssl/x509.h>

#include "auth/identity.h"

/* -ERROR_UNAUTHENTICATED with what is wrong. `out` is changed on success only. */
int name_read(const X509 *certificate, char out[IDENTITY_TEXT_BYTES], struct failure *f);

#endif
