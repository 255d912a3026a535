/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Tokens whose signature was verified, so that this is done once for many connections: found by the
 * SHA-256 of their text, which is not kept here. What is remembered is only that it was genuine and
 * what it says. Whether it has expired, is bound to this connection's certificate, or is revoked, is
 * looked at each time.
 *
 * A memory belongs to the issuers and keys by which it was filled, and goes with them at a reload.
 * It is bounded: in a full bucket the one that has expired goes, else the one that was not asked for
 * the longest. Only genuine tokens come in, so no stranger can push others out. Any thread.
 */
#ifndef XENRES_AUTH_TOKEN_MEMORY_H
#define XENRES_AUTH_TOKEN_MEMORY_H

#include <stddef.h>

#include "auth/token.h"

enum {
    TOKEN_MEMORY_WAYS = 8,
    TOKEN_MEMORY_BUCKETS = 128,
    TOKEN_MEMORY_MAX = TOKEN_MEMORY_WAYS * TOKEN_MEMORY_BUCKETS,
    TOKEN_DIGEST_BYTES = 32,
};

struct token_memory;
struct token_memory *token_memory_new(void);    /* NULL: no memory */
void token_memory_free(struct token_memory *m); /* NULL is fine */

/* False where OpenSSL fails: it is not looked up, and not remembered. */
bool token_digest(struct token_memory *m, const char *token, size_t len,
                  uint8_t digest[TOKEN_DIGEST_BYTES]);
/* True with what it says, where it is known and has not expired at `now_s`. */
bool token_memory_find(struct token_memory *m, const uint8_t digest[TOKEN_DIGEST_BYTES],
                       int64_t now_s, struct token *out);
void token_memory_keep(struct token_memory *m, const uint8_t digest[TOKEN_DIGEST_BYTES],
                       int64_t now_s, const struct token *token);

#endif
