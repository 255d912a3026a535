/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Whether a host, a domain and its vCPUs can be traced, and if not, why, with the cure: the one place
 * that words it, for a START that is refused and for --doctor. Nothing is enabled to find out.
 */
#ifndef XENRES_MAPPER_TRACE_CAN_H
#define XENRES_MAPPER_TRACE_CAN_H

#include "server/mapper/backend.h"

/* Does the hypervisor offer to trace? -ERROR_FAILED_PRECONDITION. */
int trace_can_host(const struct message_host_answer *host, struct failure *f);
/* Has the domain trace buffers, of how many bytes each, and is it alive? */
int trace_can(const struct backend_ops *ops, struct backend *b, const struct backend_domain *domain,
              uint64_t *buffer_bytes, struct failure *f);
/* Has it all of these vCPUs? None asked for: they become all that it has. -ERROR_OUT_OF_RANGE. */
int trace_can_vcpus(const struct backend_domain *domain, uint64_t vcpus[2], struct failure *f);

#endif
