/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * HMAC-SHA-256 (FIPS 180-4, FIPS 198-1) over short inputs: the privileged program links no
 * cryptographic library, and needs one digest, once, at its start. Not constant in time. Pure.
 */
#ifndef XENRES_MAPPER_XEN_SHA256_H
#define XENRES_MAPPER_XEN_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_KEY_MAX = 64 };

/* The key has at most SHA256_KEY_MAX bytes. */
void sha256_hmac(const void *key, size_t key_bytes, const void *data, size_t len_bytes,
                 uint8_t out[SHA256_BYTES]);

#endif
