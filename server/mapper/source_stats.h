/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A source of run times: its image is a struct message_vcpu for each vCPU that the domain may have, whose
 * number is its index, and zeros up to a whole block. Read as VCPU_STATS is; the domain is looked at before
 * and after.
 */
#ifndef XENRES_MAPPER_SOURCE_STATS_H
#define XENRES_MAPPER_SOURCE_STATS_H

#include "server/mapper/source.h"

int source_stats_new(const struct backend_domain *known, struct source **out, struct failure *f);

#endif
