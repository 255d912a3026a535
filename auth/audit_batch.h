/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Records that are written at once (audit_write_batch()): one call of the kernel for all of them, which costs
 * more than all else of a record. Plain data of one thread; all zeros are an empty one.
 */
#ifndef XENRES_AUTH_AUDIT_BATCH_H
#define XENRES_AUTH_AUDIT_BATCH_H

#include "auth/audit_record.h"

enum {
    AUDIT_BATCH_RECORDS = 32,
    AUDIT_BATCH_BYTES = 16384, /* of their bodies; four at least have room */
};

struct audit_batch {
    size_t count, len_bytes;
    uint16_t lens_bytes[AUDIT_BATCH_RECORDS];
    char bytes[AUDIT_BATCH_BYTES]; /* one body behind the other */
};

/* Not of an event that floods. False: it has no room; an empty one takes any. */
bool audit_batch_add(struct audit_batch *b, const struct audit_record *r, uint64_t wall_ns);
void audit_batch_clear(struct audit_batch *b);

#endif
