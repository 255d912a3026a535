/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Run times of a domain's vCPUs, as a hypervisor has them now: from the table that some share, recognised
 * by its magic and read under its sequence lock, else by hypercall. Whose they are the caller checks. Any
 * thread, with its own handle of the backend.
 */
#ifndef XENRES_MAPPER_RUN_TIMES_H
#define XENRES_MAPPER_RUN_TIMES_H

#include "server/mapper/backend.h"

struct run_times {
    struct message_vcpu *vcpus; /* the caller's, with room for `max` */
    uint32_t max;
    uint32_t count;
    uint32_t source; /* enum vcpu_stats_source */
    uint32_t maps;   /* made for it, and undone */
};

int run_times_read(const struct backend_ops *ops, struct backend *backend, uint16_t domid,
                   struct run_times *out, struct failure *f);

#endif
