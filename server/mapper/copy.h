/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The one copy primitive: bytes of a foreign mapping are read once, by aligned 64-bit atomic loads,
 * and hashed while they are hot. So the consistency of every snapshot is "each aligned 8 bytes".
 *
 * A guest writes these pages while they are read, and may die under the mapping: loads and stores
 * run under a guard that turns SIGBUS and SIGSEGV at the source or at the destination into an
 * error. Nothing else in the mapper may dereference a mapping.
 *
 * Owns the process's handlers of those two signals and a secret of this start. Any thread, once
 * copy_init() has returned; a digest is one thread's at a time.
 */
#ifndef XENRES_MAPPER_COPY_H
#define XENRES_MAPPER_COPY_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum {
    COPY_STEP_BYTES = 1 << 20, /* at most so much in one call, so that nobody waits long */
    COPY_DIGEST_BYTES = 16,
    COPY_SEQUENCE_RETRIES = 64, /* looks at an entry whose writer is always in the midst */
};

/* Installs the guard and draws the secret. Once, before anything else here. */
int copy_init(struct failure *f);

/* A digest that grows with the copy: XXH3-128, keyed with the secret of this start, so that a guest
 * that chooses content cannot make two contents look the same. */
struct copy_digest;
struct copy_digest *copy_digest_new(void); /* NULL: no memory */
void copy_digest_free(struct copy_digest *d);
void copy_digest_begin(struct copy_digest *d);
void copy_digest_add(struct copy_digest *d, const void *bytes, size_t len_bytes);
void copy_digest_end(struct copy_digest *d, uint8_t out[COPY_DIGEST_BYTES]);

/*
 * Copies `len_bytes` (a multiple of 8, at most COPY_STEP_BYTES) between addresses that are multiples
 * of 8, and adds them to `d` (may be NULL). -ERROR_ABORTED when the pages under `from` went away,
 * -ERROR_RESOURCE_EXHAUSTED when there was no memory for those under `to`; `to` is then undefined.
 */
int copy_step(void *to, const volatile void *from, size_t len_bytes, struct copy_digest *d,
              struct failure *f);

/*
 * Reads one 64-bit value under a sequence lock, the named exception to reading once: `sequence` is
 * a 32-bit number (in the lower half of an aligned 64-bit word) that is odd while `value` changes.
 * Returns 0, -ERROR_UNAVAILABLE when the writer was in the midst at each of COPY_SEQUENCE_RETRIES
 * looks, -ERROR_ABORTED as above.
 */
int copy_sequence_locked(const volatile uint64_t *sequence, const volatile uint64_t *value,
                         uint64_t *out, struct failure *f);

#endif
