/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One simulated host for a test: the real mapper on a scenario, one peer of it, and what a test asks
 * it for. Included by one file of a program: the rig, the peer and the last answer are that file's.
 */
#ifndef XENRES_TESTS_HOST_RIG_H
#define XENRES_TESTS_HOST_RIG_H

#include "tests/lib/mapper_rig.h"

#define HOST_HEAD "seed = 3\n"
#define HOST_STILL                                                                                 \
    "domain \"still\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\" type = \"pv\"\n" \
    "  grants { frames = 4 frames_max = 32 entries = 2000 } }\n"
#define HOST_V2                                                                                    \
    "domain \"two\" { domid = 2 uuid = \"22222222-2222-2222-2222-222222222222\" type = \"pv\"\n"   \
    "  grants { version = 2 frames = 16 frames_max = 32 entries = 4000 } }\n"

static struct rig rig;
static struct rig_peer peer;
static union message answered;

static inline void host_start(const char *scenario, const char *const *more)
{
    rig_start(&rig, scenario, RIG_EXPORT_ALL, more);
    rig_join(&rig, &peer);
}

static inline void host_stop(void)
{
    rig_leave(&peer);
    rig_stop(&rig);
}

static inline bool host_snapshot(const struct domain_identity *d, uint32_t type, uint32_t id,
                                 uint32_t first, uint32_t count, uint32_t flags)
{
    union message m = rig_snapshot_message(d, type, id, first, count);

    m.snapshot.flags = flags;
    return rig_call(&peer, &m, &answered);
}

/* The whole grant table. */
static inline bool host_table(const struct domain_identity *d)
{
    return host_snapshot(d, RESOURCE_GRANT_TABLE, 0, 0, MESSAGE_FRAMES_ALL, 0);
}

static inline void host_assert_failed(int code)
{
    if (answered.head.type != MESSAGE_FAILED || answered.failed.failure.code != code) {
        fail_msg("not %s: %s", error_name(code), answered.failed.failure.message);
    }
}

/* Until the ledger says so: the mapper finds out by itself, within its own time. */
static inline void host_wait_for_ledger(const char *what, uint64_t value, int limit_ms)
{
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)limit_ms * CLOCK_NS_PER_MS;

    while (rig_ledger(&peer, what) != value) {
        if (clock_monotonic_ns() > end_ns) {
            fail_msg("%s is %llu after %d ms", what, (unsigned long long)rig_ledger(&peer, what),
                     limit_ms);
        }
        rig_readable(&peer, 5);
    }
}

#endif
