/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/watch_pulse.h"

#include "common/clock.h"

void watch_pulse_begin(struct watch_pulse *p, struct call *call)
{
    p->call = call;
    atomic_init(&p->armed_at_ns, UINT64_MAX);
    atomic_init(&p->wake_at_ns, UINT64_MAX);
    watch_pulse_look(p);
    watch_pulse_said(p);
}

void watch_pulse_stop(struct watch_pulse *p)
{
    timer_cancel(p->call->timers, &p->timer);
}

void watch_pulse_look(struct watch_pulse *p)
{
    p->now_ns = clock_monotonic_ns();
}

void watch_pulse_said(struct watch_pulse *p)
{
    p->heartbeat_at_ns = p->now_ns + p->call->heartbeat_ns;
}

void watch_pulse_news(struct watch_pulse *p, bool seal_now)
{
    p->unsealed = true;
    p->resting = false;
    if (seal_now) {
        p->checkpoint_at_ns = 0;
    }
}

/* When one that nothing came to be sent with is said by itself. */
static uint64_t checkpoint_by_ns(const struct watch_pulse *p)
{
    return p->checkpoint_at_ns > 0
               ? p->checkpoint_at_ns + WATCH_CHECKPOINT_WAITS_MS * CLOCK_NS_PER_MS
               : 0;
}

bool watch_pulse_wants_checkpoint(const struct watch_pulse *p)
{
    return p->unsealed && p->now_ns >= checkpoint_by_ns(p);
}

bool watch_pulse_wants_checkpoint_here(struct watch_pulse *p)
{
    p->resting = true;
    p->settled = p->settled || (p->sealed && !p->unsealed);
    return !p->settled || (p->unsealed && p->now_ns >= p->checkpoint_at_ns);
}

void watch_pulse_sealed(struct watch_pulse *p)
{
    p->unsealed = false;
    p->sealed = true;
    p->settled = p->settled || p->resting;
    p->checkpoint_at_ns = p->now_ns + WATCH_CHECKPOINT_MS * CLOCK_NS_PER_MS;
}

bool watch_pulse_wants_heartbeat(const struct watch_pulse *p)
{
    return p->now_ns >= p->heartbeat_at_ns;
}

static void arm(struct watch_pulse *p, uint64_t at_ns);

/* On the timers' thread. One that fires too soon goes on: to arm it at each message would be dearer. */
static void on_time(void *arg)
{
    struct watch_pulse *p = arg;

    atomic_store(&p->armed_at_ns, UINT64_MAX);
    uint64_t wake_at_ns = atomic_load(&p->wake_at_ns);

    if (clock_monotonic_ns() >= wake_at_ns) {
        call_wake(p->call);
    } else if (wake_at_ns != UINT64_MAX) {
        arm(p, wake_at_ns);
    }
}

static void arm(struct watch_pulse *p, uint64_t at_ns)
{
    atomic_store(&p->armed_at_ns, at_ns);
    timer_arm(p->call->timers, &p->timer, at_ns, on_time, p);
}

int watch_pulse_wait(struct watch_pulse *p, uint64_t wake_ns)
{
    uint64_t now_ns = p->now_ns, at_ns = wake_ns;

    /* What is due and was not said cannot be said now: whatever changes that wakes. */
    if (p->heartbeat_at_ns > now_ns && p->heartbeat_at_ns < at_ns) {
        at_ns = p->heartbeat_at_ns;
    }
    if (p->unsealed && checkpoint_by_ns(p) > now_ns && checkpoint_by_ns(p) < at_ns) {
        at_ns = checkpoint_by_ns(p);
    }
    atomic_store(&p->wake_at_ns,
                 at_ns); /* before the look: on_time() does it the other way round */
    if (at_ns < atomic_load(&p->armed_at_ns)) {
        timer_cancel(p->call->timers, &p->timer);
        arm(p, at_ns);
    }
    return HANDLER_WAIT;
}
