/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a connection begins with: the server's certificate and key, and what decides who its client
 * is. Immutable and counted: a reload makes a new one, which new connections begin with, and by whose
 * access those that are open are judged from then on. Any thread.
 */
#ifndef XENRES_HTTP_CREDENTIALS_H
#define XENRES_HTTP_CREDENTIALS_H

#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "server/http/listener.h"

struct credentials;
struct credentials_pair; /* certificate and key: counted by themselves */

/* -ERROR_INVALID_ARGUMENT: not PEM, an encrypted key, a key of another certificate. */
int credentials_new(const struct listener_pem *pem, struct access *access, struct credentials **out,
                    struct failure *f);
/* With the certificate and key of `old`. */
int credentials_with_access(const struct credentials *old, struct access *access,
                            struct credentials **out, struct failure *f);
struct credentials *credentials_ref(struct credentials *c);
void credentials_unref(struct credentials *c); /* NULL is fine */

const struct access *credentials_access(const struct credentials *c);

/* A reference to what TLS needs as long as a session lasts, which may be long: not to an access that was in
 * force when it began. */
struct credentials_pair *credentials_take_pair(const struct credentials *c);
void credentials_pair_unref(struct credentials_pair *p); /* NULL is fine */
gnutls_certificate_credentials_t credentials_gnutls(const struct credentials_pair *p);

/* Those in force. */
struct credentials_place {
    pthread_mutex_t lock;                      /* of the reference */
    _Atomic(struct credentials *) credentials; /* counted; NULL before the first */
};

void credentials_place_init(struct credentials_place *p);
void credentials_place_done(struct credentials_place *p);
/* Takes the caller's reference to `fresh`. */
void credentials_exchange(struct credentials_place *p, struct credentials *fresh);
struct credentials *credentials_current(struct credentials_place *p); /* a reference */
/* `c`, which the caller holds, is the one in force; without the lock. */
bool credentials_are_current(const struct credentials_place *p, const struct credentials *c);

#endif
