/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Control of the traces of simulated vCPUs, with Xen's rules and errnos: a domain without buffers answers
 * EINVAL to every call, a vCPU that there is none of ENOENT, and a zombie answers as if it lived. The
 * functions are those of backend.h.
 */
#ifndef XENRES_SIM_VMTRACE_H
#define XENRES_SIM_VMTRACE_H

#include "server/mapper/backend.h"

int vmtrace_call(struct backend *b, uint16_t domid, uint32_t vcpu, enum vmtrace_call call,
                 uint32_t key, uint64_t *value, struct failure *f);
void vmtrace_facts(struct backend *b, uint16_t domid, struct message_trace_facts *out);
uint64_t vmtrace_tsc(struct backend *b);
uint64_t vmtrace_pauses(struct backend *b);

#endif
