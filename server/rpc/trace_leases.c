/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/trace_leases.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"

enum { RENEWALS_A_LEASE = 3, SILENT_HEARTBEATS = 2 };

/* What happens next of a lease. */
enum lease_step {
    LEASE_ASKING,  /* the mapper is asked: `on_answer` will be called */
    LEASE_WAITING, /* the timer is armed, or fires */
    LEASE_OVER,    /* there is nothing to renew any more */
};

struct trace_lease {
    LIST_ENTRY(trace_lease) link;
    struct trace_leases *all;
    uint8_t trace_id[16];
    unsigned holders; /* 0: it is in no list, and goes with the answer that is to come */
    bool is_forsaken;
    enum lease_step step;
    uint64_t lease_ns;         /* as the mapper told last */
    _Atomic uint64_t reads_ns; /* when a holder said last that it reads; without the lock */
    struct timer timer;
};

struct trace_leases {
    struct mapper_client *mapper;
    struct timers *timers;
    uint64_t silence_ns;  /* so long who reads may say nothing, however short the lease */
    pthread_mutex_t lock; /* of all that follows, and of each lease */
    LIST_HEAD(, trace_lease) list;
    unsigned count; /* also of those that are in no list any more */
    uint64_t renewals;
};

int trace_leases_new(struct mapper_client *mapper, struct timers *timers, uint64_t heartbeat_ns,
                     struct trace_leases **out, struct failure *f)
{
    struct trace_leases *l = calloc(1, sizeof(*l));

    if (l == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the leases of traces");
    }
    l->mapper = mapper;
    l->timers = timers;
    l->silence_ns = SILENT_HEARTBEATS * heartbeat_ns;
    (void)pthread_mutex_init(&l->lock, NULL);
    LIST_INIT(&l->list);
    *out = l;
    return 0;
}

void trace_leases_free(struct trace_leases *l)
{
    if (l == NULL) {
        return;
    }
    assert(l->count == 0);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}

/* --- the next renewal; all with the lock -------------------------------------------------------------- */

static void on_answer(void *arg, const struct mapper_result *result);
static void on_time(void *arg);

static void wait_ms(struct trace_lease *lease, uint64_t ms)
{
    lease->step = LEASE_WAITING;
    timer_arm(lease->all->timers, &lease->timer, clock_monotonic_ns() + ms * CLOCK_NS_PER_MS,
              on_time, lease);
}

static void ask(struct trace_lease *lease)
{
    union message m __attribute__((uninitialized)); /* of which this is little */
    struct failure f = { 0 };

    memset(&m.trace_renew, 0, sizeof(m.trace_renew));
    m.head.type = MESSAGE_TRACE_RENEW;
    memcpy(m.trace_renew.trace_id, lease->trace_id, sizeof(lease->trace_id));
    lease->step = LEASE_ASKING;
    /* Without a deadline: one question at a time, whatever the mapper does. */
    if (mapper_client_call(lease->all->mapper, &m, UINT64_MAX, on_answer, lease, &f) != 0) {
        wait_ms(lease, TRACE_LEASE_RETRY_MS);
    }
}

static bool may_pass(const struct failure *why)
{
    return why->code == ERROR_UNAVAILABLE || why->code == ERROR_RESOURCE_EXHAUSTED ||
           why->code == ERROR_DEADLINE_EXCEEDED;
}

static void take_answer(struct trace_lease *lease, const struct mapper_result *result)
{
    lease->step = LEASE_OVER;
    if (result->failure == NULL) {
        const struct message_trace *t = &result->answer->trace_answer.trace;

        lease->all->renewals++;
        lease->lease_ns = t->lease_ms * CLOCK_NS_PER_MS;
        if (lease->holders > 0 && t->end_reason == 0) {
            wait_ms(lease, t->lease_ms / RENEWALS_A_LEASE + 1);
        }
    } else if (lease->holders > 0 && may_pass(result->failure)) {
        wait_ms(lease, TRACE_LEASE_RETRY_MS);
    }
}

static void put_away(struct trace_lease *lease)
{
    lease->all->count--;
    free(lease);
}

static void on_answer(void *arg, const struct mapper_result *result)
{
    struct trace_lease *lease = arg;
    struct trace_leases *l = lease->all;

    (void)pthread_mutex_lock(&l->lock);
    take_answer(lease, result);
    if (lease->holders == 0) {
        put_away(lease);
    }
    (void)pthread_mutex_unlock(&l->lock);
}

static bool is_read(const struct trace_lease *lease)
{
    uint64_t silence_ns = lease->all->silence_ns;
    uint64_t limit_ns = lease->lease_ns > silence_ns ? lease->lease_ns : silence_ns;
    uint64_t reads_ns = atomic_load_explicit(&lease->reads_ns, memory_order_relaxed);

    return clock_monotonic_ns() <= reads_ns + limit_ns;
}

static void on_time(void *arg)
{
    struct trace_lease *lease = arg;

    (void)pthread_mutex_lock(&lease->all->lock);
    if (lease->holders > 0) { /* else whoever let it go waits for this to return */
        if (is_read(lease)) {
            ask(lease);
        } else {
            wait_ms(lease, TRACE_LEASE_RETRY_MS);
        }
    }
    (void)pthread_mutex_unlock(&lease->all->lock);
}

