/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/rpc.h"

#include <assert.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/rpc/host_memo.h"
#include "server/rpc/state.h"
#include "server/rpc/trace_leases.h"
#include "server/rpc/trace_owners.h"

#define SWAP(a, b)                                                                                 \
    do {                                                                                           \
        __typeof__(a) swapped_ = (a);                                                              \
        (a) = (b);                                                                                 \
        (b) = swapped_;                                                                            \
    } while (0)

int rpc_new(const struct rpc_options *options, struct rpc **out, struct failure *f)
{
    assert(options->methods != NULL && options->mapper != NULL && options->policy != NULL &&
           options->quota != NULL && options->seal != NULL && options->request_timeout_ms > 0 &&
           options->request_max_bytes > 0 && options->response_max_bytes > 0 &&
           (options->feeds == NULL || options->heartbeat_ms > 0));
    struct rpc *rpc = calloc(1, sizeof(*rpc));

    if (rpc == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the services");
    }
    int result = resolver_new(options->mapper, &rpc->resolver, f);

    if (result == 0) {
        result = copies_new(options->mapper, &rpc->copies, f);
    }
    if (result == 0) {
        result = host_memo_new(&rpc->host_memo, f);
    }
    if (result == 0) {
        result = timers_new(&rpc->timers, f);
    }
    if (result == 0) {
        result = trace_leases_new(options->mapper, rpc->timers,
                                  options->heartbeat_ms * CLOCK_NS_PER_MS, &rpc->trace_leases, f);
    }
    if (result == 0) {
        result = trace_owners_new(options->mapper, rpc->trace_leases, options->audit,
                                  &rpc->trace_owners, f);
    }
    if (result == 0) {
        result = meter_new(options->methods, &rpc->meter, f);
    }
    if (result != 0) {
        trace_owners_free(rpc->trace_owners);
        trace_leases_free(rpc->trace_leases);
        timers_free(rpc->timers);
        host_memo_free(rpc->host_memo);
        copies_free(rpc->copies);
        resolver_free(rpc->resolver);
        free(rpc);
        return result;
    }
    rpc->options = *options;
    streams_init(&rpc->streams);
    STAILQ_INIT(&rpc->gathered);
    pthread_mutex_init(&rpc->lock, NULL);
    rpc->policy = policy_ref(options->policy);
    quota_set_policy(options->quota, options->policy);
    rpc->access = options->access != NULL ? access_ref(options->access) : NULL;
    *out = rpc;
    return 0;
}

void rpc_set_rules(struct rpc *rpc, struct policy *policy, struct access *access)
{
    struct policy *old_policy = policy_ref(policy);
    struct access *old_access = access != NULL ? access_ref(access) : NULL;

    pthread_mutex_lock(&rpc->lock);
    SWAP(rpc->policy, old_policy);
    SWAP(rpc->access, old_access);
    atomic_fetch_add(&rpc->rules_number, 1);
    pthread_mutex_unlock(&rpc->lock);
    policy_unref(old_policy);
    access_unref(old_access);
    quota_set_policy(rpc->options.quota, policy);
    trace_owners_rules_changed(rpc->trace_owners);
    streams_wake(&rpc->streams);
}

void rpc_look_again(struct rpc *rpc)
{
    streams_wake(&rpc->streams);
}

void rpc_set_access(struct rpc *rpc, struct access *access)
{
    struct access *old_access = access_ref(access);

    pthread_mutex_lock(&rpc->lock);
    SWAP(rpc->access, old_access);
    atomic_fetch_add(&rpc->rules_number, 1);
    pthread_mutex_unlock(&rpc->lock);
    access_unref(old_access);
    trace_owners_rules_changed(rpc->trace_owners);
    streams_wake(&rpc->streams);
}

void rpc_judge_traces(struct rpc *rpc)
{
    pthread_mutex_lock(&rpc->lock);
    struct policy *policy = policy_ref(rpc->policy);
    struct access *access = rpc->access != NULL ? access_ref(rpc->access) : NULL;

    pthread_mutex_unlock(&rpc->lock);
    trace_owners_look(rpc->trace_owners, policy, access);
    policy_unref(policy);
    access_unref(access);
}

struct access *rpc_access(struct rpc *rpc)
{
    pthread_mutex_lock(&rpc->lock);
    struct access *access = rpc->access != NULL ? access_ref(rpc->access) : NULL;

    pthread_mutex_unlock(&rpc->lock);
    return access;
}

void rpc_expire(struct rpc *rpc, int64_t now_s)
{
    streams_expire(&rpc->streams, now_s);
}

void rpc_drain(struct rpc *rpc)
{
    atomic_store(&rpc->draining, true);
    streams_wake(&rpc->streams);
}

void rpc_free(struct rpc *rpc)
{
    if (rpc == NULL) {
        return;
    }
    assert(atomic_load(&rpc->exchanges) == 0);
    streams_done(&rpc->streams);
    meter_free(rpc->meter);
    trace_owners_free(rpc->trace_owners);
    trace_leases_free(rpc->trace_leases);
    timers_free(rpc->timers);
    host_memo_free(rpc->host_memo);
    copies_free(rpc->copies);
    resolver_free(rpc->resolver);
    policy_unref(rpc->policy);
    access_unref(rpc->access);
    pthread_mutex_destroy(&rpc->lock);
    free(rpc);
}

void rpc_domains_changed(struct rpc *rpc, uint64_t generation)
{
    (void)generation; /* any: what was listed before now is not relied upon */
    resolver_changed(rpc->resolver);
}

const struct meter *rpc_meter(const struct rpc *rpc)
{
    return rpc->meter;
}

unsigned rpc_requests_in_flight(const struct rpc *rpc)
{
    return atomic_load_explicit(&rpc->exchanges, memory_order_relaxed);
}

void rpc_tokens_refused(const struct rpc *rpc, uint64_t out[TOKEN_FAULT_COUNT])
{
    for (size_t i = 0; i < TOKEN_FAULT_COUNT; i++) {
        out[i] = atomic_load_explicit(&rpc->tokens_refused[i], memory_order_relaxed);
    }
}

void rpc_watches(const struct rpc *rpc, struct watch_counters *out)
{
    watch_meter_read(&rpc->watch_meter, out);
    out->trace_renewals = trace_leases_renewals(rpc->trace_leases);
}
