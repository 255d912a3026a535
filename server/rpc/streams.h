/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The streams that are open until somebody ends them, so that all of them can be woken: when the gateway
 * stops, and when the rules are others; and those of whom what was shown has expired. What they then have to
 * say, each says on its own thread.
 *
 * In place. Any thread. Lock: one; calls are woken under it, so it is not to be held by who removes one.
 */
#ifndef XENRES_RPC_STREAMS_H
#define XENRES_RPC_STREAMS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct call;

/* Zeroed before it is added. Its user's memory; all of it is streams.c's. */
struct stream_entry {
    TAILQ_ENTRY(stream_entry) link;
    struct call *call;
    int64_t not_after_s;
};

struct streams {
    pthread_mutex_t lock;
    TAILQ_HEAD(stream_list, stream_entry) list; /* under `lock`, and so the next */
    unsigned count;
    int64_t earliest_s; /* none of them ends before; may be too early */
};

void streams_init(struct streams *s);
void streams_done(struct streams *s); /* none may be left */
/* `not_after_s`: until when what was shown for it is good. */
void streams_add(struct streams *s, struct stream_entry *e, struct call *call, int64_t not_after_s);
/* It is another time now. One that was not added is fine. */
void streams_retime(struct streams *s, struct stream_entry *e, int64_t not_after_s);
/* When this returns, the call is not woken any more. One that was not added is fine. */
void streams_remove(struct streams *s, struct stream_entry *e);
void streams_wake(struct streams *s); /* all */
/* Those whose time was over before `now_s`, again at each call until they have gone. One comparison, as long
 * as there are none. */
void streams_expire(struct streams *s, int64_t now_s);
unsigned streams_count(struct streams *s);

#endif
