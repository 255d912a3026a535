/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a connection begins with: the server's certificate and key, and whom it trusts. Immutable and
 * counted: a reload makes a new one, connections keep theirs. Any thread.
 */
#ifndef XENRES_HTTP_CREDENTIALS_H
#define XENRES_HTTP_CREDENTIALS_H

#include <gnutls/gnutls.h>

#include "server/http/listener.h"

struct credentials;

/* -ERROR_INVALID_ARGUMENT: not PEM, an encrypted key, a key of another certificate. */
int credentials_new(const struct listener_pem *pem, struct trust *trust, struct credentials **out,
                    struct failure *f);
struct credentials *credentials_ref(struct credentials *c);
void credentials_unref(struct credentials *c); /* NULL is fine */

gnutls_certificate_credentials_t credentials_gnutls(const struct credentials *c);
const struct trust *credentials_trust(const struct credentials *c);

#endif
