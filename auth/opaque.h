/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Opaque bearer tokens, for sites that have no issuer of others: `xr_ID_SECRET`, found by its id, and
 * verified by a salted hash of all of it. The file of them (xenresd-tokens(5)) holds no token.
 *
 * The hash is one HMAC-SHA-256, keyed with the salt, and not one that is made slow: what it protects
 * are 256 random bits and no password, of which no dictionary exists, and a slow one would let
 * strangers spend our time. The salt keeps the hashes of one secret in two files from being alike.
 * Immutable once loaded; any thread.
 */
#ifndef XENRES_AUTH_OPAQUE_H
#define XENRES_AUTH_OPAQUE_H

#include "auth/token.h"
#include "common/buffer.h"

#define OPAQUE_PREFIX "xr_"

enum {
    OPAQUE_TOKENS_MAX = 1024,
    OPAQUE_FILE_MAX_BYTES = 1 << 20,
    OPAQUE_NAME_BYTES = 65, /* these with their NUL */
    OPAQUE_ID_BYTES = 17,   /* 16 digits, hexadecimal */
    OPAQUE_DATE_BYTES = 21, /* "2027-01-31T00:00:00Z" */
    OPAQUE_TOKEN_BYTES = 3 + 16 + 1 + 43 + 1,
    OPAQUE_SALT_BYTES = 16,
    OPAQUE_HASH_BYTES = 32,
};

/* A line of the file. */
struct opaque_entry {
    char name[OPAQUE_NAME_BYTES]; /* letters, digits and _ . - */
    char id[OPAQUE_ID_BYTES];
    uint8_t salt[OPAQUE_SALT_BYTES];
    uint8_t hash[OPAQUE_HASH_BYTES];
    int64_t expires_s;                  /* the first second in which it is worth nothing */
    char groups[IDENTITY_GROUPS_BYTES]; /* as in struct identity */
    unsigned line;                      /* counted from 1 */
};

struct opaque_set;
/* -ERROR_INVALID_ARGUMENT with the line; -ERROR_NOT_FOUND, -ERROR_FAILED_PRECONDITION as of
 * guarded_file_read(). An empty file is an empty set. */
int opaque_load(const char *path, struct opaque_set **out, struct failure *f);
int opaque_parse(const char *name, const char *text, size_t len, struct opaque_set **out,
                 struct failure *f);
void opaque_free(struct opaque_set *set); /* NULL is fine */
size_t opaque_count(const struct opaque_set *set);
const struct opaque_entry *opaque_at(const struct opaque_set *set, size_t index);

/* Is it one of this kind at all? */
bool opaque_is_one(const char *token, size_t len);
/* -ERROR_UNAUTHENTICATED as of token_refuse(). The secret is compared in constant time. */
int opaque_verify(const struct opaque_set *set, const char *token, size_t len, int64_t now_s,
                  struct token *out, struct failure *f);

/* Is the line of this verified token, of `name`, still there, with the same secret and groups, and no earlier
 * end? */
bool opaque_has(const struct opaque_set *set, const struct token *token, const char *name);

/* Makes a token of new random numbers, and appends its line, with a line end. `groups`: with commas
 * between; "": none. -ERROR_INVALID_ARGUMENT: a name, a date or groups that cannot be. */
int opaque_make(const char *name, const char *groups, int64_t expires_s,
                char token[OPAQUE_TOKEN_BYTES], struct buffer *line, struct failure *f);
/* In UTC. False: beyond the year 9999, or before 1970. */
bool opaque_date(int64_t seconds, char out[OPAQUE_DATE_BYTES]);

#endif
