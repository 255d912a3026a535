/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a mapper before this one was tracing when it was killed: it is stopped before anybody is served,
 * and nothing else is. Nobody reads those bytes any more, and their vCPUs go on being slowed down.
 */
#ifndef XENRES_MAPPER_TRACE_LEFT_H
#define XENRES_MAPPER_TRACE_LEFT_H

#include "server/mapper/backend.h"
#include "server/mapper/journal.h"

/* Of domains that are the same by number and UUID. What could not be stopped is logged, and stays in the
 * journal: a trace of it that begins later, or the next mapper, tries again. Returns how many were
 * stopped. */
uint32_t trace_left_stop(const struct backend_ops *ops, struct backend *b, struct journal *journal);

#endif
