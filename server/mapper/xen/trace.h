/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Control of the tracing of vCPUs (xc_vmtrace_*), and what a decoder of a trace has to know of
 * processor and guest. Each control call pauses the vCPU for its time and is counted as such; nothing
 * else pauses a guest. Errors as failure_xen() words them. The thread of the handle.
 */
#ifndef XENRES_MAPPER_XEN_TRACE_H
#define XENRES_MAPPER_XEN_TRACE_H

#include "server/mapper/backend.h"

int trace_control(struct backend *b, uint16_t domid, uint32_t vcpu, enum vmtrace_call call,
                  uint32_t key, uint64_t *value, struct failure *f);
/* Never fails: what cannot be found out is 0. */
void trace_facts(struct backend *b, uint16_t domid, struct message_trace_facts *out);
/* 0 on processors that have none. */
uint64_t trace_tsc(struct backend *b);

#endif
