/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_batch.h"

#include <assert.h>

bool audit_batch_add(struct audit_batch *b, const struct audit_record *r, uint64_t wall_ns)
{
    assert(!audit_event_floods(r->event));
    if (b->count == AUDIT_BATCH_RECORDS || sizeof b->bytes - b->len_bytes < AUDIT_BODY_MAX_BYTES) {
        return false;
    }
    size_t len = audit_record_format(r, wall_ns, b->bytes + b->len_bytes);

    b->lens_bytes[b->count++] = (uint16_t)len;
    b->len_bytes += len;
    return true;
}
_Static_assert(AUDIT_BODY_MAX_BYTES <= UINT16_MAX && AUDIT_BATCH_BYTES >= 4 * AUDIT_BODY_MAX_BYTES,
               "lengths and bodies have room");

void audit_batch_clear(struct audit_batch *b)
{
    b->count = 0;
    b->len_bytes = 0; /* what is not added, is not read */
}
