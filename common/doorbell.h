/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One process rings, another one polls: "look again". However often it was rung meanwhile, to look
 * once is enough.
 *
 * Ringing never waits, whatever the other process does to its end. This is a pair of sockets and no
 * eventfd for that: an eventfd is one open file for both, so that who received it could take
 * O_NONBLOCK away, fill the counter, and make the privileged program wait in write() for ever.
 *
 * The rings of a peer can share one. Any thread.
 */
#ifndef XENRES_COMMON_DOORBELL_H
#define XENRES_COMMON_DOORBELL_H

#include <stdbool.h>

#include "common/error.h"

struct doorbell {
    int ring_fd; /* stays */
    int wait_fd; /* for the other process: readable when it was rung, always non-blocking */
};

/* A pair for each peer: one that is gone could answer in place of the next. */
int doorbell_open(struct doorbell *out, struct failure *f);
void doorbell_close(struct doorbell *d); /* once more is fine; so is after either end was taken */

/* Nobody there, or rung often enough: both are fine. */
void doorbell_ring(int ring_fd);
/* Makes it silent again: to be called before the look, not after it. False: nobody can ring any more. */
bool doorbell_answer(int wait_fd);

#endif
