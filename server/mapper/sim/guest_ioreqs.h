/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One ioreq server of a simulated guest: its pages, made by the first acquire, and its requests. One
 * goes through its four states (ready, in process, answered, none), each a move; where there is a
 * buffered page, each request that begins brings a buffered one along. Or a play file says what
 * moves. For whoever holds the simulation's lock.
 */
#ifndef XENRES_SIM_GUEST_IOREQS_H
#define XENRES_SIM_GUEST_IOREQS_H

#include "server/mapper/sim/play.h"
#include "server/mapper/sim/scenario.h"

enum {
    GUEST_IOREQ_MOVES_MAX = 1 << 16, /* made in one look */
    GUEST_IOREQ_WAITING = 5,         /* buffered ones, before the device model takes the oldest */
};

struct guest_ioreqs {
    const struct scenario_ioreq *spec;
    uint32_t id, vcpu_count;
    bool exists; /* the server; its pages only once somebody asked for them */
    struct pages pages;
    struct play_place play;
    uint64_t random;
    uint64_t owed;     /* in billionths, of moves by rate */
    uint64_t moves;    /* changes of a request's state, or blocks of a play that changed */
    uint64_t buffered; /* requests put into the queue */
};

void guest_ioreqs_init(struct guest_ioreqs *q, const struct scenario_ioreq *spec, uint32_t id,
                       uint32_t vcpu_count, uint64_t seed);
void guest_ioreqs_done(struct guest_ioreqs *q);
/* Makes the pages if there are none yet: true in *allocated. A play stands where `ran_ns` says. */
int guest_ioreqs_acquire(struct guest_ioreqs *q, uint64_t ran_ns,
                         const struct pages_observer *observer, bool *allocated, struct failure *f);
/* The server goes, and its pages with it but for who has mapped them; or comes, with none. */
void guest_ioreqs_set_exists(struct guest_ioreqs *q, bool exists);
void guest_ioreqs_advance(struct guest_ioreqs *q, uint64_t elapsed_ns, uint64_t ran_ns);

#endif
