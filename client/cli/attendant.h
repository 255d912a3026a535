/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A thread beside a call that blocks: it takes the signals that end the program, cancels the call at
 * the first one, and ends the program at another one half a second later or more; it cancels the call when
 * who reads standard output has left, also while there is nothing to write; and it draws the live view, at a
 * bounded rate, on a terminal that is put back as it was whatever happens but SIGKILL. One at a time.
 */
#ifndef XENRES_CLI_ATTENDANT_H
#define XENRES_CLI_ATTENDANT_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <xenres.h>

#include "client/cli/board.h"
#include "common/error.h"

enum { ATTENDANT_DRAW_MS = 200, ATTENDANT_LOOK_MS = 500 /* whether there is a reader */ };

struct attendant {
    xenres *handle;
    struct board *board; /* NULL: nothing is drawn */
    bool has_reader;     /* before it is started: of standard output, who may leave */
    sigset_t signals;    /* that it waits for */
    sigset_t before;     /* the mask as it was */
    pthread_t thread;
    bool is_running;
    atomic_bool is_stopping;
    atomic_bool was_signalled;
    atomic_bool reader_left;
    uint64_t signalled_ns; /* the thread's own */
};

/* Before the handle is made, so that no thread of the library's takes the signals: blocks them. */
void attendant_prepare(struct attendant *a);
/* Begins; negative: no thread can be had. The handle and the board outlive it. */
int attendant_start(struct attendant *a, xenres *handle, struct board *board, struct failure *f);
/* Ends it: the terminal is as it was. True: a signal ended the call, or its reader did by leaving. Harmless
 * when not started. */
bool attendant_stop(struct attendant *a);

#endif
