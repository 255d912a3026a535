/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/quota_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "common/clock.h"

int quota_new(const struct quota_limits *limits, struct quota **out, struct failure *f)
{
    struct quota *q = calloc(1, sizeof *q);
    uint64_t now_ns = clock_monotonic_ns();

    if (q == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for the table of quotas");
    }
    if (getrandom(&q->seed, sizeof q->seed, 0) != (ssize_t)sizeof q->seed ||
        pthread_mutex_init(&q->lock, NULL) != 0) {
        free(q);
        return failure_set(f, ERROR_INTERNAL, "cannot set the table of quotas up");
    }
    q->limits = *limits;
    TAILQ_INIT(&q->idle);
    bucket_init(&q->requests, limits->all.requests_per_second, limits->all.requests_per_second,
                now_ns);
    bucket_init(&q->bytes, limits->all.bytes_per_second, limits->all.bytes_per_second, now_ns);
    *out = q;
    return 0;
}

/* --- the table, with the lock --------------------------------------------------------------------- */

/* Where the identity's holder hangs, or where it would be put. */
static struct holder **find(struct quota *q, const char *identity)
{
    size_t len = strnlen(identity, IDENTITY_TEXT_BYTES);
    struct holder **place =
        &q->buckets[XXH3_64bits_withSeed(identity, len, q->seed) & (QUOTA_BUCKETS - 1)];

    while (*place != NULL && strcmp((*place)->identity, identity) != 0) {
        place = &(*place)->chain;
    }
    return place;
}

static void forget(struct quota *q, struct holder *h)
{
    struct holder **place = find(q, h->identity);

    assert(*place == h);
    *place = h->chain;
    TAILQ_REMOVE(&q->idle, h, idle);
    q->holder_count--;
    free(h);
}

void quota_free(struct quota *q)
{
    if (q == NULL) {
        return;
    }
    while (!TAILQ_EMPTY(&q->idle)) {
        forget(q, TAILQ_FIRST(&q->idle));
    }
    assert(q->holder_count == 0);
    policy_unref(q->policy);
    (void)pthread_mutex_destroy(&q->lock);
    free(q);
}

bool quota_table_holds_nothing(const struct holder *h)
{
    return h->calls == 0 && h->arena_bytes == 0 && h->starts == 0;
}

static uint64_t least(uint64_t limit, uint64_t by_policy)
{
    return limit == 0 || (by_policy > 0 && by_policy < limit) ? by_policy : limit;
}

static void find_share(const struct quota *q, const struct identity *who, struct quota_share *out)
{
    struct policy_limits l = { 0 };

    *out = q->limits.each;
    if (q->policy != NULL) {
        policy_limits_of(q->policy, who, &l);
    }
    out->requests_per_second = least(out->requests_per_second, l.requests_per_second);
    out->bytes_per_second = least(out->bytes_per_second, l.bytes_per_second);
    out->snapshots = (uint32_t)least(out->snapshots, l.snapshots);
    out->streams = (uint32_t)least(out->streams, l.streams);
    out->spool_bytes = least(out->spool_bytes, (uint64_t)l.spool_mib << 20);
    out->pauses_per_second = (uint32_t)least(out->pauses_per_second, l.pauses_per_second);
}

/* The same name may come with other groups: a newer token. */
static uint64_t hash_groups(const struct quota *q, const struct identity *who)
{
    return who->groups[0] != '\0' ? XXH3_64bits_withSeed(who->groups, sizeof(who->groups), q->seed)
                                  : 0;
}

static void bring_up_to_date(const struct quota *q, struct holder *h, const struct identity *who,
                             uint64_t now_ns)
{
    uint64_t groups = hash_groups(q, who);

    if (h->share_number == q->share_number && h->groups == groups) {
        return;
    }
    find_share(q, who, &h->share);
    h->share_number = q->share_number;
    h->groups = groups;
    bucket_set_rate(&h->requests, h->share.requests_per_second, h->share.requests_per_second,
                    now_ns);
    bucket_set_rate(&h->bytes, h->share.bytes_per_second, h->share.bytes_per_second, now_ns);
}

/* NULL: all rows are of others that hold something, or memory ran out. */
static struct holder *add(struct quota *q, const struct identity *who)
{
    size_t len = strnlen(who->text, sizeof(who->text) - 1);

