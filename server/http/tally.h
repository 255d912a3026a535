/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the listener counts, and the log of whom it refused: a line a refusal while the budget lasts
 * (TALLY_LINES in TALLY_PERIOD_S), then one line that says how many were left out, so that strangers
 * cannot fill the disk. Any thread.
 */
#ifndef XENRES_HTTP_TALLY_H
#define XENRES_HTTP_TALLY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "auth/audit.h"
#include "server/http/listener.h"

enum { TALLY_LINES = 20, TALLY_PERIOD_S = 10 };

struct tally {
    _Atomic uint64_t accepted, handshakes_done, requests;
    _Atomic uint64_t refused[LISTENER_REFUSAL_COUNT];
    struct audit *audit;      /* may be NULL; set before any thread looks */
    pthread_mutex_t lock;     /* the innermost: nothing is called with it but the log */
    uint64_t period_start_ns; /* under `lock`, and so the next two */
    uint32_t lines;
    uint64_t left_out;
};

void tally_init(struct tally *t);
void tally_done(struct tally *t);
/* Counts, and logs as far as the budget goes. `detail` may be NULL; it is text of ours or escaped. */
void tally_refuse(struct tally *t, enum listener_refusal why, const char *peer, const char *detail);

#endif
