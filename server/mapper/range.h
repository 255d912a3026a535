/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What may be asked of which resource, and which frames a snapshot comes to. Everything that Xen
 * would answer oddly (frames that wrap, sizes that cannot be, tables that grow) is
 * refused here, before any call that could do it. Pure, but for the size that it asks for.
 */
#ifndef XENRES_MAPPER_RANGE_H
#define XENRES_MAPPER_RANGE_H

#include "server/mapper/backend.h"

struct copy_digest;

enum {
    /* More frames than any resource has: 4 GiB of a grant table would be absurd. */
    RANGE_FRAMES_MAX = 1 << 20,
};

struct range {
    struct backend_size size;
    uint32_t first_frame, frame_count;
    uint32_t first_status_frame, status_frame_count; /* with SNAPSHOT_WITH_STATUS */
};

/* What is wrong whatever the domain is: type, id, count 0, flags. */
int range_check_request(const struct message_snapshot *r, struct failure *f);
/* Asks for the size, and checks the range against what is in use. */
int range_resolve(const struct backend_ops *ops, struct backend *backend,
                  const struct message_snapshot *r, struct range *out, struct failure *f);
/* After the copy: a grant table that changed its version or grew meanwhile is -ERROR_ABORTED. */
int range_recheck(const struct backend_ops *ops, struct backend *backend,
                  const struct message_snapshot *r, const struct range *range, struct failure *f);
/* A size that the backend gave is none that can be: -ERROR_INTERNAL. */
int range_check_size(uint16_t domid, uint32_t type, uint32_t id, const struct backend_size *size,
                     struct failure *f);
/* Begins a digest with what is copied, before the content: equal bytes of another domain or range are not
 * "unchanged". */
void range_begin_digest(struct copy_digest *d, const struct message_snapshot *r,
                        const struct range *range);

#endif
