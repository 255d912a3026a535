/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A simulated guest's grant table: shared and status frames, and how they move: at a rate, by what a
 * seed draws, or as a play file says. How much has moved depends on how long the guest ran alone, not
 * on how often it was looked at. For whoever holds the simulation's lock.
 */
#ifndef XENRES_SIM_GUEST_GRANTS_H
#define XENRES_SIM_GUEST_GRANTS_H

#include "server/mapper/sim/guest_scribbler.h"
#include "server/mapper/sim/play.h"
#include "server/mapper/sim/scenario.h"

enum {
    GUEST_RESERVED_REFERENCES = 8,     /* 0 console, 1 xenstore, up to 7 unused */
    GUEST_GRANT_CHANGES_MAX = 1 << 20, /* made in one look, however long ago the last one was */
};

struct guest_grants {
    const struct scenario_domain *spec;
    uint32_t version, frame_count; /* in use */
    struct pages shared, status;
    struct guest_scribbler *scribbler; /* NULL: none */
    struct play_place play;
    uint64_t random;
    uint64_t owed;    /* in billionths, of changes by rate */
    uint64_t changes; /* entries, or blocks of a play, that became other than they were */
};

int guest_grants_init(struct guest_grants *g, const struct scenario_domain *spec, uint64_t seed,
                      const struct pages_observer *observer, struct failure *f);
void guest_grants_done(struct guest_grants *g);
/* Their memory goes away from under all who map it. */
void guest_grants_lose(struct guest_grants *g);

/* `elapsed_ns` of running, which with them is `ran_ns` in all. */
void guest_grants_advance(struct guest_grants *g, uint64_t elapsed_ns, uint64_t ran_ns);
/* `count` entries change now. */
void guest_grants_change(struct guest_grants *g, uint32_t count);
void guest_grants_set_version(struct guest_grants *g, uint32_t version);

#endif
