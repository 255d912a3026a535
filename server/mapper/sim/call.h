/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What every call of the simulated hypervisor begins and ends with: what is due happens, the call is
 * counted, and the scenario's fault for it strikes. Owns nothing but what struct backend holds, which
 * all files of this folder share.
 */
#ifndef XENRES_SIM_CALL_H
#define XENRES_SIM_CALL_H

#include "server/mapper/explain.h"
#include "server/mapper/sim/ledger.h"
#include "server/mapper/sim/world.h"

struct backend {
    struct scenario *scenario;
    struct world world;
    struct sim_ledger ledger;
    uint64_t calls;
    uint64_t matches[SCENARIO_FAULTS_MAX]; /* calls that each fault has counted */
    int epoll_fd, signal_fd, timer_fd, wake_fd;
    bool is_awake;                /* wake_fd is readable */
    bool is_looking;              /* between a look's first event and its end */
    bool unwatched[WORLD_DOMIDS]; /* names that are to be watched, and watching them failed */
    uint32_t unwatched_count;
};

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

/* Lets happen what is due. */
void call_tick(struct backend *b);
/* Makes the steps that were asked for by signals. */
void call_make_steps(struct backend *b);
void call_arm_timer(struct backend *b);
/* Wakes whoever polls, for as long as there is an event to fetch. */
void call_update_wake(struct backend *b);

#endif
