/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The deny list: who is kept out, whatever he shows (xenresd-deny(5)). A line is an entry:
 *
 *      fingerprint:HEX64       SHA-256 of a certificate
 *      token:ID                a token's id: `jti`, or an opaque token's
 *      identity:TEXT           an identity, exactly
 *
 * with blanks around it, perhaps, and a comment behind it or alone: # to the line's end. Everything
 * else is a fault, and then nothing of the file counts. So that a file that was cut short is not
 * taken for a shorter list, its last line has an end, and it is not empty: a comment will do.
 *
 * Immutable once loaded: any thread.
 */
#ifndef XENRES_AUTH_DENY_H
#define XENRES_AUTH_DENY_H

#include <stddef.h>

#include "auth/identity.h"
#include "common/buffer.h"

enum {
    DENY_ENTRIES_MAX = 65536,
    DENY_FILE_MAX_BYTES = 8 << 20,
};

struct deny;

/* Each fault is a line `file:line: what was expected` in `faults`, and the result then
 * -ERROR_INVALID_ARGUMENT. Where the file cannot be read, or must not be trusted, nothing is in
 * `faults`, and `f` says why. */
int deny_load(const char *path, struct deny **out, struct buffer *faults, struct failure *f);
/* The same of a text. */
int deny_parse(const char *name, const char *text, size_t len_bytes, struct deny **out,
               struct buffer *faults, struct failure *f);
void deny_free(struct deny *d); /* NULL is fine */

/* The line of an entry that keeps `who` out; 0: none does. `d` NULL: an empty list. */
unsigned deny_find(const struct deny *d, const struct identity *who);

#endif
