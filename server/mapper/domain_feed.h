/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The feed of what happens to the host's domains: events in a ring, numbered from 1, of those domains
 * alone that the export list lets be listed. One that it no longer lists after a change of its name is
 * gone, for whoever reads this; one that it lists only since then is created.
 *
 * One thread, the mapper's loop.
 */
#ifndef XENRES_MAPPER_DOMAIN_FEED_H
#define XENRES_MAPPER_DOMAIN_FEED_H

#include "server/mapper/allowance.h"
#include "server/mapper/directory.h"
#include "server/mapper/export.h"

enum { DOMAIN_FEED_BYTES = 2 << 20 }; /* 1,200 events; less where no spool may be so large */

struct domain_feed;

/* `export` outlives it. */
int domain_feed_new(const struct export_list *export, uint64_t most_bytes, struct allowance *memory,
                    struct domain_feed **out, struct failure *f);
void domain_feed_free(
    struct domain_feed *d); /* NULL is fine; what others have open stays readable */
const uint8_t *domain_feed_id(const struct domain_feed *d);
int domain_feed_fd(const struct domain_feed *d);
uint64_t domain_feed_bytes(const struct domain_feed *d); /* its capacity */
uint64_t domain_feed_events(const struct domain_feed *d);

/* A change that the directory tells of, which is then at `generation`. True: there is an event. */
bool domain_feed_tell(struct domain_feed *d, enum feed_domain_kind kind,
                      const struct directory_entry *e, const struct domain_identity *before,
                      uint64_t generation);
void domain_feed_end(struct domain_feed *d, enum feed_end_reason reason);

#endif
