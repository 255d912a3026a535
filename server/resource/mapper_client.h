/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenresd's side of the channel to the mapper: the twin of mapper/request.
 *
 * Owns the connection (and makes it again, with back-off, for as long as it runs), the arena as
 * xenresd sees it (read-only), the calls in flight, and a thread that receives. Calls are made from
 * any thread and never wait: the answer comes to `done`, exactly once for every call that was
 * accepted, on the receiving thread: with the mapper's answer, its refusal, `unavailable` when it
 * dies, or `deadline_exceeded`. An answer that comes later is dropped, and its slot and descriptor are
 * released: what a WATCH holds in the mapper stays held, so that one is better made without a deadline.
 *
 * Lock order: nothing of a caller may be held that `done` takes.
 */
#ifndef XENRES_RESOURCE_MAPPER_CLIENT_H
#define XENRES_RESOURCE_MAPPER_CLIENT_H

#include "common/error.h"
#include "common/message.h"

enum { MAPPER_CALLS_MAX = 1024 }; /* in flight; more are resource_exhausted at once */

struct mapper_client;

/* One copy in the arena, shared by counting. It stays until the last reference goes, also when the
 * mapper that made it is gone (its memory is then kept by our mapping of the old arena). */
struct mapper_slot;
const void *mapper_slot_bytes(const struct mapper_slot *s, size_t *len_bytes);
struct mapper_slot *mapper_slot_ref(struct mapper_slot *s);
void mapper_slot_unref(struct mapper_slot *s); /* NULL is fine; any thread */

/* What `done` is given; valid during the call only, but for `slot`, whose reference `done` may keep
 * by mapper_slot_ref(). */
struct mapper_result {
    const struct failure *failure; /* NULL: success */
    const union message *answer;   /* of the request's type | MESSAGE_ANSWER */
    struct mapper_slot *slot;      /* of SNAPSHOT, VCPU_STATS and IMAGE, else NULL */
    int fd; /* of WATCH and WATCH_DOMAINS, the spool's, else -1; closed when `done` has returned */
};
typedef void mapper_done(void *arg, const struct mapper_result *result);

struct mapper_client_options {
    const char *socket_path;
    uint32_t backoff_min_ms, backoff_max_ms;
    /* Called on the receiving thread when the connection came or went, and when the domain list
     * changed: also (with generation 0) whenever a connection is made, because what is known of the
     * domains was another mapper's then. May be NULL. */
    void (*on_connected)(void *arg, bool connected);
    void (*on_domains_changed)(void *arg, uint64_t generation);
    void *arg;
};

/* Starts the thread; succeeds also while there is no mapper yet. */
int mapper_client_new(const struct mapper_client_options *options, struct mapper_client **out,
                      struct failure *f);
/* Ends every call in flight with `unavailable`, then the thread. Calls that these completions make
 * are refused; no other may be made any more. Slots that are still referenced stay readable. NULL
 * is fine. */
void mapper_client_free(struct mapper_client *c);

/* Head is filled in here. `request->head.type` says which. On failure `done` is not called. A deadline
 * of UINT64_MAX is none. */
int mapper_client_call(struct mapper_client *c, union message *request, uint64_t deadline_ns,
                       mapper_done *done, void *arg, struct failure *f);

/* Sends what has no answer: UNWATCH. What one thread calls and sends arrives in its order.
 * -ERROR_RESOURCE_EXHAUSTED: the mapper does not read now; -ERROR_UNAVAILABLE: there is none. */
int mapper_client_send(struct mapper_client *c, union message *m, struct failure *f);

/* Waits for nothing but the deadline: `done` comes with `deadline_exceeded` then, or with
 * `unavailable` when the client stops. */
int mapper_client_wait(struct mapper_client *c, uint64_t deadline_ns, mapper_done *done, void *arg,
                       uint64_t *wait, struct failure *f);
/* True: the wait is over and its `done` is not called. False: it was, or is about to be. */
bool mapper_client_end_wait(struct mapper_client *c, uint64_t wait);

/* From `done` of an answer alone, and by one at a time: calls `rest`, once, on the same thread, when all that
 * has come from the mapper is taken (or as much as is taken at once), and before more is waited for. For
 * what is cheaper for several answers than for each. */
void mapper_client_at_rest(struct mapper_client *c, void (*rest)(void *arg), void *arg);

/* The end of the doorbell that came with the hello (common/doorbell.h), the caller's from now on. -1:
 * there is no mapper, or it was taken. */
int mapper_client_take_doorbell(struct mapper_client *c);

/* What the mapper said in its hello. False while there is none. */
bool mapper_client_hello(struct mapper_client *c, struct message_hello_answer *out);
/* How often another mapper than the one before answered. */
uint64_t mapper_client_restarts(struct mapper_client *c);

#endif
