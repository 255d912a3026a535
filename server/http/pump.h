/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Threads that send what becomes known bit by bit, on sockets that nobody else uses meanwhile. Each
 * sleeps until one of its entries was woken, has room in its socket again, or has lost its peer, and
 * then gives each of those a turn, one after the other.
 *
 * Who wakes a few entries of a thread that sleeps, and can wait with it until he holds no lock
 * (common/errand.h), gives them their turn himself: that is one change of threads less on the way of
 * a message. Where there are many, or he cannot wait, he wakes the thread.
 *
 * What a peer does to the connection is noticed at once, however long there is nothing to say to it.
 */
#ifndef XENRES_HTTP_PUMP_H
#define XENRES_HTTP_PUMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/error.h"

enum {
    PUMP_THREADS_MAX = 16,
    PUMP_HELP_MAX = 4, /* entries that are served by whoever woke them */
};

struct pump;
struct pump_thread;

/* Its user's memory; all of it is pump.c's. */
struct pump_entry {
    STAILQ_ENTRY(pump_entry) link;
    enum { PUMP_ENTRY_RESTS, PUMP_ENTRY_QUEUED, PUMP_ENTRY_HAS_TURN, PUMP_ENTRY_GOES_ON } state;
    bool peer_is_done, peer_left;
    int fd;
    struct pump_thread *thread; /* all above is under its lock */
};

enum pump_verdict {
    PUMP_RESTS,   /* until it is woken, or its socket changes */
    PUMP_GOES_ON, /* when the others have had their turn */
    PUMP_LEFT,    /* pump_leave() was called; the entry may be gone */
};

/* What a turn has to know. */
struct pump_news {
    bool
        peer_is_done; /* it has closed its half: what is sent has a reader, or a reset for answer */
    bool peer_left;   /* nobody reads any more */
    bool is_help;     /* the thread that gives it has other things to do: be brief */
};

/* One turn of an entry at a time, in which it may not wait. 1 to PUMP_THREADS_MAX threads. */
typedef enum pump_verdict pump_turn(struct pump_entry *e, const struct pump_news *news);
int pump_start(uint32_t threads, pump_turn *turn, struct pump **out, struct failure *f);
/* Waits until every entry has left; none may enter any more. NULL is fine. */
void pump_stop(struct pump *p);

/* Gives it to one of the threads, for a first turn. `fd` is open until it leaves. False: the kernel
 * takes no more. */
bool pump_enter(struct pump *p, struct pump_entry *e, int fd);
/* There is more to say. Any thread, between enter and leave. */
void pump_wake(struct pump_entry *e);
/* In a turn that is no help: no other will come. */
void pump_leave(struct pump_entry *e);

#endif
