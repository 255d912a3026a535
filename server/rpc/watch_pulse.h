/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * When a stream that watches has something to say of itself: a heartbeat when nothing was sent for a
 * while, a checkpoint behind what was. Wakes its call at the next such time. One thread at a time.
 */
#ifndef XENRES_RPC_WATCH_PULSE_H
#define XENRES_RPC_WATCH_PULSE_H

#include <stdatomic.h>

#include "server/rpc/call.h"

enum {
    WATCH_CHECKPOINT_MS = 1000, /* the least time between two of them */
    /* How long one that is due waits for something to be sent with: who is woken for it alone is woken
     * once more than the changes would have. */
    WATCH_CHECKPOINT_WAITS_MS = 100,
    WATCH_SILENCE_FACTOR = 3, /* a stream on which nothing comes for so many heartbeats is dead */
};

struct watch_pulse {
    struct call *call;
    struct timer timer;
    _Atomic uint64_t armed_at_ns; /* UINT64_MAX: the timer is not armed */
    _Atomic uint64_t wake_at_ns;  /* before it there is nothing to be woken for */
    uint64_t now_ns;              /* one reading of the clock for all that is said in a turn */
    uint64_t heartbeat_at_ns, checkpoint_at_ns;
    bool unsealed; /* there is news behind the last checkpoint */
    bool sealed;   /* there was a checkpoint */
    bool resting;  /* it has caught up */
    bool settled;  /* it had caught up once, and had a checkpoint there */
};

/* A zeroed one. */
void watch_pulse_begin(struct watch_pulse *p, struct call *call);
void watch_pulse_stop(struct watch_pulse *p); /* the call is not woken any more */

/* Before anything else in a turn. */
void watch_pulse_look(struct watch_pulse *p);
/* A message is about to be sent: no heartbeat soon. */
void watch_pulse_said(struct watch_pulse *p);
/* There is news; `seal_now`: a checkpoint is due, however short ago the last one was. */
void watch_pulse_news(struct watch_pulse *p, bool seal_now);
/* One has waited long enough, whatever else there is to say. */
bool watch_pulse_wants_checkpoint(const struct watch_pulse *p);
/* All that there is was told: one that is due is said here. The first time it is, unless there is one: a
 * stream that is cut soon is gone on with from there, and not from where it began. */
bool watch_pulse_wants_checkpoint_here(struct watch_pulse *p);
void watch_pulse_sealed(struct watch_pulse *p);
bool watch_pulse_wants_heartbeat(const struct watch_pulse *p);
/* Says HANDLER_WAIT, and sees to it that the call is woken at its next time, or at `wake_ns`. */
int watch_pulse_wait(struct watch_pulse *p, uint64_t wake_ns);

#endif
