/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The resources of simulated guests: sizes and mappings, by Xen's rules: mapping beyond what is in use
 * makes a grant table grow, the first acquire allocates ioreq pages, a mapping keeps a dead domain.
 * The functions are those of backend.h.
 */
#ifndef XENRES_SIM_RESOURCE_H
#define XENRES_SIM_RESOURCE_H

#include "server/mapper/backend.h"

int resource_size(struct backend *b, uint16_t domid, uint32_t type, uint32_t id,
                  struct backend_size *out, struct failure *f);
int resource_map(struct backend *b, uint16_t domid, uint32_t type, uint32_t id,
                 uint32_t first_frame, uint32_t frame_count, struct backend_mapping *out,
                 struct failure *f);
void resource_unmap(struct backend *b, struct backend_mapping *mapping);

#endif
