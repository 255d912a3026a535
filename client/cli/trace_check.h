/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Is a recorded trace complete, and if it is not, what is missing, and why? The manifest against itself
 * (each byte once, in a file or in a gap, up to an end of the trace), and against the files that are
 * there. Never complete where a byte may be missing, but for what nobody can see: see xenres-trace(5). One
 * thread.
 */
#ifndef XENRES_CLI_TRACE_CHECK_H
#define XENRES_CLI_TRACE_CHECK_H

#include "client/cli/trace_manifest.h"

enum { TRACE_FINDINGS_MAX = 1000 }; /* those behind them are counted */

enum trace_finding_kind {
    TRACE_FINDING_GAP,           /* told as lost */
    TRACE_FINDING_HOLE,          /* missing without a word */
    TRACE_FINDING_CONTRADICTION, /* the manifest says what cannot be */
    TRACE_FINDING_FILE_MISSING,
    TRACE_FINDING_FILE_SHORT,
    TRACE_FINDING_FILE_LONG, /* what is behind its end is no part of the recording */
    TRACE_FINDING_NOT_ENDED, /* it ends, or was broken off, before the trace did */
    TRACE_FINDING_EMPTY,     /* nothing was read of it */
};
const char *trace_finding_name(enum trace_finding_kind kind); /* "gap" */

struct trace_finding {
    enum trace_finding_kind kind;
    uint32_t vcpu;
    uint64_t position, length; /* of what is missing; length 0: not known, or none */
    bool at_least;
    char file[MANIFEST_NAME_BYTES]; /* where: "" none */
    uint64_t file_offset;
    int64_t seconds; /* 0: not known */
    uint32_t nanoseconds;
    char why[MANIFEST_TEXT_BYTES];
};

struct trace_check {
    struct trace_finding *findings;
    size_t finding_count;
    uint64_t left_off;
    bool is_out_of_memory;
};

/* Is it an end of the trace, behind which there is no further byte, and not of the stream or the gateway
 * alone? `reason`: enum xenres_trace_end_reason, or any other number. */
bool trace_check_ends_trace(uint32_t reason);

#define TRACE_CHECK_AUTO __attribute__((cleanup(trace_check_done))) struct trace_check

/* `dir_fd`: of the folder; -1: the manifest against itself alone. */
void trace_check_run(struct trace_check *c, const struct manifest *m, int dir_fd);
bool trace_check_is_complete(const struct trace_check *c);
void trace_check_done(struct trace_check *c);

#endif
