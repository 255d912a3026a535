/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What source_trace.c is made of: one vCPU's trace, its control (source_trace_control.c), and how what was
 * found is told (source_trace_tell.c). Nobody else's.
 */
#ifndef XENRES_MAPPER_SOURCE_TRACE_STATE_H
#define XENRES_MAPPER_SOURCE_TRACE_STATE_H

#include <pthread.h>

#include "server/mapper/lap.h"
#include "server/mapper/source_trace.h"

struct trace {
    struct source base;
    struct source_trace_options options;
    struct backend_domain known; /* as it was last */
    struct backend_mapping mapping;
    bool is_mapped;
    uint64_t ctl;        /* as it was set, without the bit that enables */
    uint64_t size_bytes; /* of the ring; 0: not known */
    uint8_t *image;
    struct allowance *memory; /* that the image is of */
    struct lap_ring ring;
    struct lap lap;
    struct source_tools *tools; /* while it is sampled */
    _Alignas(64) uint8_t scratch[LAP_CHUNK_BYTES];

    bool is_journaled, is_enabled, has_begun;
    struct ceiling budget; /* the trace's own, of pauses */
    struct ceiling_meter meter;
    uint64_t pauses, samples, late;
    enum feed_loss_reason blame; /* if it was lapped now; 0: nobody held it back */

    uint64_t asked_ns, asked_position; /* when the position was last asked for; 0: never */
    uint64_t looked_ns;                /* … and the ring looked at */
    uint64_t checked_ns;               /* … and the domain */
    uint64_t new_ns;                   /* when there was something new */
    uint64_t why_ns;                   /* when it was asked why there is nothing new */
    uint64_t rate, average_rate;       /* bytes per second */
    bool
        is_hurried; /* it was lapped, so it is quicker than was measured; or nothing was measured */
    bool
        is_gap_told; /* the writer is too quick, which is told as a loss; what is found ends that */
    uint64_t lost_bytes;
    uint64_t fill_bytes, fill_most_bytes;
    uint64_t next_after_ns;

    pthread_mutex_t lock; /* of what follows */
    struct source_trace_figures figures;
};

enum trace_off {
    TRACE_OFF,           /* or it had not been on */
    TRACE_OFF_BY_OTHERS, /* somebody else had disabled it */
    TRACE_STAYS_ON
};

/* --- source_trace_control.c -------------------------------------------------------------------- */

/* One call, which pauses the vCPU, and is counted. */
int source_trace_call(struct trace *s, enum vmtrace_call call, uint32_t key, uint64_t *value,
                      struct failure *f);
/* Maps the ring, takes its image and enables the trace, if nobody else does; else all is as it was, but that
 * the ring may be mapped. */
int source_trace_start(struct trace *s, struct source_sample *now, struct failure *f);
/* Nothing new comes: is it still as it was set? 0, or now->over is set. */
int source_trace_ask_why(struct trace *s, struct source_sample *now, struct failure *f);
/* Disables it, by several tries if need be, and tells the journal. Where it stays on, `f` says why and the
 * journal keeps it: the loop goes on trying, and the next mapper. */
enum trace_off source_trace_disable(struct trace *s, struct failure *f);

/* --- source_trace_tell.c ----------------------------------------------------------------------- */

int source_trace_begin(struct trace *s, struct source_sample *now, enum feed_begin_reason reason,
                       struct feed_stamp *stamp, uint64_t tsc, struct failure *f);
/* Losses, segments, bytes: those that may be told yet, or all where it is the last. */
int source_trace_tell(struct trace *s, struct source_sample *now, const struct lap_found *found,
                      bool is_last, struct feed_stamp *stamp, uint64_t tsc, struct failure *f);
/* What is left cannot be read: at least so much is lost. */
int source_trace_tell_loss(struct trace *s, struct source_sample *now, uint64_t least_bytes,
                           enum feed_loss_reason reason, const struct feed_stamp *stamp,
                           struct failure *f);

#endif
