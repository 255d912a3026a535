/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the host has: itself, and the domains that the export list lets be listed, in pages; and the
 * event that tells the peer that the list is no longer what it was, at most one in
 * INVENTORY_EVENT_MS.
 */
#ifndef XENRES_MAPPER_INVENTORY_H
#define XENRES_MAPPER_INVENTORY_H

#include "server/mapper/mapper.h"

enum { INVENTORY_EVENT_MS = 100 };

void inventory_host(struct mapper *m, const struct message_plain *request, union message *out);
int inventory_domains(struct mapper *m, const struct message_domains *request, union message *out,
                      struct failure *f);

/* A domain as the peer is told of it. */
struct message_domain inventory_domain(const struct directory_entry *e);

/* What was last announced to the peer. Zeroed for a new peer. */
struct inventory_announced {
    uint64_t generation;
    uint64_t sent_ns;
};
/* Announces a newer generation, if it is time. Returns when it will be (monotonic); UINT64_MAX:
 * there is nothing to announce. */
uint64_t inventory_announce(struct mapper *m, struct inventory_announced *last);

#endif
