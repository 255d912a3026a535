/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the journal has that nobody traces any more: what a mapper before this one was tracing when it was
 * killed, which is stopped before anybody is served, and what this one could not disable at its end. Nothing
 * else is stopped. Nobody reads those bytes any more, and their vCPUs go on being slowed down.
 */
#ifndef XENRES_MAPPER_TRACE_LEFT_H
#define XENRES_MAPPER_TRACE_LEFT_H

#include "server/mapper/backend.h"
#include "server/mapper/trace.h"

enum { TRACE_LEFT_AGAIN_S = 5 }; /* so often the loop tries */

/* Of domains that are the same by number and UUID, but for those of traces that are not over (NULL: there
 * are none yet). What could not be stopped is logged, and stays in the journal: the next call tries again, or
 * a trace of it that begins later, or the next mapper. Returns how many were stopped. The loop's thread. */
uint32_t trace_left_stop(const struct backend_ops *ops, struct backend *b, struct journal *journal,
                         const struct trace_table *traces);

#endif
