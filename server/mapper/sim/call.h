/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What every call of the simulated hypervisor begins and ends with: what is due happens, the call is
 * counted, and the scenario's fault for it strikes. Owns the simulation that all handles share.
 * All but the lock is for whoever holds the lock.
 */
#ifndef XENRES_SIM_CALL_H
#define XENRES_SIM_CALL_H

#include <pthread.h>

#include "server/mapper/explain.h"
#include "server/mapper/sim/ledger.h"
#include "server/mapper/sim/truth.h"
#include "server/mapper/sim/world.h"

/* The one simulated host, behind one lock: every call on any handle holds it from its beginning to its
 * end. It goes with the last handle. Its descriptors are polled by the parent's thread. */
struct simulation {
    pthread_mutex_t lock;
    uint32_t handle_count;
    struct scenario *scenario;
    struct world world;
    struct sim_ledger ledger;
    uint64_t matches[SCENARIO_FAULTS_MAX]; /* calls that each fault has counted, of all handles */
    int epoll_fd, signal_fd, timer_fd, wake_fd;
    bool is_awake;                /* wake_fd is readable */
    bool is_looking;              /* between a look's first event and its end */
    bool unwatched[WORLD_DOMIDS]; /* names that are to be watched, and watching them failed */
    uint32_t unwatched_count;
    struct sim_delays delays; /* of a virtual clock; unset: none */
    uint64_t moments[SIM_MOMENTS];
};

/* A handle, used by one thread. */
struct backend {
    struct simulation *sim;
    uint64_t calls, pauses;
};

/* Holds the lock until the end of the scope; what every function of backend.h begins with. */
#define CALL_LOCKED(b)                                                                             \
    __attribute__((cleanup(call_unlock), unused)) struct simulation *locked_ = call_lock((b)->sim)

static inline struct simulation *call_lock(struct simulation *sim)
{
    pthread_mutex_lock(&sim->lock);
    return sim;
}

static inline void call_unlock(struct simulation **sim)
{
    pthread_mutex_unlock(&(*sim)->lock);
}

/* A call: what it is about, for faults and for words. */
struct call {
    enum scenario_operation operation;
    struct explain_subject subject;
};

/* The call fails with `errnum`, in the words of Xen's library call that it stands for. */
int call_fail(const struct call *c, int errnum, struct failure *f);
/* Begins it; *fault is what call_leave() needs. */
int call_enter(struct backend *b, const struct call *c, const struct scenario_fault **fault,
               struct failure *f);
/* Ends one that succeeded: a fault that strikes afterwards does so now. */
void call_leave(struct backend *b, const struct call *c, const struct scenario_fault *fault);

/* Behind call_leave(), at a moment that a test may have time pass at. Guests may be gone after it. */
void call_delay(struct simulation *sim, enum sim_moment moment);

/* Lets happen what is due. */
void call_tick(struct simulation *sim);
/* Makes the steps that were asked for by signals. */
void call_make_steps(struct simulation *sim);
void call_arm_timer(struct simulation *sim);
/* Wakes whoever polls, for as long as there is an event to fetch. */
void call_update_wake(struct simulation *sim);

#endif
