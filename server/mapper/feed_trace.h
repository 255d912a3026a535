/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The feeds of traces: one for each vCPU that is traced, in the table with all others, but begun, ended
 * and taken away by the trace that it is of. Whoever lets one go, or goes, ends nothing; one that is over
 * can be watched until it is dropped. The loop's thread.
 */
#ifndef XENRES_MAPPER_FEED_TRACE_H
#define XENRES_MAPPER_FEED_TRACE_H

#include "server/mapper/feed_table.h"
#include "server/mapper/source_trace.h"

/* Its first sample, which enables the trace, is due at once. `trace`: with its id, and the domain as its
 * identity was checked. `buffer_bytes`: of the vCPU; the spool has half as much at least, because up to 40 %
 * of it are told at once. Waits for nothing: -ERROR_RESOURCE_EXHAUSTED to be tried again soon
 * (FAILURE_RETRY_SOON_MS): another one is ending to make room for it, and the table has news then. */
int feed_trace_begin(struct feed_table *t, const struct message_trace *trace,
                     const struct source_trace_options *options, uint64_t buffer_bytes,
                     uint32_t *number, struct failure *f);

struct feed_trace_state {
    bool has_begun;
    bool is_over; /* nothing of it is mapped or enabled */
    /* Where it is over: why; 0: it never began. */
    enum feed_end_reason end;
    uint32_t end_detail;
    struct failure failure; /* code 0: none */
};
void feed_trace_look(const struct feed_table *t, uint32_t number, struct feed_trace_state *out);
void feed_trace_figures(const struct feed_table *t, uint32_t number,
                        struct source_trace_figures *out);

/* It is over later; once more is fine, and does nothing. */
void feed_trace_end(struct feed_table *t, uint32_t number, enum feed_end_reason reason);
/* It is over, and no longer the trace's: it goes once nobody waits for it. */
void feed_trace_drop(struct feed_table *t, uint32_t number);

/* --- for feed_watch ---------------------------------------------------------------------------- */

/* The one that this domain, exactly as it was checked then, has of this vCPU, over or not: of the trace of
 * this id, or, where it is zero, of the last. Followed by feed_table_take() or feed_table_refuse().
 * -ERROR_FAILED_PRECONDITION: there is none; -ERROR_ABORTED: none of this id. */
int feed_trace_ask(struct feed_table *t, const struct message_watch *request,
                   struct feed_asked *out, struct failure *f);

#endif
