/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One waits, others wake it: whoever waits says so after it has looked and found nothing, and a wake
 * that came between the look and the saying is not lost. However many wake it, it is called once.
 */
#ifndef XENRES_RPC_WAIT_H
#define XENRES_RPC_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>

struct wait {
    atomic_int state;
    void (*on_wake)(void *arg);
    void *arg;
};

void wait_init(struct wait *w, void (*on_wake)(void *arg), void *arg);
/* Before a look: wakes from now on count. */
void wait_look(struct wait *w);
/* After a look that found nothing. True: `on_wake` is called, once. False: a wake came since
 * wait_look(); look again. */
bool wait_begin(struct wait *w);
/* Any thread. */
void wait_wake(struct wait *w);

#endif
