/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/watch_meter.h"

static const uint64_t bounds_ns[] = WATCH_LAG_BOUNDS_NS;
_Static_assert(sizeof(bounds_ns) / sizeof(bounds_ns[0]) + 1 == WATCH_LAG_BUCKETS, "buckets");

static const char *const loss_names[] = {
    [WATCH_LOSS_LAPPED] = "lapped",     [WATCH_LOSS_FAILED] = "failed",
    [WATCH_LOSS_PAUSED] = "paused",     [WATCH_LOSS_RESET] = "reset",
    [WATCH_LOSS_TOO_SLOW] = "too_slow",
};

const char *watch_loss_name(enum watch_loss loss)
{
    return loss_names[loss];
}

static void add(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

void watch_meter_lag(struct watch_meter *m, uint64_t lag_ns)
{
    size_t bucket = 0;

    while (bucket < WATCH_LAG_BUCKETS - 1 && lag_ns > bounds_ns[bucket]) {
        bucket++;
    }
    add(&m->lags[bucket], 1);
    add(&m->lag_sum_ns, lag_ns);
}

void watch_meter_heartbeat(struct watch_meter *m)
{
    add(&m->heartbeats, 1);
}

void watch_meter_opened(struct watch_meter *m)
{
    atomic_fetch_add_explicit(&m->open, 1, memory_order_relaxed);
}

void watch_meter_ended(struct watch_meter *m, enum watch_end why)
{
    add(&m->ends[why], 1);
    atomic_fetch_sub_explicit(&m->open, 1, memory_order_relaxed);
}

void watch_meter_lost(struct watch_meter *m, enum watch_loss why, uint64_t bytes)
{
    add(&m->losses[why], 1);
    add(&m->lost_bytes[why], bytes);
}

static uint64_t value_of(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void watch_meter_read(const struct watch_meter *m, struct watch_counters *out)
{
    *out = (struct watch_counters){
        .lag_sum_ns = value_of(&m->lag_sum_ns),
        .heartbeats = value_of(&m->heartbeats),
        .open = atomic_load_explicit(&m->open, memory_order_relaxed),
    };
    for (size_t i = 0; i < WATCH_LAG_BUCKETS; i++) {
        out->lags[i] = value_of(&m->lags[i]);
    }
    for (size_t i = 0; i < WATCH_END_COUNT; i++) {
        out->ends[i] = value_of(&m->ends[i]);
    }
    for (size_t i = 0; i < WATCH_LOSS_COUNT; i++) {
        out->losses[i] = value_of(&m->losses[i]);
        out->lost_bytes[i] = value_of(&m->lost_bytes[i]);
    }
}
