/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Traces and their vCPUs as views, checked where a program would rely on it. Strings stay the message's,
 * all else is the reply's. Pure. */
#ifndef XENRES_CLIENT_TRACE_VIEW_H
#define XENRES_CLIENT_TRACE_VIEW_H

#include "client/reply.h"
#include "xenres/v1/trace.pb-c.h"

enum { TRACE_ID_CHARS = 32 };

/* 32 hexadecimal digits. */
bool trace_view_is_id(const char *text);

/* NULL is an internal error of the gateway, as are no trace id and vCPUs that are none or out of order. */
int trace_view(xenres_reply *reply, const Xenres__V1__Trace *message, xenres_trace *out,
               struct fault *fault);
void trace_view_vcpu(const Xenres__V1__TraceVcpu *message, xenres_trace_vcpu *out);
/* NULL for NULL; -ERROR_RESOURCE_EXHAUSTED without memory. */
int trace_view_failure(xenres_reply *reply, const Xenres__V1__XenFailure *message,
                       const xenres_failure **out, struct fault *fault);

#endif
