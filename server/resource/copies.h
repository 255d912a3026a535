/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Snapshots that many want at once. While a copy of a range is on its way, those who ask for the
 * very same (identity with incarnation, resource, frames, flags) wait for it to be over, and then
 * share one that begins after all of them have asked: nobody is given what was copied before his
 * request, and a host that many look at is copied once for all, not once for each.
 *
 * Decides nothing: who asks here has been authorised by himself, and has a deadline of his own. A
 * copy that fails fails for all who share it, since they asked for the same.
 *
 * Any thread. Lock: one, before those of the mapper client; no callback is called under it.
 */
#ifndef XENRES_RESOURCE_COPIES_H
#define XENRES_RESOURCE_COPIES_H

#include <sys/queue.h>

#include "server/resource/mapper_client.h"

struct copies;

TAILQ_HEAD(copies_queue, copies_request);

/* Owned by the caller; not touched by it from copies_ask() until `done`. */
struct copies_request {
    mapper_done *done; /* as mapper_client_call()'s, but on any thread */
    void *arg;
    uint64_t deadline_ns;

    /* The module's own. */
    TAILQ_ENTRY(copies_request) link;
    struct copies_queue *queue; /* linked in it; NULL: in none */
    struct copies *copies;
    uint64_t wait; /* for the deadline; 0: the copy's own deadline is no later */
};

int copies_new(struct mapper_client *mapper, struct copies **out, struct failure *f);
/* Nothing may be pending; the mapper client may be gone by then. NULL is fine. */
void copies_free(struct copies *c);

/* `snapshot` is as for mapper_client_call(), less the deadline. 0: `done` comes once. Otherwise it
 * does not, and `f` says why, as mapper_client_call() does. */
int copies_ask(struct copies *c, const struct message_snapshot *snapshot, struct copies_request *q,
               struct failure *f);

#endif
