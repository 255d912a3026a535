/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Run times of vCPUs by hypercall (xc_vcpu_getinfo), one a vCPU, nothing paused: what is left where
 * the hypervisor shares no stats table, as none does yet. The mapper's thread.
 */
#ifndef XENRES_MAPPER_XEN_STATS_H
#define XENRES_MAPPER_XEN_STATS_H

#include "server/mapper/backend.h"

int stats_vcpu_info(struct backend *b, uint16_t domid, struct message_vcpu *out, uint32_t max,
                    uint32_t *count, struct failure *f);

#endif
