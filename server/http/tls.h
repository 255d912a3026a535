/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The TLS of one connection: TLS 1.3 only, a client certificate required, verified by auth, and
 * every refusal told to the peer by the alert that says why. GnuTLS proves possession of the key and
 * protects the records; it parses no certificate to decide anything.
 *
 * Session tickets are off: a resumed session would skip the verification. Runs on the connection's
 * thread.
 */
#ifndef XENRES_HTTP_TLS_H
#define XENRES_HTTP_TLS_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>

#include "server/http/connection.h"
#include "server/http/tally.h"

/* AES-GCM has hardware help; GnuTLS' ChaCha20 would cost six times as much. */
#define TLS_PRIORITIES                                                                             \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:%SERVER_PRECEDENCE"

/* Prepares a session that has not begun. `c` is the session's until it closes; `t` outlives it.
 * `with_client_certificate`: asked for, verified, and required unless
 * c->may_be_anonymous. False: no memory. */
bool tls_begin(struct connection *c, struct tally *t, bool with_client_certificate,
               gnutls_session_t session);

/* Verifies the certificate of the handshake anew, by the access of `c->judged`: sets `c->known` and
 * `c->until_s`. */
void tls_verify_again(struct connection *c, struct tally *t);

/* Of the handshake, as received; how many, 0 where there are none, or too many. The session's. */
size_t tls_certificates(gnutls_session_t session, struct identity_der out[IDENTITY_CHAIN_MAX]);

/* For the daemon's own default credentials, which no session uses. */
int tls_no_certificate(gnutls_session_t session, const gnutls_datum_t *ca_names, int ca_count,
                       const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                       gnutls_pcert_st **chain, unsigned *chain_len, gnutls_privkey_t *key);

#endif
