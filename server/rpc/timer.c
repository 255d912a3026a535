/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A pairing heap of the armed ones: arming is O(1), firing and cancelling O(log n) amortised. */
#include "server/rpc/timer.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"

struct timers {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* the nearest one, or `stopping` */
    pthread_cond_t fired;
    pthread_t thread;
    struct timer *nearest; /* under `lock`, and so all below */
    struct timer *firing;  /* its `fire` runs */
    bool stopping;
};

/* --- the heap ----------------------------------------------------------------------------------- */

/* Two heaps into one; each may be NULL. */
static struct timer *meld(struct timer *a, struct timer *b)
{
    if (a == NULL || b == NULL) {
        return a != NULL ? a : b;
    }
    if (b->at_ns < a->at_ns) {
        struct timer *sooner = b;

        b = a;
        a = sooner;
    }
    b->before = a;
    b->next = a->child;
    if (a->child != NULL) {
        a->child->before = b;
    }
    a->child = b;
    a->next = a->before = NULL;
    return a;
}

/* The siblings from `first` on into one heap: in pairs forwards, then the pairs backwards. */
static struct timer *meld_siblings(struct timer *first)
{
    struct timer *pairs = NULL, *all = NULL;

    while (first != NULL) {
        struct timer *a = first, *b = first->next;

        first = b != NULL ? b->next : NULL;
        a->next = a->before = NULL;
        if (b != NULL) {
            b->next = b->before = NULL;
        }
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct timer *a = pairs;

        pairs = a->next;
        a->next = NULL;
        all = meld(all, a);
    }
    return all;
}

static void take_out(struct timers *t, struct timer *timer)
{
    struct timer *below = meld_siblings(timer->child);

    if (timer == t->nearest) {
        t->nearest = below;
    } else {
        if (timer->before->child == timer) {
            timer->before->child = timer->next;
        } else {
            timer->before->next = timer->next;
        }
        if (timer->next != NULL) {
            timer->next->before = timer->before;
        }
        t->nearest = meld(t->nearest, below);
    }
    timer->child = timer->next = timer->before = NULL;
    timer->armed = false;
}

/* --- the thread --------------------------------------------------------------------------------- */

static void wait_until(struct timers *t, uint64_t at_ns)
{
    const struct timespec at = { .tv_sec = (time_t)(at_ns / CLOCK_NS_PER_S),
                                 .tv_nsec = (long)(at_ns % CLOCK_NS_PER_S) };

    (void)pthread_cond_timedwait(&t->changed, &t->lock, &at);
}

static void fire(struct timers *t, struct timer *timer)
{
    void (*call)(void *arg) = timer->fire;
    void *arg = timer->arg;

    take_out(t, timer);
    t->firing = timer;
    (void)pthread_mutex_unlock(&t->lock);
    call(arg); /* `timer` may be gone when this returns */
    (void)pthread_mutex_lock(&t->lock);
    t->firing = NULL;
    (void)pthread_cond_broadcast(&t->fired);
}

static void *run(void *arg)
{
    struct timers *t = arg;

    (void)pthread_mutex_lock(&t->lock);
    while (!t->stopping) {
        if (t->nearest == NULL) {
            (void)pthread_cond_wait(&t->changed, &t->lock);
        } else if (t->nearest->at_ns > clock_monotonic_ns()) {
            wait_until(t, t->nearest->at_ns);
        } else {
            fire(t, t->nearest);
        }
    }
    (void)pthread_mutex_unlock(&t->lock);
    return NULL;
}

int timers_new(struct timers **out, struct failure *f)
{
    struct timers *t = calloc(1, sizeof(*t));
    pthread_condattr_t attributes;

    if (t == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for timers");
    }
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&t->changed, &attributes);
    (void)pthread_cond_init(&t->fired, NULL);
    (void)pthread_condattr_destroy(&attributes);
    int error = pthread_create(&t->thread, NULL, run, t);

    if (error != 0) {
        free(t);
        return failure_call(
            f, failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot start the thread of the timers"),
            "pthread_create", error);
    }
    *out = t;
    return 0;
}

void timers_free(struct timers *t)
{
    if (t == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&t->lock);
    assert(t->nearest == NULL);
    t->stopping = true;
    (void)pthread_cond_signal(&t->changed);
    (void)pthread_mutex_unlock(&t->lock);
    (void)pthread_join(t->thread, NULL);
    (void)pthread_cond_destroy(&t->changed);
    (void)pthread_cond_destroy(&t->fired);
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

void timer_arm(struct timers *t, struct timer *timer, uint64_t at_ns, void (*fire_)(void *arg),
               void *arg)
{
    (void)pthread_mutex_lock(&t->lock);
    assert(!timer->armed);
    *timer = (struct timer){ .at_ns = at_ns, .fire = fire_, .arg = arg, .armed = true };
    t->nearest = meld(t->nearest, timer);
    if (t->nearest == timer) {
        (void)pthread_cond_signal(&t->changed);
    }
    (void)pthread_mutex_unlock(&t->lock);
}

void timer_cancel(struct timers *t, struct timer *timer)
{
    (void)pthread_mutex_lock(&t->lock);
    if (timer->armed) {
        take_out(t, timer);
    }
    while (t->firing == timer && !pthread_equal(pthread_self(), t->thread)) {
        (void)pthread_cond_wait(&t->fired, &t->lock);
        if (timer->armed) { /* `fire` armed it again */
            take_out(t, timer);
        }
    }
    (void)pthread_mutex_unlock(&t->lock);
}
