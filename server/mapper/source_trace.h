/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A source that appends: the trace of one vCPU, from the hypervisor's ring to the spool. Whatever is in a
 * segment follows without a hole what is before it, and what is lost is declared; how that is known, lap.h
 * says.
 *
 * The first sample starts the trace: whoever traces already is not disturbed (unless the trace takes over),
 * the journal is told before anything is enabled, and what was in the ring before is never served. The
 * last, finish(), disables it, serves what is left and tells the journal. Every call that pauses the vCPU is
 * paid from the trace's own budget and from the mapper's ceiling; a sample that these refuse is late, and
 * counted.
 *
 * The sampling thread's, but for source_trace_look().
 */
#ifndef XENRES_MAPPER_SOURCE_TRACE_H
#define XENRES_MAPPER_SOURCE_TRACE_H

#include "server/mapper/source.h"

enum {
    SOURCE_TRACE_MIN_BYTES = 4 << 10, /* of a ring, which has a power of two */
    SOURCE_TRACE_MAX_BYTES = 64 << 20,
    SOURCE_TRACE_PERIOD_MIN_MS = 1,
    SOURCE_TRACE_STILL_S = 1,       /* so long without a byte, and it is asked why; then again */
    SOURCE_TRACE_STILL_AGAIN_S = 5, /* every so often */
};

struct source_trace_options {
    struct backend_domain known; /* as it was when its identity was checked */
    uint32_t vcpu;
    uint32_t flags;                        /* enum trace_flags */
    uint32_t pauses_per_second;            /* the budget: > 0 */
    uint64_t period_min_ns, period_max_ns; /* what adapts stays within */
    bool is_ours; /* what may still be enabled a mapper of ours has left: it is disabled */
    /* Called by the sampling thread: before anything is enabled (on failure nothing is), and once nothing
     * of it is enabled any more. */
    int (*journal_add)(void *journal, const struct backend_domain *d, uint32_t vcpu,
                       struct failure *f);
    void (*journal_remove)(void *journal, const struct backend_domain *d, uint32_t vcpu);
    void *journal;
};

/* Of source_trace_look(). */
struct source_trace_figures {
    struct message_trace_vcpu vcpu;
    uint64_t rtit_ctl, buffer_bytes; /* as in struct message_trace_facts; 0 before it has begun */
};

int source_trace_new(const struct source_trace_options *options, struct source **out,
                     struct failure *f);
/* How it stands after the last sample. Any thread, until the source is freed; waits for nothing. */
void source_trace_look(struct source *s, struct source_trace_figures *out);

#endif