    if (q->holder_count == QUOTA_IDENTITIES_MAX && !TAILQ_EMPTY(&q->idle)) {
        forget(q, TAILQ_FIRST(&q->idle));
    }
    struct holder *h =
        q->holder_count < QUOTA_IDENTITIES_MAX ? calloc(1, sizeof *h + len + 1) : NULL;

    if (h != NULL) {
        memcpy(h->identity, who->text, len);
        h->share_number = q->share_number - 1;
        *find(q, who->text) = h;
        TAILQ_INSERT_TAIL(&q->idle, h, idle);
        q->holder_count++;
    }
    return h;
}

struct holder *quota_table_get(struct quota *q, const struct identity *who, uint64_t now_ns)
{
    struct holder *h = *find(q, who->text);

    if (h == NULL) {
        h = add(q, who);
    } else if (quota_table_holds_nothing(h)) {
        TAILQ_REMOVE(&q->idle, h, idle);
        TAILQ_INSERT_TAIL(&q->idle, h, idle);
    }
    if (h != NULL) {
        bring_up_to_date(q, h, who, now_ns);
    }
    return h;
}

struct holder *quota_table_holder(struct quota *q, const struct identity *who)
{
    struct holder *h = *find(q, who->text);

    assert(h != NULL && !quota_table_holds_nothing(
                            h)); /* given back twice: the accounts would lie from here on */
    return h;
}

void quota_table_note(struct quota *q, struct holder *h, bool held_nothing)
{
    bool is_idle = quota_table_holds_nothing(h);

    if (held_nothing && !is_idle) {
        TAILQ_REMOVE(&q->idle, h, idle);
    } else if (!held_nothing && is_idle) {
        TAILQ_INSERT_TAIL(&q->idle, h, idle);
    }
}

int quota_table_hit(struct quota *q, enum quota_limit limit, int result)
{
    atomic_fetch_add_explicit(&q->hits[limit], 1, memory_order_relaxed);
    return result;
}

/* --- the limits ----------------------------------------------------------------------------------- */

void quota_set_policy(struct quota *q, struct policy *policy)
{
    struct policy *fresh = policy_ref(policy);

    (void)pthread_mutex_lock(&q->lock);
    struct policy *old = q->policy;

    q->policy = fresh;
    q->share_number++;
    (void)pthread_mutex_unlock(&q->lock);
    policy_unref(old);
}

void quota_set_arena_limit(struct quota *q, uint64_t bytes_per_identity)
{
    (void)pthread_mutex_lock(&q->lock);
    q->share_number += q->limits.each.arena_bytes != bytes_per_identity ? 1 : 0;
    q->limits.each.arena_bytes = bytes_per_identity;
    (void)pthread_mutex_unlock(&q->lock);
}

void quota_set_pauses_limit(struct quota *q, uint32_t pauses_per_identity, uint32_t pauses_in_all)
{
    (void)pthread_mutex_lock(&q->lock);
    q->share_number += q->limits.each.pauses_per_second != pauses_per_identity ? 1 : 0;
    q->limits.each.pauses_per_second = pauses_per_identity;
    q->limits.all.pauses_per_second = pauses_in_all;
    (void)pthread_mutex_unlock(&q->lock);
}

uint32_t quota_pauses_in_all(struct quota *q)
{
    (void)pthread_mutex_lock(&q->lock);
    uint32_t pauses = q->limits.all.pauses_per_second;

    (void)pthread_mutex_unlock(&q->lock);
    return pauses;
}

void quota_share_of(struct quota *q, const struct identity *who, struct quota_share *out)
{
    uint64_t now_ns = clock_monotonic_ns();

    (void)pthread_mutex_lock(&q->lock);
    const struct holder *h = quota_table_get(q, who, now_ns);

    if (h != NULL) {
        *out = h->share;
    } else {
        find_share(q, who, out);
    }
    (void)pthread_mutex_unlock(&q->lock);
}

void quota_count_hits(const struct quota *q, uint64_t out[QUOTA_LIMIT_COUNT])
{
    for (int i = 0; i < QUOTA_LIMIT_COUNT; i++) {
        out[i] = atomic_load_explicit(&q->hits[i], memory_order_relaxed);
    }
}
