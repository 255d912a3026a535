/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Calls back when a time has come: one thread for all timers of the services, which sleeps until
 * the nearest of them. A timer is its user's memory, so arming one cannot fail, and there are as
 * many as there are calls. Any thread.
 */
#ifndef XENRES_RPC_TIMER_H
#define XENRES_RPC_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct timers;

/* Zeroed before its first use; not moved while armed. All of it is timer.c's. */
struct timer {
    uint64_t at_ns; /* monotonic */
    void (*fire)(void *arg);
    void *arg;
    bool armed;
    /* A heap of timers: the first child, the next sibling, and what is before (the parent, for a
     * first child). */
    struct timer *child, *next, *before;
};

int timers_new(struct timers **out, struct failure *f);
void timers_free(struct timers *t); /* none may be armed; NULL is fine */

/* `fire` is called once, on the timers' own thread, at `at_ns` or soon after, and may arm it again.
 * It must be quick: all others wait for it. The timer must not be armed. */
void timer_arm(struct timers *t, struct timer *timer, uint64_t at_ns, void (*fire)(void *arg),
               void *arg);
/* When this returns, `fire` neither runs nor will: it waits for one that does, unless that one
 * itself is the caller. So hold no lock that `fire` takes. One that is not armed is fine. */
void timer_cancel(struct timers *t, struct timer *timer);

#endif
