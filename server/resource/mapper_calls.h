/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The calls in flight: a table of fixed size, found by serial. A serial is the row and how often
 * the row was used, so that an answer to an earlier call of the same row is recognised.
 *
 * A call whose deadline passed is told so, and its row stays taken until the mapper's answer comes:
 * the mapper still works on it, and what it answers twice or unasked is a contradiction. Rows may
 * also be waits: for nothing but their deadline.
 *
 * Deadlines are looked for by a scan of one array (16 KiB) when the earliest may have passed: with
 * the usual, equal timeouts that is once per timeout, not once per call, where an ordered structure
 * would cost each call.
 *
 * Any thread; completions are the receiving thread's. Lock: one; nothing is called under it.
 */
#ifndef XENRES_RESOURCE_MAPPER_CALLS_H
#define XENRES_RESOURCE_MAPPER_CALLS_H

#include "server/resource/mapper_answer.h"
#include "server/resource/mapper_client.h"

#define MAPPER_CALLS_NEVER UINT64_MAX

struct mapper_calls;

struct mapper_call {
    mapper_done *done;
    void *arg;
    struct mapper_question question; /* type 0: a wait */
};

int mapper_calls_new(struct mapper_calls **out, struct failure *f);
void mapper_calls_free(struct mapper_calls *t); /* NULL is fine; none may be left */

/* *wake: the receiving thread sleeps longer than to this deadline. -ERROR_RESOURCE_EXHAUSTED where
 * `max` calls are in flight or the table is full; -ERROR_UNAVAILABLE when it is closed. */
int mapper_calls_add(struct mapper_calls *t, const struct mapper_call *call, uint64_t deadline_ns,
                     unsigned max, uint64_t *serial, bool *wake, struct failure *f);
/* Takes a call back that was not sent, or a wait. False: it is completed, or about to be. */
bool mapper_calls_withdraw(struct mapper_calls *t, uint64_t serial);

enum mapper_calls_found { MAPPER_CALLS_NONE, MAPPER_CALLS_LIVE, MAPPER_CALLS_EXPIRED };
/* The call that an answer is for; its row is free then. */
enum mapper_calls_found mapper_calls_take(struct mapper_calls *t, uint64_t serial,
                                          struct mapper_call *out);

/* Tells calls and waits whose deadline is not after `now_ns` so, with `why`. Returns the earliest
 * deadline that is left (which wakes are measured against from now on), or NEVER. Receiving
 * thread. */
uint64_t mapper_calls_expire(struct mapper_calls *t, uint64_t now_ns, const struct failure *why);
/* The mapper is gone: tells the calls in flight so, and forgets those that expired. `waits`: those
 * too, and nothing can be added any more. Receiving thread. */
void mapper_calls_abandon(struct mapper_calls *t, bool waits, const struct failure *why);

#endif
