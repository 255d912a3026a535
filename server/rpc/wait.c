/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/wait.h"

enum { LOOKING, WAITING, WOKEN };

void wait_init(struct wait *w, void (*on_wake)(void *arg), void *arg)
{
    atomic_init(&w->state, LOOKING);
    w->on_wake = on_wake;
    w->arg = arg;
}

void wait_look(struct wait *w)
{
    atomic_store(&w->state, LOOKING);
}

bool wait_begin(struct wait *w)
{
    int looking = LOOKING;

    return atomic_compare_exchange_strong(&w->state, &looking, WAITING);
}

void wait_wake(struct wait *w)
{
    /* Copied: whoever is woken may be gone before this returns. */
    void (*on_wake)(void *arg) = w->on_wake;
    void *arg = w->arg;

    if (atomic_exchange(&w->state, WOKEN) == WAITING) {
        on_wake(arg);
    }
}
