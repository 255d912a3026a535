/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Traces, and recordings of them, as tables and JSON. Functions that print return the exit status. */
#ifndef XENRES_CLI_TRACE_SHOW_H
#define XENRES_CLI_TRACE_SHOW_H

#include "client/cli/trace_check.h"

void trace_show_bytes(struct buffer *out, uint64_t bytes);               /* "12.3 MiB" */
void trace_show_lost(struct buffer *out, uint64_t bytes, bool at_least); /* "at least 5 B" */

int trace_show_list(const xenres_traces *list);
int trace_show_one(const xenres_trace *trace);
int trace_show_status(const xenres_trace_status *status);

/* What was recorded; with losses, if there are any. */
int trace_show_recording(const struct manifest *m, bool is_json);
bool trace_show_is_lossy(const struct manifest *m);
/* What verification has found. */
int trace_show_check(const struct manifest *m, const struct trace_check *c, bool is_json);

#endif
