/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The cache of live mappings: to map costs much more than to copy a few frames, so hot resources
 * stay mapped for a while. Keyed by incarnation, type, id and range.
 *
 * A mapping keeps the frames of a dead domain, and so the domain itself as a zombie: so all of an
 * incarnation are unmapped the moment that it ends, in the midst of a copy too (which is why copies
 * hold a reference, and no address, from one step to the next). ioreq and grant status frames never
 * come here: a guest that goes back to version 1 while its status frames are mapped is refused or
 * crashed by Xen, and a device model's server that is made anew with the same id has other pages. They
 * are mapped for one step each, by snapshot.
 *
 * Bounded in number and in frames; the one unused longest makes room. Owns the backend's mappings
 * that it has made. One thread.
 */
#ifndef XENRES_MAPPER_MAPPING_H
#define XENRES_MAPPER_MAPPING_H

#include "common/error.h"
#include "server/mapper/backend.h"

enum { MAPPING_FRAMES_MAX = 131072 }; /* in all: page tables of 1 MiB */

struct mapping_cache;

struct mapping_key {
    uint8_t incarnation[16];
    uint16_t domid;
    uint32_t type, id, first_frame, frame_count;
};

/* A pinned mapping; valid to keep after it was dropped: it then resolves to nothing. */
struct mapping_ref {
    uint32_t index;
    uint32_t generation; /* 0: refers to nothing */
};

int mapping_cache_new(const struct backend_ops *ops, struct backend *backend, uint32_t count_max,
                      uint64_t idle_ns, struct mapping_cache **out, struct failure *f);
void mapping_cache_free(struct mapping_cache *c); /* unmaps all; NULL is fine */

/* A live mapping that covers the key's range, made if need be, pinned until mapping_put(). */
int mapping_get(struct mapping_cache *c, const struct mapping_key *key, struct mapping_ref *out,
                struct failure *f);
/* Where `first_frame` is mapped now; NULL when the mapping was dropped since. */
const volatile uint8_t *mapping_resolve(const struct mapping_cache *c, struct mapping_ref ref,
                                        uint32_t first_frame);
void mapping_put(struct mapping_cache *c, struct mapping_ref *ref);
/* Unmaps it at once, whoever else has it pinned, and forgets the reference: its pages are gone. */
void mapping_discard(struct mapping_cache *c, struct mapping_ref *ref);

/* Unmap at once: all of an incarnation, pinned or not; all; all that nobody used for a while. */
void mapping_drop_incarnation(struct mapping_cache *c, const uint8_t incarnation[16]);
void mapping_drop_all(struct mapping_cache *c);
void mapping_drop_idle(struct mapping_cache *c, uint64_t now_ns);
/* When mapping_drop_idle() has something to do; UINT64_MAX: never. */
uint64_t mapping_idle_deadline_ns(const struct mapping_cache *c);

uint32_t mapping_count(const struct mapping_cache *c);
struct mapping_usage {
    uint32_t count;       /* live */
    uint64_t frame_count; /* of those */
    uint64_t made;        /* since the cache is */
};
struct mapping_usage mapping_usage(const struct mapping_cache *c);
/* The key of one live mapping after the other, NULL behind the last; `*at` begins as 0. */
const struct mapping_key *mapping_next(const struct mapping_cache *c, uint32_t *at);
/* Domids of live mappings, each once, at most `max`: whom the loop has to look after. */
uint32_t mapping_domids(const struct mapping_cache *c, uint16_t *out, uint32_t max);

#endif
