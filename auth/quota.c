/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include <assert.h>

#include "auth/quota_refusal.h"
#include "auth/quota_table.h"
#include "common/clock.h"

/* --- rates ---------------------------------------------------------------------------------------- */

/* Refuses by a bucket in which nothing is; 0: something is. */
static int check_rate(struct quota *q, struct bucket *b, enum quota_limit limit, uint64_t now_ns,
                      struct failure *f)
{
    uint64_t wait_ns = bucket_wait_ns(b, 1, now_ns);

    return wait_ns == 0
               ? 0
               : quota_table_hit(q, limit, quota_refuse_rate(limit, b->per_second, wait_ns, f));
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
    struct holder *h = quota_table_get(q, who, now_ns);
    int result = h != NULL ? request(q, h, now_ns, f)
                           : quota_table_hit(q, QUOTA_IDENTITIES, quota_refuse_identity(f));

    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

uint64_t quota_sent(struct quota *q, const struct identity *who, uint64_t bytes)
{
    uint64_t now_ns = clock_monotonic_ns(), own_ns = 0;

    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = quota_table_get(q, who, now_ns);

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
    (void)quota_table_hit(q, QUOTA_STREAM_BYTES, 0);
}

/* --- what is held --------------------------------------------------------------------------------- */

static int check_call(struct quota *q, const struct holder *h, enum quota_call kind,
                      struct failure *f)
{
    const struct quota_share *s = &h->share;
    uint32_t in_all = q->limits.all.snapshots;

    if (s->calls > 0 && h->calls >= s->calls) {
        return quota_table_hit(q, QUOTA_CALLS,
                               quota_refuse_calls(QUOTA_CALLS, h->calls, s->calls, f));
    }
    if (kind != QUOTA_CALL_SNAPSHOT) {
        return 0;
    }
    if (s->snapshots > 0 && h->snapshots >= s->snapshots) {
        return quota_table_hit(q, QUOTA_SNAPSHOTS,
                               quota_refuse_calls(QUOTA_SNAPSHOTS, h->snapshots, s->snapshots, f));
    }
    if (in_all > 0 && q->snapshots >= in_all) {
        return quota_table_hit(q, QUOTA_SNAPSHOTS_IN_ALL,
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
               : quota_table_hit(q, QUOTA_ARENA,
                                 quota_refuse_arena(h->arena_bytes, bytes, limit, f));
}

int quota_take(struct quota *q, const struct identity *who, enum quota_call kind,
               uint64_t arena_bytes, struct failure *f)
{
    uint64_t now_ns = clock_monotonic_ns();

    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = quota_table_get(q, who, now_ns);
    int result = h == NULL ? quota_table_hit(q, QUOTA_IDENTITIES, quota_refuse_identity(f))
                           : check_call(q, h, kind, f);

    if (result == 0) {
        result = check_bytes(q, h, arena_bytes, f);
    }
    if (result == 0) {
        bool held_nothing = quota_table_holds_nothing(h);

        h->calls++;
        h->snapshots += kind == QUOTA_CALL_SNAPSHOT ? 1 : 0;
        q->snapshots += kind == QUOTA_CALL_SNAPSHOT ? 1 : 0;
        h->arena_bytes += arena_bytes;
        quota_table_note(q, h, held_nothing);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

void quota_give(struct quota *q, const struct identity *who, enum quota_call kind,
                uint64_t arena_bytes)
{
    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = quota_table_holder(q, who);
    uint32_t snapshots = kind == QUOTA_CALL_SNAPSHOT ? 1 : 0;

    assert(h->calls > 0 && h->snapshots >= snapshots && h->arena_bytes >= arena_bytes);
    h->calls--;
    h->snapshots -= snapshots;
    q->snapshots -= snapshots;
    h->arena_bytes -= arena_bytes;
    quota_table_note(q, h, false);
    (void)pthread_mutex_unlock(&q->lock);
}

int quota_hold(struct quota *q, const struct identity *who, uint64_t arena_bytes, struct failure *f)
{
    if (arena_bytes == 0) {
        return 0;
    }
    uint64_t now_ns = clock_monotonic_ns();

    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = quota_table_get(q, who, now_ns);
    int result = h == NULL ? quota_table_hit(q, QUOTA_IDENTITIES, quota_refuse_identity(f))
                           : check_bytes(q, h, arena_bytes, f);

    if (result == 0) {
        bool held_nothing = quota_table_holds_nothing(h);

        h->arena_bytes += arena_bytes;
        quota_table_note(q, h, held_nothing);
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
    struct holder *h = quota_table_holder(q, who);

    assert(h->arena_bytes >= arena_bytes);
    h->arena_bytes -= arena_bytes;
    quota_table_note(q, h, false);
    (void)pthread_mutex_unlock(&q->lock);
}

/* --- traces that are being started ---------------------------------------------------------------- */

static int check_limit(struct quota *q, enum quota_limit limit, uint32_t most, uint64_t others,
                       uint32_t pauses, struct failure *f)
{
    return most == 0 || (pauses <= most && others <= most - pauses)
               ? 0
               : quota_table_hit(q, limit, quota_refuse_pauses(limit, others, pauses, most, f));
}

/* Beside what others make: those of his own, and those of all. */
static int check_pauses(struct quota *q, const struct holder *h, const struct quota_running *others,
                        uint32_t pauses, struct failure *f)
{
    int result = check_limit(q, QUOTA_PAUSES, h->share.pauses_per_second, others->own, pauses, f);

    return result != 0 ? result
                       : check_limit(q, QUOTA_PAUSES_IN_ALL, q->limits.all.pauses_per_second,
                                     others->all, pauses, f);
}

int quota_start_begin(struct quota *q, const struct identity *who, uint32_t pauses, uint64_t *round,
                      struct failure *f)
{
    uint64_t now_ns = clock_monotonic_ns();

    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = quota_table_get(q, who, now_ns);
    const struct quota_running starting = { .own = h != NULL ? h->start_pauses : 0,
                                            .all = q->start_pauses };
    int result = h == NULL ? quota_table_hit(q, QUOTA_IDENTITIES, quota_refuse_identity(f))
                           : check_pauses(q, h, &starting, pauses, f);

    if (result == 0) {
        bool held_nothing = quota_table_holds_nothing(h);

        h->starts++;
        h->start_pauses += pauses;
        q->start_pauses += pauses;
        *round = q->starts_ended;
        quota_table_note(q, h, held_nothing);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

int quota_start_judge(struct quota *q, const struct identity *who, uint32_t pauses,
                      const struct quota_running *running, uint64_t *round, struct failure *f)
{
    (void)pthread_mutex_lock(&q->lock);
    const struct holder *h = quota_table_holder(q, who);
    int result = 0;

    if (*round != q->starts_ended) {
        *round = q->starts_ended;
        result = -ERROR_ABORTED;
    } else {
        const struct quota_running others = { .own = running->own + h->start_pauses - pauses,
                                              .all = running->all + q->start_pauses - pauses };

        result = check_pauses(q, h, &others, pauses, f);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

void quota_start_end(struct quota *q, const struct identity *who, uint32_t pauses)
{
    (void)pthread_mutex_lock(&q->lock);
    struct holder *h = quota_table_holder(q, who);

    assert(h->starts > 0 && h->start_pauses >= pauses && q->start_pauses >= pauses);
    h->starts--;
    h->start_pauses -= pauses;
    q->start_pauses -= pauses;
    q->starts_ended++;
    quota_table_note(q, h, false);
    (void)pthread_mutex_unlock(&q->lock);
}
