/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the mapper counts, for the peer's metrics: sums and gauges, and nothing that names a domain.
 * Asks the hypervisor nothing, so that being watched costs the host nothing. Domains of which the
 * export list lets nothing be listed are not counted either: how many there are is not to leave this
 * host. One thread.
 */
#ifndef XENRES_MAPPER_COUNTERS_H
#define XENRES_MAPPER_COUNTERS_H

#include "server/mapper/mapper.h"

void counters_read(const struct mapper *m, const struct message_plain *request, union message *out);

/* Domains that live mappings keep though they are dead, dying or another by now: 0, or mappings are
 * not dropped when they have to be. Each counts once. `feeds` may be NULL. */
uint32_t counters_zombies(const struct mapping_cache *mappings, const struct feed_table *feeds,
                          const struct directory *directory);

#endif
