/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Run times of a domain's vCPUs: from the table that some hypervisors share, recognised by its magic
 * and read under its sequence lock, else by hypercall. The same answer either way, with its source.
 */
#ifndef XENRES_MAPPER_STATS_H
#define XENRES_MAPPER_STATS_H

#include "server/mapper/mapper.h"

int stats_read(struct mapper *m, const struct message_vcpu_stats *request, union message *out,
               struct failure *f);

#endif
