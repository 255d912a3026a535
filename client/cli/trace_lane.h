/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* One vCPU of a trace that is recorded: a thread that reads it with a handle of its own, into a writer.
 * Whoever has started it waits for a signal, which it sends when it is over. */
#ifndef XENRES_CLI_TRACE_LANE_H
#define XENRES_CLI_TRACE_LANE_H

#include <signal.h>
#include <stdatomic.h>

#include "client/cli/trace_files.h"

enum { TRACE_LANE_SIGNAL = SIGUSR1 }; /* to the thread that has started it */

struct trace_lane {
    struct trace_writer writer;
    xenres *handle;
    const char *domain, *incarnation, *trace_id; /* not its own */
    /* Where it goes on, as the manifest said. */
    char feed[33], cursor[MANIFEST_CURSOR_BYTES];
    struct manifest_place place;
    pthread_t thread, starter;
    bool is_started, is_quiet;
    atomic_bool is_over;
    /* Once it is over. */
    int result;
    xenres_error error;
};

/* 0, or an errno: no thread can be had. */
int trace_lane_start(struct trace_lane *lane);
/* Waits; harmless where it was not started. */
void trace_lane_join(struct trace_lane *lane);

#endif
