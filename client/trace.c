/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* TraceService, but for reading. */
#include <strings.h>

#include "client/call.h"
#include "client/pages.h"
#include "client/target.h"
#include "client/trace_view.h"

/* --- what they have in common --- */

/* Of the domain, and where it was named the trace, that was asked for? */
static int match(const char *domain, const char *incarnation, const char *trace_id,
                 const xenres_trace *trace, struct fault *fault)
{
    int result = target_match(domain, incarnation, &trace->domain, fault);

    if (result != 0 || trace_id == NULL || strcasecmp(trace_id, trace->trace_id) == 0) {
        return result;
    }
    return failure_set(&fault->failure, ERROR_INTERNAL,
                       "asked about trace %s, answered about trace %s", trace_id, trace->trace_id);
}

static int check_target(const char *domain, const char *incarnation, const char *trace_id,
                        struct fault *fault)
{
    int result = target_check(domain, incarnation, fault);

    if (result != 0 || trace_id == NULL || trace_view_is_id(trace_id)) {
        return result;
    }
    result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                         "a trace's id has 32 hexadecimal digits");
    return failure_field(&fault->failure, result, "trace_id");
}

static int view_one(xenres_reply *reply, const Xenres__V1__Trace *message, const xenres_trace **out,
                    struct fault *fault)
{
    xenres_trace *trace = reply_array(reply, 1, sizeof(*trace), fault);
    int result =
        trace != NULL ? trace_view(reply, message, trace, fault) : -ERROR_RESOURCE_EXHAUSTED;

    if (result == 0) {
        *out = trace;
    }
    return result;
}

static void duration_of(uint32_t ms, Google__Protobuf__Duration *out)
{
    google__protobuf__duration__init(out);
    out->seconds = ms / 1000;
    out->nanos = (int32_t)(ms % 1000) * 1000000;
}

/* --- StartTrace --- */

static int take_options(xenres_trace_options *o, const xenres_trace_options *given,
                        struct fault *fault)
{
    int result = fault_copy_sized(o, given, sizeof(*o), "xenres_trace_options", fault);

    if (result == 0) {
        result = target_check(o->domain, o->incarnation, fault);
    }
    if (result != 0) {
        return result;
    }
    if (o->vcpus == NULL) {
        o->vcpu_count = 0;
    }
    bool is_proper =
        o->vcpu_count <= XENRES_TRACED_VCPUS_MAX && (o->vcpus == NULL || o->vcpu_count > 0);

    for (size_t i = 0; is_proper && i < o->vcpu_count; i++) {
        is_proper = o->vcpus[i] < XENRES_TRACED_VCPUS_MAX;
    }
    if (is_proper) {
        return 0;
    }
    result =
        failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                    "the vCPUs to trace are 1 to %d numbers below that", XENRES_TRACED_VCPUS_MAX);
    return failure_field(&fault->failure, result, "vcpus");
}

