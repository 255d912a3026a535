/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Tokens that only this gateway can make: page tokens now, cursors later. HMAC-SHA256 over purpose,
 * length and content, in URL-safe base64. The content is not secret, only unforgeable. Immutable
 * after loading; any thread.
 */
#ifndef XENRES_AUTH_SEAL_H
#define XENRES_AUTH_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"

enum { SEAL_CONTENT_MAX_BYTES = 512, SEAL_TOKEN_MAX_BYTES = 1024 };

struct seal;
/* The key at `path` (32 bytes, mode 0600), made there when there is none. */
int seal_load(const char *path, struct seal **out, struct failure *f);
void seal_free(struct seal *s);     /* wipes the key */

int seal_make(const struct seal *s, const char *purpose, const void *content, size_t len_bytes,
              struct buffer *token, struct failure *f);
/* -ERROR_INVALID_ARGUMENT where the token is none of ours, or of another purpose. */
int seal_open(const struct seal *s, const char *purpose, const char *token, void *content,
              size_t max_bytes, size_t *len_bytes, struct failure *f);

#endif
