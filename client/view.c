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
