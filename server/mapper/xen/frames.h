/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Resources' sizes and their frames, mapped and unmapped (libxenforeignmemory).
 *
 * Every mapping is read-only, of at least one frame, at an address that the kernel chose, and is
 * neither protected anew (mprotect() on it breaks the kernel's bookkeeping) nor split. It is gone
 * in a forked child. Sizes are never taken as they come: an answer beyond what the type can have is
 * refused, since Xen 4.15 to 4.17 answer 4294967201 frames for a type that they do not know.
 *
 * What is in use of a grant table is asked for by xc_gnttab_query_size(), because mapping a frame
 * beyond it makes the guest's table grow for good. Errors as failure_xen() words them. The mapper's
 * thread.
 */
#ifndef XENRES_MAPPER_XEN_FRAMES_H
#define XENRES_MAPPER_XEN_FRAMES_H

#include "server/mapper/backend.h"

int frames_size(struct backend *b, uint16_t domid, uint32_t type, uint32_t id,
                struct backend_size *out, struct failure *f);
int frames_map(struct backend *b, uint16_t domid, uint32_t type, uint32_t id, uint32_t first_frame,
               uint32_t frame_count, struct backend_mapping *out, struct failure *f);
void frames_unmap(struct backend *b, struct backend_mapping *mapping);

#endif
