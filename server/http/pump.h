/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Threads that send what becomes known bit by bit, on sockets that nobody else uses meanwhile. Each
 * sleeps until one of its entries was woken, has room in its socket again, or has lost its peer, and
 * then gives each of those a turn, one after the other.
 *
 * A peer that has closed the connection, or its half of it, is noticed at once, however long there
 * is nothing to say to it.
 */
#ifndef XENRES_HTTP_PUMP_H
#define XENRES_HTTP_PUMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/error.h"

enum { PUMP_THREADS_MAX = 16 };

struct pump;
struct pump_thread;

/* Its user's memory; all but `peer_left` is pump.c's. Never waits; one turn at a time. */
struct pump_entry {
    TAILQ_ENTRY(pump_entry) link; /* under the thread's lock, and so the next */
    bool is_queued;
    bool peer_left; /* for the turn to see; set once, for good */
    int fd;
    struct pump_thread *thread;
};

enum pump_verdict {
    PUMP_RESTS,   /* until it is woken, or its socket changes */
    PUMP_GOES_ON, /* when the others have had their turn */
    PUMP_LEFT,    /* pump_leave() was called; the entry may be gone */
};

/* `turn` is called on the entry's thread. 1 to PUMP_THREADS_MAX threads. */
int pump_start(uint32_t threads, enum pump_verdict (*turn)(struct pump_entry *e), struct pump **out,
               struct failure *f);
/* Waits until every entry has left; none may enter any more. NULL is fine. */
void pump_stop(struct pump *p);

/* Gives it to one of the threads, for a first turn. `fd` is open until it leaves. False: the kernel
 * takes no more. */
bool pump_enter(struct pump *p, struct pump_entry *e, int fd);
/* There is more to say. Any thread, between enter and leave. */
void pump_wake(struct pump_entry *e);
/* In a turn: no other will come. */
void pump_leave(struct pump_entry *e);

#endif
