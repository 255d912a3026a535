/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Keeps the leases of traces that are being read: as long as anybody holds one, the mapper is told to begin
 * it anew, at once and then at each third of it. One timer and one question for each trace, however many
 * read it. What cannot be renewed now (no mapper, no room) is tried again soon; a trace that is over, or of a
 * mapper that knows it no longer, is let alone.
 *
 * Who holds one has to say that it reads. Where none of its holders has for as long as the lease, and for two
 * heartbeats, it is not renewed until one does: who takes nothing keeps no domain traced.
 *
 * One that was forsaken, as its owner may not have it any more, is kept for those who hold it, and stopped
 * when the last of them has gone.
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
    TRACE_LEASE_STOP_MS = 10000, /* in which the mapper is to have stopped one that was forsaken */
};

struct trace_lease;
struct trace_leases;

/* `timers` outlive it. `heartbeat_ns`: who reads has something to take at least as often. */
int trace_leases_new(struct mapper_client *mapper, struct timers *timers, uint64_t heartbeat_ns,
                     struct trace_leases **out, struct failure *f);
/* None may be held, and the mapper client has to be gone. NULL is fine. */
void trace_leases_free(struct trace_leases *l);

/* `trace`: as the mapper told of it, running. -ERROR_RESOURCE_EXHAUSTED: too many are held, or no memory. */
int trace_leases_hold(struct trace_leases *l, const struct message_trace *trace,
                      struct trace_lease **out, struct failure *f);
/* Its holder reads: holding it says so too. Cheap. NULL is fine. */
void trace_leases_reads(struct trace_lease *lease);
void trace_leases_let_go(struct trace_leases *l, struct trace_lease *lease); /* NULL is fine */

/* Its owner may not have it any more, or may again: it is stopped, at once where nobody holds it. Where that
 * fails, it has to be said again. */
void trace_leases_forsake(struct trace_leases *l, const uint8_t trace_id[16], bool is_forsaken);

/* Renewals that the mapper has answered well, of all traces. */
uint64_t trace_leases_renewals(struct trace_leases *l);

#endif
