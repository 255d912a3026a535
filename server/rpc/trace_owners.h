/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who started the traces that run. They are the mapper's, and outlive calls, streams and this process until
 * their leases end: so whoever is let in no more, or may not control them any more, would keep his for as
 * long as an hour. Each call that begins or renews one as its owner is noted, with what was shown; when the
 * rules are others, all traces are judged by them, and one whose owner may not have it any more ends: at
 * once, or, where others read it, when they have gone (trace_leases).
 *
 * Of a trace that is not noted (it was begun before this process, or there was no room) its owner's name is
 * known, and nothing else: then only the deny list's identities count.
 *
 * What was shown may expire: that ends nothing, as the lease has to be renewed with something better.
 *
 * Any thread. Lock: one, before those of the audit.
 */
#ifndef XENRES_RPC_TRACE_OWNERS_H
#define XENRES_RPC_TRACE_OWNERS_H

#include "server/rpc/state.h"
#include "server/rpc/trace_leases.h"

enum { TRACE_OWNERS_MAX = 256 }; /* that are noted: a mapper runs fewer */

struct trace_owners;

/* `mapper`, `leases` and `audit` (NULL: it is off) outlive it. */
int trace_owners_new(struct mapper_client *mapper, struct trace_leases *leases, struct audit *audit,
                     struct trace_owners **out, struct failure *f);
/* The mapper client has to be gone. NULL is fine. */
void trace_owners_free(struct trace_owners *o);

/* The call of `x` has begun, joined or renewed this trace. Nothing where it is another's. */
void trace_owners_note(struct trace_owners *o, const struct exchange *x,
                       const struct message_trace *trace);

/* The rules are others: trace_owners_look() is to judge. */
void trace_owners_rules_changed(struct trace_owners *o);
/* To be called often, once a second: where it is due, has the mapper list its traces, and judges them by
 * these rules, of which references are taken; and again as long as one that has to end runs. `access` may be
 * NULL. */
void trace_owners_look(struct trace_owners *o, struct policy *policy, struct access *access);

#endif
