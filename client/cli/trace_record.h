/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenres trace record: begins to trace where nobody does, and writes all vCPUs into a folder until the
 * trace, the time, or a signal ends it. What it has started it stops, and reads to the end, so that no tail
 * is lost. Where this machine fails (no thread, no room) that is stopped too, but not read: a recording that
 * goes on soon still gets the rest. A trace that ran before runs on.
 */
#ifndef XENRES_CLI_TRACE_RECORD_H
#define XENRES_CLI_TRACE_RECORD_H

#include "client/cli/cli.h"

struct trace_record_options {
    const char *folder;
    uint32_t duration_ms; /* 0: until it ends */
    bool resume;
    xenres_trace_options start;
};

/* The exit status; what failed is reported. */
int trace_record_run(struct cli *cli, const struct trace_record_options *options);

#endif
