/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What /metrics tells: the counts of all parts, each of which counts for itself, in the families of
 * metrics.def. No name or value of a label is a client's or a guest's choice, so that what is told is
 * bounded by our own tables; the mapper's two texts are bounded by their fields.
 *
 * Pure but for the service's own counts, which are any thread's.
 */
#ifndef XENRES_SERVER_METRICS_H
#define XENRES_SERVER_METRICS_H

#include <stdatomic.h>

#include "auth/audit.h"
#include "auth/quota.h"
#include "auth/token.h"
#include "common/message.h"
#include "server/exposition.h"
#include "server/http/listener.h"
#include "server/resource/feeds.h"
#include "server/rpc/meter.h"
#include "server/rpc/watch_meter.h"

/* What the service counts itself. Owned by it. */
struct metrics {
    uint64_t started_ns; /* wall clock, and so the next */
    _Atomic uint64_t reloaded_ns;
    _Atomic uint64_t reloads, reload_failures, mapper_connections;
    atomic_bool reload_failed; /* the last one */
    /* The same of what decides who is let in, by itself. */
    _Atomic uint64_t access_reloads, access_reload_failures;
    atomic_bool access_reload_failed;
};
void metrics_init(struct metrics *m);
void metrics_reloaded(struct metrics *m, bool success);
/* Files that had changed were read again. */
void metrics_access_reloaded(struct metrics *m, bool success);

/* The counts of the other parts, taken by whoever knows those. */
struct metrics_sources {
    const struct metrics *own;
    const struct meter *meter;
    unsigned requests_in_flight;
    struct watch_counters watches;
    struct feeds_counters feeds;
    uint64_t limit_hits[QUOTA_LIMIT_COUNT];
    struct listener_counters connections;
    uint64_t tokens_refused[TOKEN_FAULT_COUNT];
    struct audit_counters audit;
    uint64_t mapper_restarts;
    const struct message_hello_answer *mapper;      /* that is connected; NULL: none is */
    const struct message_counters_answer *counters; /* of that; NULL: nothing is known */
    uint64_t counters_age_ns;
};
void metrics_write(const struct metrics_sources *s, enum exposition_format format,
                   struct buffer *out);

#endif
