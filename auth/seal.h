/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Tokens that only this gateway can make: page tokens now, cursors later. Content and its
 * HMAC-SHA256 (over purpose, length and content) in URL-safe base64 without padding; exactly one
 * token for one content. The content is not secret, only unforgeable; it does not expire, and is
 * not bound to a caller: put both into the content where that matters. Immutable after loading; any
 * thread.
 */
#ifndef XENRES_AUTH_SEAL_H
#define XENRES_AUTH_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"

enum {
    SEAL_KEY_BYTES = 32,
    SEAL_PURPOSE_MAX_BYTES = 64,
    SEAL_CONTENT_MAX_BYTES = 512,
    SEAL_TOKEN_MAX_BYTES = 1024,
};

struct seal;
/* The key at `path`, made there when there is none. -ERROR_FAILED_PRECONDITION: another length, or
 * others can read it. */
int seal_load(const char *path, struct seal **out, struct failure *f);
void seal_free(struct seal *s); /* wipes the key */

/* Appends the token. `purpose`: a constant of the caller's. */
int seal_make(const struct seal *s, const char *purpose, const void *content, size_t len_bytes,
              struct buffer *token, struct failure *f);
/* -ERROR_INVALID_ARGUMENT where the token is none of ours, of another purpose, or its content
 * longer than `max_bytes`. */
int seal_open(const struct seal *s, const char *purpose, const char *token, void *content,
              size_t max_bytes, size_t *len_bytes, struct failure *f);

#endif
