/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Time limits on what peers do, in one thread that looks at every connection once a second: the
 * daemon's own timeout is one for all phases and starts anew with every byte, so that a drip of
 * bytes holds a connection, and a reader of one byte a second a slot of the arena, for ever. Ends a
 * connection by shutting its socket down; the daemon's thread then closes it.
 *
 * It also keeps sockets that closed with input unread, until the peer has read what was said last: a
 * close() then would send a reset, and the peer might lose the alert or the answer.
 */
#ifndef XENRES_HTTP_WATCHDOG_H
#define XENRES_HTTP_WATCHDOG_H

#include "server/http/connection.h"
#include "server/http/tally.h"

enum {
    WATCHDOG_PERIOD_MS = 1000,
    /* A reply has to make progress worth the minimum rate in each such window. */
    WATCHDOG_DRAIN_WINDOW_S = 5,
    WATCHDOG_LINGER_MAX = 64, /* sockets at a time; further ones are closed at once */
    WATCHDOG_LINGER_MS = 2000,
    WATCHDOG_LINGER_MAX_BYTES = 256 * 1024,
    WATCHDOG_STUCK_S = 20,
};

struct watchdog;

int watchdog_start(struct connections *connections, struct tally *tally,
                   const struct listener_limits *limits, struct watchdog **out, struct failure *f);
void watchdog_stop(struct watchdog *w); /* NULL is fine */
/* A connection came: the thread sleeps while there is none. */
void watchdog_wake(struct watchdog *w);
/* Keeps a duplicate of `fd`, half closed, for at most WATCHDOG_LINGER_MS. Any thread. */
void watchdog_linger(struct watchdog *w, int fd);

/* Whether the threads of connections go on: true where this one has answered since the last question, and
 * no connection that was ended WATCHDOG_STUCK_S ago is still there, whose thread would have closed it. Asks
 * the next question; true to the first. One thread; waits for nothing. */
bool watchdog_is_well(struct watchdog *w);

/* What the thread does once a second, for tests that move the clock. */
void watchdog_look(struct watchdog *w);

#endif
