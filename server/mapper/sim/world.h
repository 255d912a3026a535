/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The simulated host: which domains there are, what happens to them, and the events that tell.
 * When things happen is timeline.h's. For whoever holds the simulation's lock.
 */
#ifndef XENRES_SIM_WORLD_H
#define XENRES_SIM_WORLD_H

#include "server/mapper/sim/guest.h"

enum {
    WORLD_GUESTS_MAX = 2 * SCENARIO_DOMAINS_MAX, /* zombies included */
    WORLD_NODE_EVENTS_MAX = 2048,
    WORLD_DOMIDS = 65536,
};

/* Domains that come and go for ever: at each turn one of them is destroyed or, at the next, created
 * again, with the next number and as a rule another UUID. */
struct world_churn {
    uint64_t turns;
    uint64_t next_ns; /* UINT64_MAX: there is none */
    uint64_t random;
    uint32_t numbers_given;
};

struct world {
    const struct scenario *scenario;
    uint64_t started_ns;
    uint64_t virtual_ns;   /* the clock, where the scenario has a virtual one */
    int64_t wall_shift_ns; /* how far events have moved the process's wall clock */
    struct guest_told told;
    struct world_churn churn;
    struct guest *guests[WORLD_GUESTS_MAX]; /* ascending by domid */
    uint32_t guest_count;
    struct guest *current[SCENARIO_DOMAINS_MAX]; /* of each domain of the scenario; NULL: absent */
    bool waits_for_domid[SCENARIO_DOMAINS_MAX];  /* to be created once its number is free */
    bool event_done[SCENARIO_EVENTS_MAX];
    uint32_t steps; /* SIGUSR1s so far */
    bool domains_changed;
    struct {
        uint16_t domid;
        uint16_t event; /* NAME or TAGS */
    } written[WORLD_NODE_EVENTS_MAX];
    uint32_t written_first, written_count;
    bool name_watched[WORLD_DOMIDS];
};

int world_init(struct world *w, const struct scenario *s, struct failure *f);
void world_done(struct world *w);

/* The clock by which everything here moves. */
uint64_t world_now_ns(const struct world *w);
/* Moves a guest up to a time, or up to now. */
void world_move(struct world *w, struct guest *g, uint64_t now_ns);
void world_look(struct world *w, struct guest *g);

struct guest *world_find(const struct world *w, uint16_t domid);
/* Nothing where the domain of the scenario's is there; later, where its number is taken. */
void world_create(struct world *w, const struct guest_birth *birth);
/* Destroys: at once when nothing of it is mapped, else when the last mapping goes. */
void world_destroy(struct world *w, struct guest *g);
void world_unmapped(struct world *w, struct guest *g);

void world_rename(struct world *w, struct guest *g, const char *name);
/* `is_open`: by somebody who is not to be believed. */
void world_retag(struct world *w, struct guest *g, const char *tags, bool is_open);
/* Its name was written: who watches it is told. */
void world_name_event(struct world *w, uint16_t domid);

/* Tells of name and tags of `domid`, watched or not; of all domains and all watched ones; of nothing. */
void world_report_name(struct world *w, uint16_t domid);
void world_report_all(struct world *w);
void world_forget_events(struct world *w);
bool world_has_event(const struct world *w);
bool world_next_event(struct world *w, unsigned *events, uint16_t *domid);

#endif
