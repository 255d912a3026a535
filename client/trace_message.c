/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/trace_message.h"

#include "client/reconnect.h"
#include "client/trace_view.h"
#include "client/view.h"
#include "client/watch_view.h"

static int read_begin(xenres_reply *reply, const Xenres__V1__TraceBegin *m,
                      struct trace_message *out, struct fault *fault)
{
    xenres_trace *trace = reply_array(reply, 1, sizeof(*trace), fault);
    int result =
        trace != NULL ? trace_view(reply, m->trace, trace, fault) : -ERROR_RESOURCE_EXHAUSTED;

    if (result != 0) {
        return result;
    }
    if (!trace_view_is_id(m->feed)) {
        return reconnect_lie(fault, "does not say of which feed it is");
    }
    out->item.kind = BYTE_BEGIN;
    out->place = (struct byte_begin){ .feed = m->feed,
                                      .resumed = m->resumed != 0,
                                      .at = { .position = m->position,
                                              .offset = m->offset,
                                              .segment = m->segment,
                                              .epoch = m->epoch } };
    out->begin = (xenres_trace_begin){ .trace = trace,
                                       .vcpu = m->vcpu,
                                       .resumed = m->resumed != 0,
                                       .position = m->position,
                                       .offset = m->offset,
                                       .segment = m->segment,
                                       .epoch = m->epoch,
                                       .feed = m->feed,
                                       .silence_max_ms = watch_view_ms(m->silence_max) };
    return 0;
}

static int read_segment(const Xenres__V1__TraceSegment *m, struct trace_message *out)
{
    out->item = (struct byte_item){
        .kind = BYTE_SEGMENT,
        .at = { .position = m->position, .segment = m->segment, .epoch = m->epoch },
        .reason = (uint32_t)m->reason,
    };
    out->segment = (xenres_trace_segment){ .segment = m->segment,
                                           .epoch = m->epoch,
                                           .reason = (uint32_t)m->reason,
                                           .position = m->position };
    return 0;
}

static int read_data(const Xenres__V1__TraceData *m, struct trace_message *out, struct fault *fault)
{
    bool has_sync = m->sync_choice_case == XENRES__V1__TRACE_DATA__SYNC_CHOICE_SYNC_OFFSET;

    if (has_sync &&
        (m->data.len < TRACE_PSB_BYTES || m->sync_offset > m->data.len - TRACE_PSB_BYTES)) {
        return reconnect_lie(fault, "says that one can begin at %u of %zu bytes", m->sync_offset,
                             m->data.len);
    }
    out->item = (struct byte_item){
        .kind = BYTE_DATA,
        .at = { .position = m->position,
                .offset = m->offset,
                .segment = m->segment,
                .epoch = m->epoch },
        .length = m->data.len,
    };
    out->data = (xenres_trace_data){ .position = m->position,
                                     .offset = m->offset,
                                     .segment = m->segment,
                                     .epoch = m->epoch,
                                     .bytes = m->data.data,
                                     .len_bytes = m->data.len,
                                     .has_sync = has_sync,
                                     .sync_offset = has_sync ? m->sync_offset : 0,
                                     .tsc = m->tsc };
    watch_view_sample(m->sampled, &out->data.sampled);
    return 0;
}

static int read_gap(const Xenres__V1__TraceGap *m, struct trace_message *out)
{
    out->item = (struct byte_item){
        .kind = BYTE_GAP,
        .at = { .position = m->position },
        .length = m->length,
        .at_least = m->at_least != 0,
        .to = { .offset = m->offset, .segment = m->segment, .epoch = m->epoch },
    };
    out->gap = (xenres_trace_gap){ .reason = (uint32_t)m->reason,
                                   .position = m->position,
                                   .length = m->length,
                                   .at_least = m->at_least != 0,
                                   .offset = m->offset,
                                   .segment = m->segment,
                                   .epoch = m->epoch };
    view_time(m->time, &out->gap.wall_seconds, &out->gap.wall_nanoseconds);
    return 0;
}

static int read_checkpoint(const Xenres__V1__TraceCheckpoint *m, struct trace_message *out,
                           struct fault *fault)
{
    if (m->cursor[0] == '\0' || !reconnect_is_cursor(m->cursor)) {
        return reconnect_lie(fault, "has a checkpoint whose cursor is none");
    }
    out->item = (struct byte_item){ .kind = BYTE_CHECKPOINT, .at = { .position = m->position } };
    out->checkpoint =
        (xenres_trace_checkpoint){ .cursor = m->cursor, .feed = "", .position = m->position };
    return 0;
}

static int read_heartbeat(xenres_reply *reply, const Xenres__V1__TraceHeartbeat *m,
                          struct trace_message *out, struct fault *fault)
{
    out->item = (struct byte_item){ .kind = BYTE_HEARTBEAT, .at = { .position = m->position } };
    out->heartbeat = (xenres_trace_heartbeat){ .position = m->position };
    view_time(m->time, &out->heartbeat.wall_seconds, &out->heartbeat.wall_nanoseconds);
    if (m->sampled != NULL) {
        xenres_sample_time *sampled = reply_array(reply, 1, sizeof(*sampled), fault);

        if (sampled == NULL) {
            return -ERROR_RESOURCE_EXHAUSTED;
        }
        watch_view_sample(m->sampled, sampled);
        out->heartbeat.sampled = sampled;
    }
    return 0;
}

static int read_end(xenres_reply *reply, const Xenres__V1__TraceEnd *m, struct trace_message *out,
                    struct fault *fault)
{
    const xenres_failure *failure;

    if (!reconnect_is_cursor(m->cursor)) {
        return reconnect_lie(fault, "ends with a cursor that is none");
    }
    int result = trace_view_failure(reply, m->failure, &failure, fault);

    out->item = (struct byte_item){ .kind = BYTE_END, .at = { .position = m->position } };
    out->end = (xenres_trace_end){ .reason = (uint32_t)m->reason,
                                   .shutdown_code = m->shutdown_code,
                                   .message = m->message,
                                   .failure = failure,
                                   .cursor = m->cursor,
                                   .position = m->position };
    return result;
}

int trace_message_read(xenres_reply *reply, struct trace_message *out, struct fault *fault)
{
    const Xenres__V1__ReadTraceResponse *m = (const Xenres__V1__ReadTraceResponse *)reply->message;

    switch (m->content_case) {
    case XENRES__V1__READ_TRACE_RESPONSE__CONTENT_BEGIN:
        return read_begin(reply, m->begin, out, fault);
    case XENRES__V1__READ_TRACE_RESPONSE__CONTENT_SEGMENT: return read_segment(m->segment, out);
    case XENRES__V1__READ_TRACE_RESPONSE__CONTENT_DATA: return read_data(m->data, out, fault);
    case XENRES__V1__READ_TRACE_RESPONSE__CONTENT_GAP: return read_gap(m->gap, out);
    case XENRES__V1__READ_TRACE_RESPONSE__CONTENT_CHECKPOINT:
        return read_checkpoint(m->checkpoint, out, fault);
    case XENRES__V1__READ_TRACE_RESPONSE__CONTENT_HEARTBEAT:
        return read_heartbeat(reply, m->heartbeat, out, fault);
    case XENRES__V1__READ_TRACE_RESPONSE__CONTENT_END: return read_end(reply, m->end, out, fault);
    case XENRES__V1__READ_TRACE_RESPONSE__CONTENT__NOT_SET: /* a later version's */
    default: return 0;
    }
}
