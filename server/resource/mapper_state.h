/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Whether there is a mapper, as callers see it: the connection that is up, with what its hello
 * said, or the reason why there is none. Written by the receiving thread, read by any. Lock: one;
 * nothing is called under it but counting.
 */
#ifndef XENRES_RESOURCE_MAPPER_STATE_H
#define XENRES_RESOURCE_MAPPER_STATE_H

#include <pthread.h>
#include <stdbool.h>

#include "server/resource/mapper_link.h"

struct mapper_state {
    pthread_mutex_t lock;
    struct mapper_link *up;            /* NULL while there is none; counted by the writer */
    struct message_hello_answer hello; /* while up; of the last one after */
    struct failure down;               /* while there is none: why */
    bool seen_any;
    uint64_t restarts;
};

void mapper_state_init(struct mapper_state *s);
void mapper_state_done(struct mapper_state *s);

/* `link` stays the writer's, until mapper_state_set_down(). */
void mapper_state_set_up(struct mapper_state *s, struct mapper_link *link,
                         const struct message_hello_answer *hello);
void mapper_state_set_down(struct mapper_state *s, const struct failure *why);

/* The connection with a reference for the caller, and how many requests its mapper takes at a time.
 * -ERROR_UNAVAILABLE with the reason. */
int mapper_state_take(struct mapper_state *s, struct mapper_link **out, unsigned *requests_max,
                      struct failure *f);
bool mapper_state_hello(struct mapper_state *s, struct message_hello_answer *out);
uint64_t mapper_state_restarts(struct mapper_state *s);

/* `unavailable` in the words that callers are told, whatever the reason. `f` may be NULL. */
int mapper_state_unavailable(struct failure *f, const struct failure *why);

#endif
