/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See patience.h. None of the calls can fail with these arguments. */
#include "server/mapper/patience.h"

#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

enum { US_PER_MS = 1000 };

/* That it came is all: a call that waits returns for any handler. */
static void on_signal(int signal_number)
{
    (void)signal_number;
}

void patience_init(void)
{
    struct sigaction action = { .sa_handler = on_signal }; /* without SA_RESTART */
    sigset_t set;
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &set, NULL); /* whatever was inherited */
}

void patience_begin(void)
{
    const struct itimerval on = { .it_value.tv_usec = PATIENCE_MS * US_PER_MS,
                                  .it_interval.tv_usec = PATIENCE_AGAIN_MS * US_PER_MS };
    setitimer(ITIMER_REAL, &on, NULL);
}

void patience_end(void)
{
    static const struct itimerval off;
    setitimer(ITIMER_REAL, &off, NULL);
}
