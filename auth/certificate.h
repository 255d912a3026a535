/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Certificates: bytes to OpenSSL's object and back to facts, strictly, and what a refusal of
 * OpenSSL's means here. Leaves OpenSSL's error queue empty. Any thread.
 */
#ifndef XENRES_AUTH_CERTIFICATE_H
#define XENRES_AUTH_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "auth/identity.h"

#define X509_AUTO __attribute__((cleanup(certificate_free))) X509

/* Exactly one certificate in exactly its canonical bytes: nothing behind it, no second spelling.
 * NULL with `f` (ERROR_UNAUTHENTICATED) otherwise. X509_free() releases it. */
X509 *certificate_decode(const uint8_t *der, size_t len_bytes, struct failure *f);

void certificate_free(X509 **certificate);

/* Checks of a verified certificate's own statements: that it was issued for a TLS client. */
int certificate_check_client(X509 *certificate, struct failure *f);

/* Seconds since 1970 of one of its times, or of a revocation list's. False: it cannot be read. */
bool certificate_time(const ASN1_TIME *time, int64_t *out_s);
/* Its end and its SHA-256. */
int certificate_facts(const X509 *certificate, struct identity *out, struct failure *f);

/* What an X509_V_ERR_… means to the peer. */
enum identity_fault certificate_fault(int verify_error);

/* OpenSSL's reason for its last error, as a failure's cause; empties the queue; returns `result`.
 */
int certificate_cause(struct failure *f, int result);

#endif
