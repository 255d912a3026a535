/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Keeps the leases of traces that are being read: as long as anybody holds one, the mapper is told to begin
 * it anew, at once and then at each third of it. One timer and one question for each trace, however many
 * read it. What cannot be renewed now (no mapper, no room) is tried again soon; a trace that is over, or of a
 * mapper that knows it no longer, is let alone.
 *
 * Any thread. Lock: one, before those of the mapper client and of the timers.
 */
#ifndef XENRES_RPC_TRACE_LEASES_H
#define XENRES_RPC_TRACE_LEASES_H

#include "server/resource/mapper_client.h"
#include "server/rpc/timer.h"

enum {
    TRACE_LEASES_MAX = 256, /* traces that are held at a time: a mapper runs fewer */
    TRACE_LEASE_RETRY_MS = 1000,
};

struct trace_lease;
struct trace_leases;

/* `timers` outlive it. */
int trace_leases_new(struct mapper_client *mapper, struct timers *timers, struct trace_leases **out,
                     struct failure *f);
/* None may be held, and the mapper client has to be gone. NULL is fine. */
void trace_leases_free(struct trace_leases *l);

/* `trace`: as the mapper told of it, running. -ERROR_RESOURCE_EXHAUSTED: too many are held, or no memory. */
int trace_leases_hold(struct trace_leases *l, const struct message_trace *trace,
                      struct trace_lease **out, struct failure *f);
void trace_leases_let_go(struct trace_leases *l, struct trace_lease *lease); /* NULL is fine */

/* Renewals that the mapper has answered well, of all traces. */
uint64_t trace_leases_renewals(struct trace_leases *l);

#endif
