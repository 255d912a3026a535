/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Records that are written at once: one call of the kernel for all of them, which costs more than all else
 * of a record. Each is added where its decision is made; whoever lets the first thing out has the batch
 * written (audit_write_batch()), and with it all that were added by then. From there on it takes no more,
 * and the others find theirs written, or not.
 *
 * Counted: each decision holds one reference until it is over. Any thread; its lock is innermost.
 */
#ifndef XENRES_AUTH_AUDIT_BATCH_H
#define XENRES_AUTH_AUDIT_BATCH_H

#include "auth/audit_record.h"

enum {
    AUDIT_BATCH_RECORDS = 32,
    AUDIT_BATCH_BYTES = 16384, /* of their bodies; four at least have room */
};

/* One body behind the other. */
struct audit_bodies {
    size_t count, len_bytes;
    uint16_t lens_bytes[AUDIT_BATCH_RECORDS];
    char bytes[AUDIT_BATCH_BYTES];
};

enum audit_batch_state { AUDIT_BATCH_OPEN, AUDIT_BATCH_WRITTEN, AUDIT_BATCH_FAILED };

struct audit_batch;
struct audit_batch *audit_batch_new(void); /* NULL: no memory */
struct audit_batch *audit_batch_ref(struct audit_batch *b);
void audit_batch_unref(struct audit_batch *b); /* NULL is fine */

/* Not of an event that floods. False: it has no room, or takes no more; an empty one takes any. */
bool audit_batch_add(struct audit_batch *b, const struct audit_record *r, uint64_t wall_ns);

/* For the audit: nothing is added any more, and once that is written or has failed, how it went.
 * `sequence` is that of the last record. */
const struct audit_bodies *audit_batch_close(struct audit_batch *b);
void audit_batch_end(struct audit_batch *b, bool is_written, uint64_t sequence);
enum audit_batch_state audit_batch_state(const struct audit_batch *b, uint64_t *sequence);

#endif
