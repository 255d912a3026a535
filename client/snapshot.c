/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ResourceService's two ways to get frames in messages: all in one, and as a stream. */
#include "client/call.h"
#include "client/resource.h"
#include "client/sink.h"
#include "client/stream.h"
#include "client/view.h"
#include "xenres/v1/resource.pb-c.h"

static int without_tag(const xenres_frames_query *query, struct fault *fault)
{
    if (query->if_not_tag == NULL) {
        return 0;
    }
    int result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                             "if_not_tag is for xenres_read_frames() only");

    return failure_next(&fault->failure, result, "leave it NULL, or call that");
}

/* --- GetSnapshot --- */

static int view_snapshot(xenres_reply *reply, const xenres_frames_query *query,
                         const xenres_snapshot **out, struct fault *fault)
{
    const Xenres__V1__GetSnapshotResponse *m =
        (const Xenres__V1__GetSnapshotResponse *)reply->message;
    xenres_snapshot *snapshot = reply_array(reply, 1, sizeof(*snapshot), fault);

    if (snapshot == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    *snapshot = (xenres_snapshot){
        .type = (uint32_t)m->type,
        .id = m->id,
        .frames = m->frames.data != NULL ? (const void *)m->frames.data : "",
        .len_bytes = m->frames.len,
    };
    view_identity(m->domain, &snapshot->domain);
    view_observation(m->observation, &snapshot->observation);
    int result = resource_match(query, &snapshot->domain, snapshot->type, snapshot->id,
                                &snapshot->observation, fault);

    if (result != 0) {
        return result;
    }
    if ((uint64_t)snapshot->observation.frame_count * snapshot->observation.frame_bytes !=
        snapshot->len_bytes) {
        return failure_set(&fault->failure, ERROR_INTERNAL,
                           "%u frames of %u bytes announced, %zu bytes came",
                           snapshot->observation.frame_count, snapshot->observation.frame_bytes,
                           snapshot->len_bytes);
    }
    *out = snapshot;
    return 0;
}

static int get_snapshot(xenres *handle, const xenres_frames_query *given, xenres_reply **reply,
                        const xenres_snapshot **snapshot, struct fault *fault)
{
    xenres_frames_query query;
    Xenres__V1__GetSnapshotRequest request;
    REPLY_AUTO fresh = NULL;
    int result = resource_take_query(given, &query, fault);

    if (result == 0) {
        result = without_tag(&query, fault);
    }
    if (result != 0) {
        return result;
    }
    xenres__v1__get_snapshot_request__init(&request);
    request.domain = call_string(query.domain);
    request.incarnation = call_string(query.incarnation);
    request.type = (Xenres__V1__ResourceType)query.type;
    request.id = query.id;
    request.first_frame = query.first_frame;
    if (query.frame_count != XENRES_ALL) {
        request.frame_count_choice_case =
            XENRES__V1__GET_SNAPSHOT_REQUEST__FRAME_COUNT_CHOICE_FRAME_COUNT;
        request.frame_count = query.frame_count;
    }
    result =
        call_method(handle, "xenres.v1.ResourceService/GetSnapshot", &request.base, &fresh, fault);
    if (result == 0) {
        result = view_snapshot(fresh, &query, snapshot, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

int xenres_get_snapshot(xenres *handle, const xenres_frames_query *query, xenres_reply **reply,
                        const xenres_snapshot **snapshot, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = get_snapshot(handle, query, reply, snapshot, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}

/* --- ReadSnapshot --- */

enum { FRAME_BYTES_MAX = 1 << 20 }; /* no machine has larger frames */

struct assembly {
    const xenres_frames_query *query;
    struct sink *sink;
    xenres_reply *head; /* the first message: what the view's strings are of */
    xenres_frames *view;
    uint64_t next_frame;
};

static int out_of_place(struct fault *fault, const char *what)
{
    int result = failure_set(&fault->failure, ERROR_INTERNAL, "the snapshot's stream %s", what);

    return failure_next(&fault->failure, result, "discard what came; report it");
}

/* Says everything about the frames; nothing is delivered before it was found right. */
static int take_head(struct assembly *a, const Xenres__V1__SnapshotHead *m, struct fault *fault)
{
    xenres_frames *v = a->view;
    xenres_observation *o = &v->observation;

    *v = (xenres_frames){ .type = (uint32_t)m->type, .id = m->id };
    view_identity(m->domain, &v->domain);
    view_observation(m->observation, o);
    int result = resource_match(a->query, &v->domain, v->type, v->id, o, fault);

    if (result != 0) {
        return result;
    }
    if (o->frame_count == 0 || o->frame_bytes == 0 || o->frame_bytes > FRAME_BYTES_MAX) {
        return out_of_place(fault, "announces no frames, or frames of no proper size");
    }
    v->len_bytes = (uint64_t)o->frame_count * o->frame_bytes;
    a->next_frame = o->first_frame;
    return sink_begin(a->sink, v, fault);
}

static int take_chunk(struct assembly *a, const Xenres__V1__SnapshotChunk *m, struct fault *fault)
{
    const xenres_observation *o = &a->view->observation;
    uint64_t end_frame = (uint64_t)o->first_frame + o->frame_count;

    if (m->first_frame != a->next_frame) {
        return out_of_place(fault, "has a gap");
    }
    if (m->frames.len == 0 || m->frames.len % o->frame_bytes != 0) {
        return out_of_place(fault, "has a piece that is not of whole frames");
    }
    if (m->frames.len / o->frame_bytes > end_frame - a->next_frame) {
        return out_of_place(fault, "has more frames than it announced");
    }
    a->next_frame += m->frames.len / o->frame_bytes;
    return sink_deliver(a->sink, m->frames.data, m->frames.len, fault);
}

/* The first message stays: the reply that the caller gets. */
static int take_message(struct assembly *a, xenres_reply **message, struct fault *fault)
{
    const Xenres__V1__ReadSnapshotResponse *m =
        (const Xenres__V1__ReadSnapshotResponse *)(*message)->message;
    bool is_head = m->content_case == XENRES__V1__READ_SNAPSHOT_RESPONSE__CONTENT_HEAD;

    if (is_head != (a->head == NULL)) {
        return out_of_place(fault, is_head ? "begins twice" : "does not begin with its head");
    }
    if (!is_head) {
        /* What a later version may send between them is no frame. */
        return m->content_case == XENRES__V1__READ_SNAPSHOT_RESPONSE__CONTENT_CHUNK
                   ? take_chunk(a, m->chunk, fault)
                   : 0;
    }
    a->view = reply_array(*message, 1, sizeof(*a->view), fault);
    if (a->view == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    a->head = *message;
    *message = NULL;
    return take_head(a, m->head, fault);
}

static int assemble(struct assembly *a, xenres_stream *stream, struct fault *fault)
{
    for (;;) {
        REPLY_AUTO message = NULL;
        int result = stream_next(stream, &message, fault);

        if (result != 0) {
            return result;
        }
        if (message == NULL) {
            break;
        }
        result = take_message(a, &message, fault);
        if (result != 0) {
            return result;
        }
    }
    if (a->head == NULL || a->sink->done_bytes != a->view->len_bytes) {
        return out_of_place(fault, "ends before all frames came");
    }
    return 0;
}

static int open_snapshot(xenres *handle, const xenres_frames_query *query, xenres_stream **out,
                         struct fault *fault)
{
    Xenres__V1__ReadSnapshotRequest request;
    BUFFER_AUTO(message, handle->message_max_bytes);

    xenres__v1__read_snapshot_request__init(&request);
    request.domain = call_string(query->domain);
    request.incarnation = call_string(query->incarnation);
    request.type = (Xenres__V1__ResourceType)query->type;
    request.id = query->id;
    request.first_frame = query->first_frame;
    if (query->frame_count != XENRES_ALL) {
        request.frame_count_choice_case =
            XENRES__V1__READ_SNAPSHOT_REQUEST__FRAME_COUNT_CHOICE_FRAME_COUNT;
        request.frame_count = query->frame_count;
    }
    if (!call_pack(&request.base, &message)) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    const struct stream_request stream = {
        .method = "xenres.v1.ResourceService/ReadSnapshot",
        .message = message.data,
        .len_bytes = message.len_bytes,
        .timeout_ms = handle->transfer_timeout_ms,
        .idle_timeout_ms = handle->timeout_ms,
    };

    return stream_open(handle, &stream, out, fault);
}

static int read_snapshot(xenres *handle, const xenres_frames_query *given_query,
                         const xenres_frames_sink *given_sink, xenres_reply **reply,
                         const xenres_frames **frames, struct fault *fault)
{
    xenres_frames_query query;
    struct sink sink;
    STREAM_AUTO stream = NULL;
    int result = resource_take_query(given_query, &query, fault);

    if (result == 0) {
        result = without_tag(&query, fault);
    }
    if (result == 0) {
        result = sink_take(&sink, handle, given_sink, fault);
    }
    if (result == 0) {
        result = open_snapshot(handle, &query, &stream, fault);
    }
    if (result != 0) {
        return result;
    }
    struct assembly assembly = { .query = &query, .sink = &sink };

    result = assemble(&assembly, stream, fault);
    if (result != 0) {
        xenres_reply_free(assembly.head);
        return result;
    }
    *frames = assembly.view;
    *reply = assembly.head;
    return 0;
}

int xenres_read_snapshot(xenres *handle, const xenres_frames_query *query,
                         const xenres_frames_sink *sink, xenres_reply **reply,
                         const xenres_frames **frames, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = read_snapshot(handle, query, sink, reply, frames, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}
