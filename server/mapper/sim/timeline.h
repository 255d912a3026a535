/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What happens on the simulated host, and when: the scenario's events at their times and in their
 * order, a step's at each SIGUSR1, and the churn's turns. Nothing happens behind the caller's back:
 * it all happens within timeline_tick(), which every call of the backend begins with, and within
 * timeline_advance(), which moves a virtual clock. For whoever holds the simulation's lock.
 */
#ifndef XENRES_SIM_TIMELINE_H
#define XENRES_SIM_TIMELINE_H

#include "server/mapper/sim/world.h"

enum { TIMELINE_CHURN_TURNS_MAX = 4096 }; /* made in one tick; those beyond are left out */

/* Of a world that has its first domains. */
void timeline_begin(struct world *w);
/* The wall clock stands where it would stand without it. */
void timeline_end(struct world *w);

/* Lets happen what is due. */
void timeline_tick(struct world *w);
/* Moves the virtual clock. */
void timeline_advance(struct world *w, uint64_t by_ns);
/* What a SIGUSR1 does: first the virtual clock moves, by as much as the scenario says. */
void timeline_step(struct world *w);
/* When something timed is due, by world_now_ns(); UINT64_MAX: never. */
uint64_t timeline_next_ns(const struct world *w);

#endif
