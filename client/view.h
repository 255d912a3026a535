/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The parts that all views have, from unpacked messages. Strings stay the message's. Pure. */
#ifndef XENRES_CLIENT_VIEW_H
#define XENRES_CLIENT_VIEW_H

#include "client/reply.h"
#include "xenres/v1/domain.pb-c.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"

/* NULL gives an identity of empty strings, which target_match() refuses. */
void view_identity(const Xenres__V1__DomainIdentity *message, xenres_identity *out);
/* NULL gives zeros. */
void view_observation(const Xenres__V1__Observation *message, xenres_observation *out);
void view_time(const Google__Protobuf__Timestamp *message, int64_t *seconds, uint32_t *nanoseconds);

void view_domain(const Xenres__V1__Domain *message, xenres_domain *out);
void view_grant(const Xenres__V1__GrantEntry *message, xenres_grant *out);
void view_ioreq(const Xenres__V1__Ioreq *message, xenres_ioreq *out);
void view_vcpu(const Xenres__V1__VcpuStats *message, xenres_vcpu *out);
/* The queue's requests, as many as the message has; they live as long as the reply. */
int view_buffered(xenres_reply *reply, const Xenres__V1__BufferedIoreqs *message,
                  const xenres_buffered_ioreq **out, struct fault *fault);

#endif
