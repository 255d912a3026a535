/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Tells who watches this process, by sd_watchdog_enabled(3), that it lives: from the loop of its main
 * thread, so that a loop that hangs says nothing, and only while the listener's threads go on, too. Where
 * nobody watches it does nothing. One thread.
 */
#ifndef XENRES_SERVER_ALIVE_H
#define XENRES_SERVER_ALIVE_H

#include <stdint.h>

#include "server/http/listener.h"

struct alive {
    uint64_t silence_ns; /* so long it may be silent; 0: for ever */
    uint64_t due_ns;
};

void alive_init(struct alive *a);
/* What poll() may wait: `timeout_ms` (-1: for ever), or less. */
int alive_timeout_ms(const struct alive *a, int timeout_ms);
/* To be called in each turn. `listener` NULL: there is none to ask. */
void alive_tell(struct alive *a, struct listener *listener);

#endif
