/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the streams that watch count: how long what was published took to be sent, heartbeats, and why
 * they ended. No row of it is a subscriber's. Any thread, no lock: relaxed adds.
 */
#ifndef XENRES_RPC_WATCH_METER_H
#define XENRES_RPC_WATCH_METER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "server/rpc/watch_end.h"

/* Upper bounds of the lags that are counted apart; what is longer is in the last one. */
#define WATCH_LAG_BOUNDS_NS                                                                        \
    {                                                                                              \
        100000, 250000, 500000, 1000000, 2500000, 10000000, 50000000, 250000000, 1000000000,       \
            5000000000                                                                             \
    }
enum { WATCH_LAG_BUCKETS = 11 }; /* one more than bounds */

/* Why bytes of traces were declared lost to who reads them. The names (metrics) never change. */
enum watch_loss {
    WATCH_LOSS_LAPPED,
    WATCH_LOSS_FAILED,
    WATCH_LOSS_PAUSED,
    WATCH_LOSS_RESET,
    WATCH_LOSS_TOO_SLOW,
    WATCH_LOSS_COUNT
};
const char *watch_loss_name(enum watch_loss loss); /* "lapped" */

struct watch_meter {
    _Atomic uint64_t lags[WATCH_LAG_BUCKETS];
    _Atomic uint64_t lag_sum_ns, heartbeats;
    _Atomic uint64_t ends[WATCH_END_COUNT];
    _Atomic uint64_t losses[WATCH_LOSS_COUNT], lost_bytes[WATCH_LOSS_COUNT];
    atomic_uint open;
};

void watch_meter_lag(struct watch_meter *m, uint64_t lag_ns);
void watch_meter_heartbeat(struct watch_meter *m);
void watch_meter_opened(struct watch_meter *m);
void watch_meter_ended(struct watch_meter *m, enum watch_end why);
void watch_meter_lost(struct watch_meter *m, enum watch_loss why, uint64_t bytes);

struct watch_counters {
    uint64_t lags[WATCH_LAG_BUCKETS]; /* each by itself */
    uint64_t lag_sum_ns, heartbeats;
    uint64_t ends[WATCH_END_COUNT];
    uint64_t losses[WATCH_LOSS_COUNT], lost_bytes[WATCH_LOSS_COUNT];
    uint64_t trace_renewals; /* of leases, for who reads; not this meter's */
    unsigned open;
};
void watch_meter_read(const struct watch_meter *m, struct watch_counters *out);

#endif
