/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What one identity may hold at a time, so that none can take more than its share: calls in flight,
 * and bytes of the arena and of what is kept of it. Over a limit is resource_exhausted at once, never a
 * wait. Identities are told apart by their text alone: more certificates for one name are no larger
 * share. One table behind one lock; any thread. Identities without anything held take no room.
 */
#ifndef XENRES_AUTH_QUOTA_H
#define XENRES_AUTH_QUOTA_H

#include <stdint.h>

#include "auth/identity.h"

enum { QUOTA_IDENTITIES_MAX = 4096 }; /* that hold something at one time */

struct quota;
struct quota_limits {
    uint32_t calls_per_identity;
    uint64_t arena_bytes_per_identity;
};
int quota_new(const struct quota_limits *limits, struct quota **out, struct failure *f);
void quota_free(struct quota *q); /* everything must have been given back */

/* Another limit from now on, as when the arena turns out to be larger or smaller; what is held stays. */
void quota_set_arena_limit(struct quota *q, uint64_t bytes_per_identity);

/* Takes one call and `arena_bytes` (0 is fine), both or none; quota_give() gives both back, with
 * the same number. -ERROR_RESOURCE_EXHAUSTED names the limit. */
int quota_take(struct quota *q, const struct identity *who, uint64_t arena_bytes,
               struct failure *f);
void quota_give(struct quota *q, const struct identity *who, uint64_t arena_bytes);

/* Bytes alone, of streams: how many streams there are is limited where they subscribe. Released in
 * parts as large as the caller likes. */
int quota_hold(struct quota *q, const struct identity *who, uint64_t arena_bytes,
               struct failure *f);
void quota_release(struct quota *q, const struct identity *who, uint64_t arena_bytes);

#endif
