/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The simulated host: which domains there are, what happens to them, and the events that tell.
 * Things happen at the scenario's times, and a step at each SIGUSR1. Nothing happens behind the
 * caller's back: it all happens within world_tick(), which every call of the backend begins with.
 */
#ifndef XENRES_SIM_WORLD_H
#define XENRES_SIM_WORLD_H

#include "server/mapper/sim/guest.h"

enum {
    WORLD_GUESTS_MAX = 2 * SCENARIO_DOMAINS_MAX, /* zombies included */
    WORLD_NAME_EVENTS_MAX = 1024,
    WORLD_DOMIDS = 65536,
};

struct world {
    const struct scenario *scenario;
    uint64_t started_ns;
    struct guest *guests[WORLD_GUESTS_MAX]; /* ascending by domid */
    uint32_t guest_count;
    struct guest *current[SCENARIO_DOMAINS_MAX]; /* of each domain of the scenario; NULL: absent */
    bool waits_for_domid[SCENARIO_DOMAINS_MAX];  /* to be created once its number is free */
    bool event_done[SCENARIO_EVENTS_MAX];
    uint32_t steps; /* SIGUSR1s so far */
    bool domains_changed;
    uint16_t renamed[WORLD_NAME_EVENTS_MAX];
    uint32_t renamed_first, renamed_count;
    bool name_watched[WORLD_DOMIDS];
};

int world_init(struct world *w, const struct scenario *s, uint64_t now_ns, struct failure *f);
void world_done(struct world *w);

void world_tick(struct world *w, uint64_t now_ns);
void world_step(struct world *w, uint64_t now_ns);
/* When the next timed event is due (monotonic); UINT64_MAX: never. */
uint64_t world_next_ns(const struct world *w);

struct guest *world_find(const struct world *w, uint16_t domid);
/* Destroys: at once when nothing of it is mapped, else when the last mapping goes. */
void world_destroy(struct world *w, struct guest *g);
void world_unmapped(struct world *w, struct guest *g);

/* Tells of the name of `domid`, watched or not; of all domains and all watched names; of nothing. */
void world_report_name(struct world *w, uint16_t domid);
void world_report_all(struct world *w);
void world_forget_events(struct world *w);
bool world_has_event(const struct world *w);
bool world_next_event(struct world *w, unsigned *events, uint16_t *domid);

#endif