static int start(xenres *handle, const xenres_trace_options *given, const xenres_trace **trace,
                 bool *joined, xenres_reply **reply, struct fault *fault)
{
    xenres_trace_options o;
    Xenres__V1__StartTraceRequest request;
    Google__Protobuf__Duration lease;
    REPLY_AUTO fresh = NULL;
    const xenres_trace *found;
    int result = take_options(&o, given, fault);

    if (result != 0) {
        return result;
    }
    xenres__v1__start_trace_request__init(&request);
    duration_of(o.lease_ms, &lease);
    request.domain = call_string(o.domain);
    request.incarnation = call_string(o.incarnation);
    request.vcpus = (uint32_t *)(uintptr_t)o.vcpus; /* packing only reads them */
    request.n_vcpus = o.vcpu_count;
    request.os = o.os;
    request.user = o.user;
    request.no_tsc = o.no_tsc;
    request.no_retc = o.no_retc;
    request.pauses_per_second = o.pauses_per_second;
    request.lease = o.lease_ms > 0 ? &lease : NULL;
    request.takeover = o.takeover;
    result = call_method(handle, "xenres.v1.TraceService/StartTrace", &request.base, &fresh, fault);
    if (result != 0) {
        return result;
    }
    const Xenres__V1__StartTraceResponse *m =
        (const Xenres__V1__StartTraceResponse *)fresh->message;

    result = view_one(fresh, m->trace, &found, fault);
    if (result == 0) {
        result = match(o.domain, o.incarnation, NULL, found, fault);
    }
    if (result == 0) {
        *trace = found;
        if (joined != NULL) {
            *joined = m->joined != 0;
        }
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_trace_start(xenres *handle, const xenres_trace_options *options,
                       const xenres_trace **trace, bool *joined, xenres_reply **reply,
                       xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = start(handle, options, trace, joined, reply, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}

/* --- StopTrace and RenewTrace --- */

static int call_stop(xenres *handle, const char *domain, const char *trace_id, xenres_reply **reply,
                     const Xenres__V1__Trace **trace, struct fault *fault)
{
    Xenres__V1__StopTraceRequest request;

    xenres__v1__stop_trace_request__init(&request);
    request.domain = call_string(domain);
    request.trace_id = call_string(trace_id);
    int result =
        call_method(handle, "xenres.v1.TraceService/StopTrace", &request.base, reply, fault);

    if (result == 0) {
        *trace = ((const Xenres__V1__StopTraceResponse *)(*reply)->message)->trace;
    }
    return result;
}

static int call_renew(xenres *handle, const char *domain, const char *trace_id, uint32_t lease_ms,
                      xenres_reply **reply, const Xenres__V1__Trace **trace, struct fault *fault)
{
    Xenres__V1__RenewTraceRequest request;
    Google__Protobuf__Duration lease;

    xenres__v1__renew_trace_request__init(&request);
    duration_of(lease_ms, &lease);
    request.domain = call_string(domain);
    request.trace_id = call_string(trace_id);
    request.lease = lease_ms > 0 ? &lease : NULL;
    int result =
        call_method(handle, "xenres.v1.TraceService/RenewTrace", &request.base, reply, fault);

    if (result == 0) {
        *trace = ((const Xenres__V1__RenewTraceResponse *)(*reply)->message)->trace;
    }
    return result;
}

/* `is_stop`: else `lease_ms` counts. */
static int change(xenres *handle, const char *domain, const char *trace_id, bool is_stop,
                  uint32_t lease_ms, const xenres_trace **trace, xenres_reply **reply,
                  struct fault *fault)
{
    REPLY_AUTO fresh = NULL;
    const Xenres__V1__Trace *message = NULL;
    const xenres_trace *found;
    int result = check_target(domain, NULL, trace_id, fault);

    if (result == 0) {
        result = is_stop ? call_stop(handle, domain, trace_id, &fresh, &message, fault)
                         : call_renew(handle, domain, trace_id, lease_ms, &fresh, &message, fault);
    }
    if (result == 0) {
        result = view_one(fresh, message, &found, fault);
    }
    if (result == 0) {
        result = match(domain, NULL, trace_id, found, fault);
    }
    if (result == 0) {
        *trace = found;
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_trace_stop(xenres *handle, const char *domain, const char *trace_id,
                      const xenres_trace **trace, xenres_reply **reply, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = change(handle, domain, trace_id, true, 0, trace, reply, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}

int xenres_trace_renew(xenres *handle, const char *domain, const char *trace_id, uint32_t lease_ms,
                       const xenres_trace **trace, xenres_reply **reply, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = change(handle, domain, trace_id, false, lease_ms, trace, reply, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}

/* --- GetTrace --- */

static int view_status(xenres_reply *reply, const char *domain, const xenres_trace_status **out,
                       struct fault *fault)
{
    const Xenres__V1__GetTraceResponse *m = (const Xenres__V1__GetTraceResponse *)reply->message;
    xenres_trace_status *status = reply_array(reply, 1, sizeof(*status), fault);
    xenres_trace_vcpu *vcpus = reply_array(reply, m->n_vcpus, sizeof(*vcpus), fault);

    if (status == NULL || vcpus == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    int result = trace_view(reply, m->trace, &status->trace, fault);

    if (result == 0) {
        result = match(domain, NULL, NULL, &status->trace, fault);
    }
    if (result != 0) {
        return result;
    }
    for (size_t i = 0; i < m->n_vcpus; i++) {
        trace_view_vcpu(m->vcpus[i], &vcpus[i]);
    }
    status->vcpus = vcpus;
    status->vcpu_count = m->n_vcpus;
    *out = status;
    return 0;
}

static int get(xenres *handle, const char *domain, const xenres_trace_status **status,
               xenres_reply **reply, struct fault *fault)
{
    Xenres__V1__GetTraceRequest request;
    REPLY_AUTO fresh = NULL;
    int result = target_check(domain, NULL, fault);

    if (result != 0) {
        return result;
    }
    xenres__v1__get_trace_request__init(&request);
    request.domain = call_string(domain);
    result = call_method(handle, "xenres.v1.TraceService/GetTrace", &request.base, &fresh, fault);
    if (result == 0) {
        result = view_status(fresh, domain, status, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_trace_get(xenres *handle, const char *domain, const xenres_trace_status **status,
                     xenres_reply **reply, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = get(handle, domain, status, reply, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}

/* --- ListTraces --- */

static int call_page(xenres *handle, void *arg, const char *page_token, xenres_reply **page,
                     struct fault *fault)
{
    Xenres__V1__ListTracesRequest request;

    (void)arg;
    xenres__v1__list_traces_request__init(&request);
    request.page_token = call_string(page_token);
    request.page_size = PAGES_SIZE;
    return call_method(handle, "xenres.v1.TraceService/ListTraces", &request.base, page, fault);
}

static struct pages_list list_of(ProtobufCMessage *message)
{
    Xenres__V1__ListTracesResponse *m = (Xenres__V1__ListTracesResponse *)message;

    return (struct pages_list){ .items = (ProtobufCMessage ***)&m->traces,
                                .count = &m->n_traces,
                                .next_page_token = &m->next_page_token };
}

static int view_list(xenres_reply *reply, const xenres_traces **out, struct fault *fault)
{
    const Xenres__V1__ListTracesResponse *m =
        (const Xenres__V1__ListTracesResponse *)reply->message;
    xenres_traces *list = reply_array(reply, 1, sizeof(*list), fault);
    xenres_trace *traces = reply_array(reply, m->n_traces, sizeof(*traces), fault);

    if (list == NULL || traces == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    for (size_t i = 0; i < m->n_traces; i++) {
        int result = trace_view(reply, m->traces[i], &traces[i], fault);

        if (result != 0) {
            return result;
        }
    }
    *list = (xenres_traces){ .traces = traces, .trace_count = m->n_traces };
    *out = list;
    return 0;
}

static int list(xenres *handle, const xenres_traces **traces, xenres_reply **reply,
                struct fault *fault)
{
    static const struct pages_kind kind = { .call = call_page, .list = list_of };
    REPLY_AUTO fresh = NULL;
    int result = pages_collect(handle, &kind, NULL, &fresh, fault);

    if (result == 0) {
        result = view_list(fresh, traces, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_trace_list(xenres *handle, const xenres_traces **traces, xenres_reply **reply,
                      xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = list(handle, traces, reply, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}
