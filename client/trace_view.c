/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/trace_view.h"

#include "client/view.h"
#include "client/watch_view.h"
#include "common/text.h"

static const char *const end_names[] = {
    [XENRES_TRACE_RUNS] = "runs",
    [XENRES_TRACE_INCARNATION_ENDED] = "incarnation_ended",
    [XENRES_TRACE_RENAMED] = "renamed",
    [XENRES_TRACE_SHUTDOWN] = "shutdown",
    [XENRES_TRACE_STOPPED] = "stopped",
    [XENRES_TRACE_LEASE_ENDED] = "lease_ended",
    [XENRES_TRACE_TAKEN_OVER] = "taken_over",
    [XENRES_TRACE_INTERFERED] = "interfered",
    [XENRES_TRACE_HARDWARE_ERROR] = "hardware_error",
    [XENRES_TRACE_HARDWARE_STOPPED] = "hardware_stopped",
    [XENRES_TRACE_SAMPLING_FAILED] = "sampling_failed",
    [XENRES_TRACE_MAPPER_GONE] = "mapper_gone",
    [XENRES_TRACE_SHUTTING_DOWN] = "shutting_down",
    [XENRES_TRACE_PERMISSION_WITHDRAWN] = "permission_withdrawn",
    [XENRES_TRACE_DEADLINE] = "deadline",
    [XENRES_TRACE_FAILED] = "failed",
    [XENRES_TRACE_CREDENTIALS_EXPIRED] = "credentials_expired",
    [XENRES_TRACE_NOT_FOUND] = "not_found",
};

static const char *const gap_names[] = {
    [XENRES_TRACE_GAP_LAPPED] = "lapped",     [XENRES_TRACE_GAP_FAILED] = "failed",
    [XENRES_TRACE_GAP_PAUSED] = "paused",     [XENRES_TRACE_GAP_RESET] = "reset",
    [XENRES_TRACE_GAP_TOO_SLOW] = "too_slow", [XENRES_TRACE_GAP_INTERRUPTED] = "interrupted",
    [XENRES_TRACE_GAP_BEFORE] = "before",     [XENRES_TRACE_GAP_AT_END] = "at_end",
};

static const char *name_of(const char *const *names, size_t count, uint32_t number)
{
    return number < count && names[number] != NULL ? names[number] : "";
}

const char *xenres_trace_end_reason_name(uint32_t reason)
{
    return name_of(end_names, sizeof(end_names) / sizeof(end_names[0]), reason);
}

const char *xenres_trace_gap_reason_name(uint32_t reason)
{
    return name_of(gap_names, sizeof(gap_names) / sizeof(gap_names[0]), reason);
}

bool trace_view_is_id(const char *text)
{
    uint8_t ignored[TRACE_ID_CHARS / 2];

    return text_to_hex(text, ignored, sizeof(ignored));
}

int trace_view_failure(xenres_reply *reply, const Xenres__V1__XenFailure *m,
                       const xenres_failure **out, struct fault *fault)
{
    *out = NULL;
    if (m == NULL) {
        return 0;
    }
    xenres_failure *failure = reply_array(reply, 1, sizeof(*failure), fault);

    if (failure == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    *failure = (xenres_failure){
        .call = m->call, .errno_name = m->errno_name, .cause = m->cause, .next_step = m->next_step
    };
    *out = failure;
    return 0;
}

static xenres_trace_metadata metadata_of(const Xenres__V1__TraceMetadata *m)
{
    if (m == NULL) {
        return (xenres_trace_metadata){ .cpu_vendor = "" };
    }
    return (xenres_trace_metadata){
        .rtit_ctl = m->rtit_ctl,
        .buffer_bytes = m->buffer_bytes,
        .cpu_vendor = m->cpu_vendor,
        .cpu_family = m->cpu_family,
        .cpu_model = m->cpu_model,
        .cpu_stepping = m->cpu_stepping,
        .cpuid_15_eax = m->cpuid_15_eax,
        .cpuid_15_ebx = m->cpuid_15_ebx,
        .cpuid_15_ecx = m->cpuid_15_ecx,
        .nominal_mhz = m->nominal_mhz,
        .tsc_khz = m->tsc_khz,
        .guest_tsc_mode = m->guest_tsc_mode,
        .guest_tsc_khz = m->guest_tsc_khz,
        .guest_bits = m->guest_bits,
    };
}

static int refuse(struct fault *fault, const char *what)
{
    int result = failure_set(&fault->failure, ERROR_INTERNAL, "the answer has %s", what);

    return failure_cause(&fault->failure, result, "a faulty gateway, or something between");
}

static int check(const Xenres__V1__Trace *m, struct fault *fault)
{
    if (m == NULL) {
        return refuse(fault, "no trace");
    }
    if (!trace_view_is_id(m->trace_id)) {
        return refuse(fault, "a trace without an id");
    }
    for (size_t i = 0; i < m->n_vcpus; i++) {
        if (m->vcpus[i] >= XENRES_TRACED_VCPUS_MAX || (i > 0 && m->vcpus[i] <= m->vcpus[i - 1])) {
            return refuse(fault, "a trace of vCPUs that cannot be");
        }
    }
    return 0;
}

int trace_view(xenres_reply *reply, const Xenres__V1__Trace *m, xenres_trace *out,
               struct fault *fault)
{
    const xenres_failure *failure;
    int result = check(m, fault);

    if (result == 0) {
        result = trace_view_failure(reply, m->failure, &failure, fault);
    }
    if (result != 0) {
        return result;
    }
    *out = (xenres_trace){
        .trace_id = m->trace_id,
        .owner = m->owner,
        .vcpus = m->vcpus,
        .vcpu_count = m->n_vcpus,
        .os = m->os != 0,
        .user = m->user != 0,
        .tsc = m->tsc != 0,
        .retc = m->retc != 0,
        .pauses_per_second = m->pauses_per_second,
        .lease_ms = watch_view_ms(m->lease),
        .lease_left_ms = watch_view_ms(m->lease_left),
        .end_reason = (uint32_t)m->end_reason,
        .shutdown_code = m->shutdown_code,
        .failure = failure,
        .laps_detectable = m->laps_detectable != 0,
        .metadata = metadata_of(m->metadata),
    };
    view_identity(m->domain, &out->domain);
    view_time(m->start_time, &out->start_seconds, &out->start_nanoseconds);
    view_time(m->end_time, &out->end_seconds, &out->end_nanoseconds);
    return 0;
}

static uint64_t ns_of(const Google__Protobuf__Duration *m)
{
    return m != NULL && m->seconds >= 0 && m->seconds < INT32_MAX && m->nanos >= 0
               ? (uint64_t)m->seconds * 1000000000u + (uint64_t)m->nanos
               : 0;
}

void trace_view_vcpu(const Xenres__V1__TraceVcpu *m, xenres_trace_vcpu *out)
{
    *out = (xenres_trace_vcpu){
        .vcpu = m->vcpu,
        .produced_bytes = m->produced_bytes,
        .lost_bytes = m->lost_bytes,
        .open_losses = m->open_losses,
        .segment = m->segment,
        .epoch = m->epoch,
        .fill_permille = m->fill_permille,
        .fill_most_permille = m->fill_most_permille,
        .bytes_per_second = m->bytes_per_second,
        .period_ns = ns_of(m->period),
        .pauses = m->pauses,
        .samples = m->samples,
        .late_samples = m->late_samples,
        .over = m->over != 0,
    };
}
