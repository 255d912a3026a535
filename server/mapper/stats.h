/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The answer to VCPU_STATS: run times of a domain's vCPUs, in a slot. One thread.
 */
#ifndef XENRES_MAPPER_STATS_H
#define XENRES_MAPPER_STATS_H

#include "server/mapper/mapper.h"

int stats_read(struct mapper *m, const struct message_vcpu_stats *request, union message *out,
               struct failure *f);

#endif
