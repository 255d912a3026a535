/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/view.h"

void view_identity(const Xenres__V1__DomainIdentity *message, xenres_identity *out)
{
    *out = message == NULL ? (xenres_identity){ .uuid = "", .name = "", .incarnation = "" }
                           : (xenres_identity){
                                 .domid = message->domid,
                                 .uuid = message->uuid,
                                 .name = message->name,
                                 .incarnation = message->incarnation,
                             };
}

void view_time(const Google__Protobuf__Timestamp *message, int64_t *seconds, uint32_t *nanoseconds)
{
    *seconds = message != NULL ? message->seconds : 0;
    *nanoseconds = message != NULL && message->nanos > 0 && message->nanos < 1000000000
                       ? (uint32_t)message->nanos
                       : 0;
}

void view_observation(const Xenres__V1__Observation *message, xenres_observation *out)
{
    if (message == NULL) {
        *out = (xenres_observation){ .content_tag = "" };
        return;
    }
    *out = (xenres_observation){
        .monotonic_ns = message->monotonic_ns,
        .copy_duration_ns = message->copy_duration_ns,
        .first_frame = message->first_frame,
        .frame_count = message->frame_count,
        .frame_bytes = message->frame_bytes,
        .frames_in_use = message->frames_in_use,
        .frames_max = message->frames_max,
        .grant_version = message->grant_version,
        .consistency = (uint32_t)message->consistency,
        .content_tag = message->content_tag,
    };
    view_time(message->wall_time, &out->wall_seconds, &out->wall_nanoseconds);
}

void view_domain(const Xenres__V1__Domain *m, xenres_domain *out)
{
    *out = (xenres_domain){
        .type = (uint32_t)m->type,
        .state = (uint32_t)m->state,
        .online_vcpus = m->online_vcpus,
        .max_vcpus = m->max_vcpus,
        .memory_kib = m->memory_kib,
        .cpu_time_ns = m->cpu_time_ns,
        .tags = (const char *const *)m->tags,
        .tag_count = m->n_tags,
        .tags_unknown = m->tags_unknown != 0,
    };
    view_identity(m->identity, &out->identity);
}

void view_grant(const Xenres__V1__GrantEntry *m, xenres_grant *out)
{
    *out = (xenres_grant){
        .reference = m->reference,
        .kind = (uint32_t)m->kind,
        .domid = m->domid,
        .frame = m->frame,
        .readonly = m->readonly != 0,
        .reading = m->reading != 0,
        .writing = m->writing != 0,
        .raw_flags = m->raw_flags,
        .raw_status = m->raw_status,
    };
    if (m->sub_page != NULL) {
        out->has_sub_page = true;
        out->sub_page_offset_bytes = m->sub_page->offset_bytes;
        out->sub_page_length_bytes = m->sub_page->length_bytes;
    }
    if (m->transitive != NULL) {
        out->has_transitive = true;
        out->transitive_domid = m->transitive->domid;
        out->transitive_reference = m->transitive->reference;
    }
}

void view_ioreq(const Xenres__V1__Ioreq *m, xenres_ioreq *out)
{
    *out = (xenres_ioreq){
        .vcpu = m->vcpu,
        .state = (uint32_t)m->state,
        .type = (uint32_t)m->type,
        .address = m->address,
        .data = m->data,
        .data_is_pointer = m->data_is_pointer != 0,
        .count = m->count,
        .size_bytes = m->size_bytes,
        .event_channel = m->event_channel,
        .read = m->read != 0,
        .descending = m->descending != 0,
        .raw_type = m->raw_type,
    };
}

int view_buffered(xenres_reply *reply, const Xenres__V1__BufferedIoreqs *m,
                  const xenres_buffered_ioreq **out, struct fault *fault)
{
    xenres_buffered_ioreq *requests = reply_array(reply, m->n_requests, sizeof(*requests), fault);

    if (requests == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    for (size_t i = 0; i < m->n_requests; i++) {
        const Xenres__V1__BufferedIoreq *from = m->requests[i];

        requests[i] = (xenres_buffered_ioreq){
            .type = (uint32_t)from->type,
            .address = from->address,
            .data = from->data,
            .size_bytes = from->size_bytes,
            .read = from->read != 0,
            .raw_type = from->raw_type,
        };
    }
    *out = requests;
    return 0;
}

void view_vcpu(const Xenres__V1__VcpuStats *m, xenres_vcpu *out)
{
    *out = (xenres_vcpu){
        .vcpu = m->vcpu,
        .run_time_ns = m->run_time_ns,
        .online = m->online != 0,
        .unreadable = m->unreadable != 0,
    };
}