/* --- who reads ---------------------------------------------------------------------------------------- */

static struct trace_lease *find(struct trace_leases *l, const uint8_t trace_id[16])
{
    struct trace_lease *lease;

    LIST_FOREACH(lease, &l->list, link)
    {
        if (memcmp(lease->trace_id, trace_id, sizeof(lease->trace_id)) == 0) {
            return lease;
        }
    }
    return NULL;
}

static int too_many(struct failure *f)
{
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%d traces are read already",
                             (int)TRACE_LEASES_MAX);

    failure_cause(f, result, "the gateway keeps no more of them alive at a time");
    return failure_next(f, result, "try again when others have ended");
}

/* NULL: no memory, or too many. */
static struct trace_lease *add(struct trace_leases *l, const uint8_t trace_id[16])
{
    struct trace_lease *lease = l->count < TRACE_LEASES_MAX ? calloc(1, sizeof(*lease)) : NULL;

    if (lease != NULL) {
        lease->all = l;
        lease->step = LEASE_OVER;
        memcpy(lease->trace_id, trace_id, sizeof(lease->trace_id));
        LIST_INSERT_HEAD(&l->list, lease, link);
        l->count++;
    }
    return lease;
}

static struct trace_lease *hold(struct trace_leases *l, const struct message_trace *trace)
{
    struct trace_lease *lease = find(l, trace->trace_id);

    if (lease == NULL) {
        lease = add(l, trace->trace_id);
    }
    if (lease != NULL) {
        lease->holders++;
        lease->lease_ns = trace->lease_ms * CLOCK_NS_PER_MS;
        trace_leases_reads(lease);
        if (lease->step == LEASE_OVER) {
            ask(lease);
        }
    }
    return lease;
}

int trace_leases_hold(struct trace_leases *l, const struct message_trace *trace,
                      struct trace_lease **out, struct failure *f)
{
    (void)pthread_mutex_lock(&l->lock);
    struct trace_lease *lease = hold(l, trace);

    (void)pthread_mutex_unlock(&l->lock);
    if (lease == NULL) {
        return too_many(f);
    }
    *out = lease;
    return 0;
}

void trace_leases_reads(struct trace_lease *lease)
{
    if (lease != NULL) {
        atomic_store_explicit(&lease->reads_ns, clock_monotonic_ns(), memory_order_relaxed);
    }
}

/* --- who may not have it any more ---------------------------------------------------------------------- */

static void on_stopped(void *arg, const struct mapper_result *result)
{
    (void)arg, (void)result; /* what was not stopped is forsaken again */
}

/* Without the lock. */
static void stop(struct trace_leases *l, const uint8_t trace_id[16])
{
    uint64_t deadline_ns = clock_monotonic_ns() + TRACE_LEASE_STOP_MS * CLOCK_NS_PER_MS;
    union message m __attribute__((uninitialized)); /* of which this is little */
    struct failure ignored = { 0 };

    memset(&m.trace_stop, 0, sizeof(m.trace_stop));
    m.head.type = MESSAGE_TRACE_STOP;
    memcpy(m.trace_stop.trace_id, trace_id, sizeof(m.trace_stop.trace_id));
    m.trace_stop.deadline_ns = deadline_ns;
    (void)mapper_client_call(l->mapper, &m, deadline_ns, on_stopped, NULL, &ignored);
}

void trace_leases_forsake(struct trace_leases *l, const uint8_t trace_id[16], bool is_forsaken)
{
    (void)pthread_mutex_lock(&l->lock);
    struct trace_lease *lease = find(l, trace_id);

    if (lease != NULL) {
        lease->is_forsaken = is_forsaken;
    }
    (void)pthread_mutex_unlock(&l->lock);
    if (lease == NULL && is_forsaken) {
        stop(l, trace_id);
    }
}

void trace_leases_let_go(struct trace_leases *l, struct trace_lease *lease)
{
    if (lease == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&l->lock);
    assert(lease->holders > 0);
    bool is_last = --lease->holders == 0;
    bool is_ours = is_last && lease->step != LEASE_ASKING;
    bool has_to_stop = is_last && lease->is_forsaken;
    uint8_t trace_id[16];

    memcpy(trace_id, lease->trace_id, sizeof(trace_id));
    if (is_last) {
        LIST_REMOVE(lease, link); /* from now on nobody holds it again */
    }
    (void)pthread_mutex_unlock(&l->lock);
    if (is_ours) {
        timer_cancel(l->timers, &lease->timer); /* without the lock, which it takes */
        (void)pthread_mutex_lock(&l->lock);
        put_away(lease);
        (void)pthread_mutex_unlock(&l->lock);
    }
    if (has_to_stop) {
        stop(l, trace_id);
    }
}

uint64_t trace_leases_renewals(struct trace_leases *l)
{
    (void)pthread_mutex_lock(&l->lock);
    uint64_t renewals = l->renewals;

    (void)pthread_mutex_unlock(&l->lock);
    return renewals;
}
