/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A stream's domain, resolved anew: where the mapper knows it otherwise than it was resolved, before
 * anything was said of it. Once for a stream, as calls do (dispatch.c), and within its deadline; the policy
 * is asked again, of the domain that is found.
 *
 * The stream waits for it as for anything else, and may go away meanwhile: what the resolver then answers
 * is nobody's. So what it looks at is its own, counted: one reference is the stream's, another the
 * resolver's until it has answered. On the thread that sends; renewal_end() on any, at the stream's end.
 * Lock: one, before those of whom call_wake() wakes.
 */
#ifndef XENRES_RPC_RENEWAL_H
#define XENRES_RPC_RENEWAL_H

#include <stdbool.h>

struct exchange;

/* Of one that has failed with x->failure, and has said nothing. False: that stands. True: wait for
 * call_wake(), then renewal_step(). */
bool renewal_begin(struct exchange *x);
/* HANDLER_WAIT: there is no answer yet. HANDLER_DONE: the handler has begun again, and goes on. Else the
 * failure that the stream ends with, in x->failure. */
int renewal_step(struct exchange *x);
/* The stream goes, or goes on: nobody calls call_wake() for it any more. One that has none is fine. */
void renewal_end(struct exchange *x);

#endif
