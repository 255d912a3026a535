/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/sigpipe.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

static void only_pipe(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

void sigpipe_block(struct sigpipe *s)
{
    sigset_t set, pending;

    only_pipe(&set);
    sigemptyset(&pending);
    sigpending(&pending);
    s->was_pending = sigismember(&pending, SIGPIPE) == 1;
    s->is_blocked = pthread_sigmask(SIG_BLOCK, &set, &s->old) == 0;
}

void sigpipe_restore(struct sigpipe *s)
{
    sigset_t set;
    struct timespec at_once = { 0 };

    if (!s->is_blocked) {
        return;
    }
    only_pipe(&set);
    while (!s->was_pending && sigtimedwait(&set, NULL, &at_once) == -1 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &s->old, NULL);
}
