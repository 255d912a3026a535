/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The simulated backend in the test's own process, from a scenario given as text. */
#ifndef XENRES_TESTS_SIM_RIG_H
#define XENRES_TESTS_SIM_RIG_H

#include "common/clock.h"
#include "common/layout.h"
#include "server/mapper/backend.h"
#include "server/mapper/sim/ledger.h"
#include "server/mapper/sim/truth.h"
#include "tests/lib/unit.h"

#define SIM_UUID "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01"
/* Domain 7, "a". */
#define SIM_DOMAIN(body) "domain \"a\" { domid = 7 uuid = \"" SIM_UUID "\" " body " }\n"
#define SIM_VIRTUAL      "clock = \"virtual\"\n"

static inline struct backend *sim_rig_open(const char *scenario)
{
    struct backend *b = NULL;
    struct failure f = { 0 };

    if (sim_open(scenario, &b, &f) < 0) {
        fail_msg("%s", f.message);
    }
    return b;
}

static inline void sim_rig_close(struct backend **b)
{
    backend_ops->close(*b);
}

#define SIM_AUTO __attribute__((cleanup(sim_rig_close))) struct backend

static inline void sim_rig_advance_ms(struct backend *b, uint64_t ms)
{
    sim_advance(b, ms * CLOCK_NS_PER_MS);
}

static inline bool sim_rig_is_there(struct backend *b, uint16_t domid)
{
    struct backend_domain d;

    return backend_ops->find(b, domid, &d, NULL) == 0 && !d.dying;
}

/* Of domain 7: a frame as it is now. */
static inline const uint8_t *sim_rig_frame(struct backend *b, uint32_t type, uint32_t id,
                                           uint32_t frame)
{
    static uint64_t content[LAYOUT_FRAME_BYTES / 8];
    const struct sim_resource what = { .domid = 7, .type = type, .id = id };

    assert_true(sim_read(b, &what, frame, 1, content));
    return (const uint8_t *)content;
}

static inline struct sim_changes sim_rig_changes(struct backend *b)
{
    struct sim_changes changes;

    assert_true(sim_changes(b, 7, &changes));
    return changes;
}

/* Acquires the ioreq server's pages, as a mapper does. */
static inline int sim_rig_acquire(struct backend *b, uint32_t id)
{
    struct backend_mapping m = { 0 };
    int result =
        backend_ops->map(b, 7, RESOURCE_IOREQ_SERVER, id, IOREQ_FRAME_SYNCHRONOUS, 1, &m, NULL);

    if (result == 0) {
        backend_ops->unmap(b, &m);
    }
    return result;
}

#endif
