/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The public keys that an issuer signs its tokens with: a JWK set (RFC 7517) in a file that nobody
 * else could have changed. Taken are EC keys on P-256, RSA keys of 2048 to 4096 bits, and Ed25519,
 * each with a `kid` of its own, for the algorithm that its `alg` names, or for those of its kind.
 *
 * Keys for something else (`use` is not "sig", `key_ops` has no "verify", another curve or algorithm)
 * are left out: issuers publish such ones beside. Refused, with the whole file, is what must not be
 * there: secrets (`oct`, a private key), weak or malformed keys, two of one `kid`, and a set of which
 * nothing is left. Immutable once loaded; any thread.
 */
#ifndef XENRES_AUTH_JWKS_H
#define XENRES_AUTH_JWKS_H

#include "auth/jose.h"
#include "common/error.h"

enum {
    JWKS_KEYS_MAX = 64, /* in the file, also those left out */
    JWKS_FILE_MAX_BYTES = 256 * 1024,
    JWKS_KID_BYTES = 128, /* with its NUL */
    JWKS_RSA_MIN_BITS = 2048,
    JWKS_DIGEST_BYTES = 32,
    JWKS_RSA_MAX_BITS = 4096, /* verifying costs a stranger nothing, and us more with each bit */
};

struct jwks;

/* -ERROR_NOT_FOUND, -ERROR_FAILED_PRECONDITION: others could write it; -ERROR_INVALID_ARGUMENT: as
 * above, with the number of the key, counted from 1. */
int jwks_load(const char *path, struct jwks **out, struct failure *f);
/* The same from memory; `name` is for the failure. */
int jwks_parse(const char *name, const void *text, size_t len_bytes, struct jwks **out,
               struct failure *f);
void jwks_free(struct jwks *set);          /* NULL is fine */
size_t jwks_count(const struct jwks *set); /* without those left out */

struct jwks_key {
    char kid[JWKS_KID_BYTES];
    unsigned algorithms; /* that it is for: bits 1 << enum jose_algorithm */
    EVP_PKEY *key;
    uint8_t digest[JWKS_DIGEST_BYTES]; /* SHA-256 of it: another one of the same kid is another */
};
const struct jwks_key *jwks_find(const struct jwks *set, const char *kid); /* NULL: none */
bool jwks_has(const struct jwks *set, const uint8_t digest[JWKS_DIGEST_BYTES]);

#endif
