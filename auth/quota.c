/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/quota.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <xxhash.h>

#include "auth/bucket.h"
#include "auth/quota_refusal.h"
#include "common/clock.h"

enum { BUCKETS = 1024 }; /* a power of two */

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
    uint64_t starts_ended;
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
    uint32_t holder_count;
    TAILQ_HEAD(, holder) idle; /* the one that was here longest ago first */
    struct holder *buckets[BUCKETS];
};

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
        &q->buckets[XXH3_64bits_withSeed(identity, len, q->seed) & (BUCKETS - 1)];

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

static bool holds_nothing(const struct holder *h)
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

/* The identity's row, made where there is none, with its limits of now. */
static struct holder *get(struct quota *q, const struct identity *who, uint64_t now_ns)
{
    struct holder *h = *find(q, who->text);

    if (h == NULL) {
        h = add(q, who);
    } else if (holds_nothing(h)) {
        TAILQ_REMOVE(&q->idle, h, idle);
        TAILQ_INSERT_TAIL(&q->idle, h, idle);
    }
    if (h != NULL) {
        bring_up_to_date(q, h, who, now_ns);
    }
    return h;
}

/* One that holds something, which must not go. */
static struct holder *get_holder(struct quota *q, const struct identity *who)
{
    struct holder *h = *find(q, who->text);

    assert(h != NULL &&
           !holds_nothing(h)); /* given back twice: the accounts would lie from here on */
    return h;
}

/* Around every change of what it holds. */
static void note_idle(struct quota *q, struct holder *h, bool was_idle)
{
    bool is_idle = holds_nothing(h);

    if (was_idle && !is_idle) {
        TAILQ_REMOVE(&q->idle, h, idle);
    } else if (!was_idle && is_idle) {
        TAILQ_INSERT_TAIL(&q->idle, h, idle);
    }
}

/* Counts a refusal that is not 0. */
static int hit(struct quota *q, enum quota_limit limit, int result)
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

void quota_set_pauses_limit(struct quota *q, uint32_t pauses_per_identity)
{
    (void)pthread_mutex_lock(&q->lock);
    q->share_number += q->limits.each.pauses_per_second != pauses_per_identity ? 1 : 0;
    q->limits.each.pauses_per_second = pauses_per_identity;
    (void)pthread_mutex_unlock(&q->lock);
}

