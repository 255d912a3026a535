/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The switch by which another thread ends what runs in a handle: an eventfd, readable while it is
 * on, so that whoever waits for anything waits for it too. It has no edge to miss: what begins
 * while it is on ends at once. On: any thread, also in a signal handler (one write(2)). Off: the
 * thread that uses the handle.
 */
#ifndef XENRES_CLIENT_CANCEL_H
#define XENRES_CLIENT_CANCEL_H

#include <stdbool.h>
#include <stdint.h>

#include "client/fault.h"

struct cancel {
    int fd; /* -1: not made */
};

bool cancel_init(struct cancel *c); /* false: no descriptor; errno says why */
void cancel_done(struct cancel *c);

bool cancel_is_on(const struct cancel *c);
/* Sleeps until `deadline_ns` (monotonic), or until it is on: true. */
bool cancel_sleep(const struct cancel *c, uint64_t deadline_ns);
/* The failure of what was ended; returns -ERROR_CANCELED. */
int cancel_fail(struct fault *fault);

#endif
