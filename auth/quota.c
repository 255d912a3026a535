/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/quota.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

enum { BUCKETS = 1024 }; /* a power of two */

struct holder {
    struct holder *next;
    uint32_t calls;
    uint64_t arena_bytes; /* not 0 where there are no calls */
    char identity[];
};

struct quota {
    struct quota_limits limits;
    uint64_t seed;        /* so that nobody can choose names that fall into one bucket */
    pthread_mutex_t lock; /* for what follows; no other lock is taken under it */
    uint32_t holder_count;
    struct holder *buckets[BUCKETS];
};

int quota_new(const struct quota_limits *limits, struct quota **out, struct failure *f)
{
    struct quota *q = calloc(1, sizeof *q);

    if (q == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for the table of quotas");
    }
    if (getrandom(&q->seed, sizeof q->seed, 0) != (ssize_t)sizeof q->seed ||
        pthread_mutex_init(&q->lock, NULL) != 0) {
        free(q);
        return failure_set(f, ERROR_INTERNAL, "cannot set the table of quotas up");
    }
    q->limits = *limits;
    *out = q;
    return 0;
}

void quota_free(struct quota *q)
{
    if (q == NULL) {
        return;
    }
    assert(q->holder_count == 0);
    (void)pthread_mutex_destroy(&q->lock);
    free(q);
}

/* Where the identity's holder hangs, or where it would be put. */
static struct holder **find(struct quota *q, const struct identity *who)
{
    size_t len = strnlen(who->text, sizeof who->text);
    struct holder **place =
        &q->buckets[XXH3_64bits_withSeed(who->text, len, q->seed) & (BUCKETS - 1)];

    while (*place != NULL && strcmp((*place)->identity, who->text) != 0) {
        place = &(*place)->next;
    }
    return place;
}

static int take_first(struct quota *q, struct holder **place, const struct identity *who,
                      struct failure *f)
{
    size_t len = strlen(who->text);
    struct holder *h;

    if (q->holder_count == QUOTA_IDENTITIES_MAX) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%d callers are being served already",
                           QUOTA_IDENTITIES_MAX);
    }
    h = malloc(sizeof *h + len + 1);
    if (h == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    *h = (struct holder){ .calls = 0 };
    memcpy(h->identity, who->text, len + 1);
    *place = h;
    q->holder_count++;
    return 0;
}

static int check_calls(const struct quota *q, uint32_t calls, struct failure *f)
{
    if (calls < q->limits.calls_per_identity) {
        return 0;
    }
    int result =
        failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%u calls of yours are in flight (at most %u)",
                    calls, q->limits.calls_per_identity);

    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    return failure_next(f, result, "try again when one of them has ended");
}

static int check_bytes(const struct quota *q, uint64_t held_bytes, uint64_t arena_bytes,
                       struct failure *f)
{
    uint64_t limit_bytes = q->limits.arena_bytes_per_identity;
    uint64_t room_bytes = held_bytes < limit_bytes ? limit_bytes - held_bytes : 0;

    if (arena_bytes <= room_bytes) {
        return 0;
    }
    int result =
        failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                    "%llu bytes more than the %llu that your calls in flight hold (at most %llu)",
                    (unsigned long long)arena_bytes, (unsigned long long)held_bytes,
                    (unsigned long long)limit_bytes);

    if (arena_bytes <= limit_bytes) {
        failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    }
    return failure_next(f, result,
                        arena_bytes > limit_bytes ? "ask for fewer frames at a time"
                                                  : "try again when one of your calls has ended");
}

/* Both or none. */
static int take(struct quota *q, const struct identity *who, uint32_t calls, uint64_t arena_bytes,
                struct failure *f)
{
    struct holder **place = find(q, who);
    const struct holder *h = *place;
    int result = calls > 0 ? check_calls(q, h != NULL ? h->calls : 0, f) : 0;

    if (result == 0) {
        result = check_bytes(q, h != NULL ? h->arena_bytes : 0, arena_bytes, f);
    }
    if (result == 0 && h == NULL) {
        result = take_first(q, place, who, f);
    }
    if (result == 0) {
        (*place)->calls += calls;
        (*place)->arena_bytes += arena_bytes;
    }
    return result;
}

static void give(struct quota *q, const struct identity *who, uint32_t calls, uint64_t arena_bytes)
{
    struct holder **place = find(q, who);
    struct holder *h = *place;

    /* Given back twice, or another number than was taken: the accounts would lie from here on. */
    assert(h != NULL && h->calls >= calls && h->arena_bytes >= arena_bytes);
    h->calls -= calls;
    h->arena_bytes -= arena_bytes;
    if (h->calls == 0 && h->arena_bytes == 0) {
        *place = h->next;
        q->holder_count--;
        free(h);
    }
}

void quota_set_arena_limit(struct quota *q, uint64_t bytes_per_identity)
{
    (void)pthread_mutex_lock(&q->lock);
    q->limits.arena_bytes_per_identity = bytes_per_identity;
    (void)pthread_mutex_unlock(&q->lock);
}

int quota_take(struct quota *q, const struct identity *who, uint64_t arena_bytes, struct failure *f)
{
    (void)pthread_mutex_lock(&q->lock);
    int result = take(q, who, 1, arena_bytes, f);

    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

void quota_give(struct quota *q, const struct identity *who, uint64_t arena_bytes)
{
    (void)pthread_mutex_lock(&q->lock);
    give(q, who, 1, arena_bytes);
    (void)pthread_mutex_unlock(&q->lock);
}

int quota_hold(struct quota *q, const struct identity *who, uint64_t arena_bytes, struct failure *f)
{
    if (arena_bytes == 0) {
        return 0;
    }
    (void)pthread_mutex_lock(&q->lock);
    int result = take(q, who, 0, arena_bytes, f);

    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

void quota_release(struct quota *q, const struct identity *who, uint64_t arena_bytes)
{
    if (arena_bytes > 0) {
        (void)pthread_mutex_lock(&q->lock);
        give(q, who, 0, arena_bytes);
        (void)pthread_mutex_unlock(&q->lock);
    }
}