void quota_share_of(struct quota *q, const struct identity *who, struct quota_share *out)
{
    uint64_t now_ns = clock_monotonic_ns();

    (void)pthread_mutex_lock(&q->lock);
    const struct holder *h = get(q, who, now_ns);

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

/* --- rates ---------------------------------------------------------------------------------------- */

/* Refuses by a bucket in which nothing is; 0: something is. */
static int check_rate(struct quota *q, struct bucket *b, enum quota_limit limit, uint64_t now_ns,
                      struct failure *f)
{
    uint64_t wait_ns = bucket_wait_ns(b, 1, now_ns);

    return wait_ns == 0 ? 0 : hit(q, limit, quota_refuse_rate(limit, b->per_second, wait_ns, f));
}

/* Its own limits first: what all have is not asked of who has had his. */
static int request(struct quota *q, struct holder *h, uint64_t now_ns, struct failure *f)
{
    int result = check_rate(q, &h->requests, QUOTA_REQUESTS, now_ns, f);

    if (result == 0) {
        result = check_rate(q, &h->bytes, QUOTA_BYTES, now_ns, f);
    }
    if (result == 0) {
        result = check_rate(q, &q->requests, QUOTA_REQUESTS_IN_ALL, now_ns, f);
    }
    if (result == 0) {
        result = check_rate(q, &q->bytes, QUOTA_BYTES_IN_ALL, now_ns, f);
    }
    if (result == 0) {
        (void)bucket_take(&h->requests, 1, now_ns);
        (void)bucket_take(&q->requests, 1, now_ns);
    }
    return result;
}

int quota_request(struct quota *q, const struct identity *who, struct failure *f)
{
    uint64_t now_ns = clock_monotonic_ns();

    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = get(q, who, now_ns);
    int result =
        h != NULL ? request(q, h, now_ns, f) : hit(q, QUOTA_IDENTITIES, quota_refuse_identity(f));

    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

uint64_t quota_sent(struct quota *q, const struct identity *who, uint64_t bytes)
{
    uint64_t now_ns = clock_monotonic_ns(), own_ns = 0;

    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = get(q, who, now_ns);

    if (h != NULL) {
        bucket_charge(&h->bytes, bytes, now_ns);
        own_ns = bucket_wait_ns(&h->bytes, 1, now_ns);
    }
    bucket_charge(&q->bytes, bytes, now_ns);
    uint64_t all_ns = bucket_wait_ns(&q->bytes, 1, now_ns);

    (void)pthread_mutex_unlock(&q->lock);
    return own_ns > all_ns ? own_ns : all_ns;
}

void quota_slowed(struct quota *q)
{
    (void)hit(q, QUOTA_STREAM_BYTES, 0);
}

/* --- what is held --------------------------------------------------------------------------------- */

static int check_call(struct quota *q, const struct holder *h, enum quota_call kind,
                      struct failure *f)
{
    const struct quota_share *s = &h->share;
    uint32_t in_all = q->limits.all.snapshots;

    if (s->calls > 0 && h->calls >= s->calls) {
        return hit(q, QUOTA_CALLS, quota_refuse_calls(QUOTA_CALLS, h->calls, s->calls, f));
    }
    if (kind != QUOTA_CALL_SNAPSHOT) {
        return 0;
    }
    if (s->snapshots > 0 && h->snapshots >= s->snapshots) {
        return hit(q, QUOTA_SNAPSHOTS,
                   quota_refuse_calls(QUOTA_SNAPSHOTS, h->snapshots, s->snapshots, f));
    }
    if (in_all > 0 && q->snapshots >= in_all) {
        return hit(q, QUOTA_SNAPSHOTS_IN_ALL,
                   quota_refuse_calls(QUOTA_SNAPSHOTS_IN_ALL, q->snapshots, in_all, f));
    }
    return 0;
}

static int check_bytes(struct quota *q, const struct holder *h, uint64_t bytes, struct failure *f)
{
    uint64_t limit = h->share.arena_bytes;
    uint64_t room = h->arena_bytes < limit ? limit - h->arena_bytes : 0;

    return limit == 0 || bytes <= room
               ? 0
               : hit(q, QUOTA_ARENA, quota_refuse_arena(h->arena_bytes, bytes, limit, f));
}

int quota_take(struct quota *q, const struct identity *who, enum quota_call kind,
               uint64_t arena_bytes, struct failure *f)
{
    uint64_t now_ns = clock_monotonic_ns();

    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = get(q, who, now_ns);
    int result =
        h == NULL ? hit(q, QUOTA_IDENTITIES, quota_refuse_identity(f)) : check_call(q, h, kind, f);

    if (result == 0) {
        result = check_bytes(q, h, arena_bytes, f);
    }
    if (result == 0) {
        bool was_idle = holds_nothing(h);

        h->calls++;
        h->snapshots += kind == QUOTA_CALL_SNAPSHOT ? 1 : 0;
        q->snapshots += kind == QUOTA_CALL_SNAPSHOT ? 1 : 0;
        h->arena_bytes += arena_bytes;
        note_idle(q, h, was_idle);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

void quota_give(struct quota *q, const struct identity *who, enum quota_call kind,
                uint64_t arena_bytes)
{
    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = get_holder(q, who);
    uint32_t snapshots = kind == QUOTA_CALL_SNAPSHOT ? 1 : 0;

    assert(h->calls > 0 && h->snapshots >= snapshots && h->arena_bytes >= arena_bytes);
    h->calls--;
    h->snapshots -= snapshots;
    q->snapshots -= snapshots;
    h->arena_bytes -= arena_bytes;
    note_idle(q, h, false);
    (void)pthread_mutex_unlock(&q->lock);
}

int quota_hold(struct quota *q, const struct identity *who, uint64_t arena_bytes, struct failure *f)
{
    if (arena_bytes == 0) {
        return 0;
    }
    uint64_t now_ns = clock_monotonic_ns();

    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = get(q, who, now_ns);
    int result = h == NULL ? hit(q, QUOTA_IDENTITIES, quota_refuse_identity(f))
                           : check_bytes(q, h, arena_bytes, f);

    if (result == 0) {
        bool was_idle = holds_nothing(h);

        h->arena_bytes += arena_bytes;
        note_idle(q, h, was_idle);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

void quota_release(struct quota *q, const struct identity *who, uint64_t arena_bytes)
{
    if (arena_bytes == 0) {
        return;
    }
    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = get_holder(q, who);

    assert(h->arena_bytes >= arena_bytes);
    h->arena_bytes -= arena_bytes;
    note_idle(q, h, false);
    (void)pthread_mutex_unlock(&q->lock);
}

/* --- traces that are being started ---------------------------------------------------------------- */

static int check_pauses(struct quota *q, const struct holder *h, uint64_t others, uint32_t pauses,
                        struct failure *f)
{
    uint32_t most = h->share.pauses_per_second;

    return most == 0 || (pauses <= most && others <= most - pauses)
               ? 0
               : hit(q, QUOTA_PAUSES, quota_refuse_pauses(others, pauses, most, f));
}

int quota_start_begin(struct quota *q, const struct identity *who, uint32_t pauses, uint64_t *round,
                      struct failure *f)
{
    uint64_t now_ns = clock_monotonic_ns();

    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = get(q, who, now_ns);
    int result = h == NULL ? hit(q, QUOTA_IDENTITIES, quota_refuse_identity(f))
                           : check_pauses(q, h, h->start_pauses, pauses, f);

    if (result == 0) {
        bool was_idle = holds_nothing(h);

        h->starts++;
        h->start_pauses += pauses;
        *round = h->starts_ended;
        note_idle(q, h, was_idle);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

int quota_start_judge(struct quota *q, const struct identity *who, uint32_t pauses,
                      uint64_t running, uint64_t *round, struct failure *f)
{
    (void)pthread_mutex_lock(&q->lock);
    const struct holder *h = get_holder(q, who);
    int result = 0;

    if (*round != h->starts_ended) {
        *round = h->starts_ended;
        result = -ERROR_ABORTED;
    } else {
        result = check_pauses(q, h, running + h->start_pauses - pauses, pauses, f);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

void quota_start_end(struct quota *q, const struct identity *who, uint32_t pauses)
{
    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = get_holder(q, who);

    assert(h->starts > 0 && h->start_pauses >= pauses);
    h->starts--;
    h->start_pauses -= pauses;
    h->starts_ended++;
    note_idle(q, h, false);
    (void)pthread_mutex_unlock(&q->lock);
}
