/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The table behind auth/quota.h, for quota.c, which counts, and quota_table.c, which knows who is there and
 * what his limits are. All functions with the lock, but for quota_table_hit().
 */
#ifndef XENRES_AUTH_QUOTA_TABLE_H
#define XENRES_AUTH_QUOTA_TABLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "auth/bucket.h"
#include "auth/quota.h"

enum { QUOTA_BUCKETS = 1024 }; /* a power of two */

struct holder {
    struct holder *chain;
    TAILQ_ENTRY(holder) idle; /* where it holds nothing */
    struct quota_share share;
    unsigned share_number; /* of the limits that `share` is of */
    uint64_t groups;       /* a hash of those that it is of */
    uint32_t calls, snapshots;
    uint64_t arena_bytes;
    uint32_t starts;       /* that are under way */
    uint64_t start_pauses; /* of those */
    struct bucket requests, bytes;
    char identity[];
};

struct quota {
    uint64_t seed; /* so that nobody can choose names that fall into one bucket */
    _Atomic uint64_t hits[QUOTA_LIMIT_COUNT];
    pthread_mutex_t lock; /* for what follows; no other lock is taken under it */
    struct quota_limits limits;
    struct policy *policy;         /* counted; NULL: none */
    unsigned share_number;         /* counts the limits: a row of another number has old ones */
    struct bucket requests, bytes; /* of all */
    uint32_t snapshots;
    uint64_t start_pauses, starts_ended; /* of all */
    uint32_t holder_count;
    TAILQ_HEAD(, holder) idle; /* the one that was here longest ago first */
    struct holder *buckets[QUOTA_BUCKETS];
};

bool quota_table_holds_nothing(const struct holder *h);
/* The identity's row, made where there is none, with its limits of now. NULL: all rows are of others that
 * hold something, or memory ran out. */
struct holder *quota_table_get(struct quota *q, const struct identity *who, uint64_t now_ns);
/* One that holds something, which must be there. */
struct holder *quota_table_holder(struct quota *q, const struct identity *who);
/* After every change of what it holds. */
void quota_table_note(struct quota *q, struct holder *h, bool held_nothing);
/* Counts a refusal, and gives back `result`. */
int quota_table_hit(struct quota *q, enum quota_limit limit, int result);

#endif
