/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What signed tokens and the sets of their keys are made of (RFC 7515, 7517, 7518, 8037): base64url
 * in its one spelling, JSON objects of which no two parsers can think differently, and the four
 * algorithms. `none` is not one of them, nor is any with a shared secret: a public key would be that
 * secret (RFC 8725, 2.1). Over OpenSSL and jansson. Pure, any thread.
 */
#ifndef XENRES_AUTH_JOSE_H
#define XENRES_AUTH_JOSE_H

#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

enum jose_algorithm {
    JOSE_ES256, /* ECDSA on P-256 with SHA-256; the signature is R and S, 32 bytes each */
    JOSE_RS256, /* RSASSA-PKCS1-v1_5 with SHA-256 */
    JOSE_PS256, /* RSASSA-PSS with SHA-256, MGF1 of it, and a salt of its length */
    JOSE_EDDSA, /* Ed25519 */
    JOSE_ALGORITHM_COUNT
};
const char *jose_algorithm_name(enum jose_algorithm a); /* "ES256" */
/* As it is written, in this case: false for all others. */
bool jose_algorithm_find(const char *name, enum jose_algorithm *out);

/* Appends the bytes of base64url without padding; false for any other spelling of them (the other
 * alphabet, padding, bits left over), or where the buffer failed. */
bool jose_decode(struct buffer *out, const char *text, size_t len);

/* One JSON object and nothing behind it: UTF-8, no member twice at any depth (also not when written
 * with escapes), no NUL. The caller gives it back. NULL with `*why`, which quotes nothing of it. */
json_t *jose_object(const void *bytes, size_t len_bytes, const char **why);
#define JOSE_AUTO __attribute__((cleanup(jose_release))) json_t
void jose_release(json_t **value);
/* The member's string, or NULL where it is none. */
const char *jose_string(const json_t *object, const char *name);

/* True if `signature` is one of these bytes by `key` in this algorithm. `key` has to be of its kind
 * (jwks.h sees to that). Leaves OpenSSL's error queue empty. */
bool jose_verify(enum jose_algorithm a, EVP_PKEY *key, const void *bytes, size_t len_bytes,
                 const uint8_t *signature, size_t signature_len_bytes);

#endif
