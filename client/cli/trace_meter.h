/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How a recording of a trace fares, in one line on standard error where that is a terminal: bytes, rate,
 * how full the rings are, what is lost. One thread. */
#ifndef XENRES_CLI_TRACE_METER_H
#define XENRES_CLI_TRACE_METER_H

#include "client/cli/trace_manifest.h"

struct trace_meter {
    bool is_wanted, is_shown, has_last;
    uint64_t last_ns, last_bytes;
};

/* Is there a terminal to show it on? */
bool trace_meter_begin(struct trace_meter *m);
/* `handle`: that the gateway is asked with how full the rings are; it is waited for. NULL: none. */
void trace_meter_update(struct trace_meter *m, const struct manifest *manifest, xenres *handle);
/* Removes the line. */
void trace_meter_end(struct trace_meter *m);

#endif
