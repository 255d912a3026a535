/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/stream.h"

#include <stdlib.h>

#include "client/refusal.h"

enum {
    TIMEOUT_MAX_MS = 24 * 3600 * 1000,
    IDLE_TIMEOUT_MAX_MS = 3600 * 1000,
};

/* --- all tries --- */

/* What the end message says, and whether it was the last. */
static int finish(xenres_stream *s, struct fault *fault)
{
    BUFFER_AUTO(end, 0);
    struct fault of_drain = { 0 };
    int drained = stream_answer_drain(&s->answer, &of_drain);
    int result = stream_answer_take(&s->answer, ENVELOPE_END_MAX_BYTES, &end, fault);

    s->is_over = true;
    if (result == 0) {
        result = refusal_read_end(s->handle, end.data, end.len_bytes, fault);
    }
    if (result == 0 && drained != 0) {
        *fault = of_drain;
        result = drained;
    }
    fault->http_status = 200;
    return result;
}

/* To the head of the answer, or to its next envelope. A bad end is an error. */
static int try_once(xenres_stream *s, bool to_envelope, struct fault *fault)
{
    struct stream_answer *a = &s->answer;
    int result = 0;

    if (!a->is_begun) {
        result = stream_answer_begin(a, &s->question, retry_next_ms(&s->retry), fault);
    }
    if (result == 0 && to_envelope) {
        result = stream_answer_wait(a, fault);
    }
    if (result == 0 && to_envelope && stream_answer_is_at_end(a)) {
        result = finish(s, fault);
    }
    return result;
}

static int run(xenres_stream *s, bool to_envelope, struct fault *fault)
{
    int result;

    do {
        s->is_over = false;
        result = try_once(s, to_envelope, fault);
        fault->tries = s->retry.tries;
        if (result == 0) {
            return 0;
        }
        stream_answer_abandon(&s->answer);
        s->retry.is_allowed = s->is_idempotent && !s->was_handed_on;
    } while (retry_wait(&s->retry, s->handle, &result, fault));
    s->is_over = true;
    return result;
}

/* --- messages --- */

static int hand_on(xenres_stream *s, xenres_reply **reply, struct fault *fault)
{
    size_t max_bytes = s->handle->message_max_bytes;
    REPLY_AUTO fresh = reply_new(max_bytes, fault);

    if (fresh == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    int result = stream_answer_take(&s->answer, max_bytes, &fresh->bytes, fault);

    if (result == 0) {
        result = reply_accept(fresh, s->type, fault);
    }
    if (result == 0) {
        s->was_handed_on = true;
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

/* A message, or what the stream came to. */
static int advance(xenres_stream *s, xenres_reply **reply, struct fault *fault)
{
    if (cancel_is_on(&s->handle->cancel)) {
        s->is_over = true;
        return cancel_fail(fault);
    }
    int result = run(s, true, fault);

    if (result == 0 && !s->is_over) {
        result = hand_on(s, reply, fault);
        s->is_over = result != 0;
    }
    return result;
}

int stream_next(xenres_stream *s, xenres_reply **reply, struct fault *fault)
{
    if (!s->is_over) {
        s->result = advance(s, reply, fault);
        if (!s->is_over) {
            return 0;
        }
        s->fault = *fault;
        stream_answer_abandon(&s->answer);
    }
    *fault = s->fault;
    if (s->result == 0) {
        *reply = NULL;
    }
    return s->result;
}

/* --- opening and closing --- */

static bool prepare(xenres_stream *s, const struct stream_request *request)
{
    buffer_init(&s->target, PROCEDURE_MAX_BYTES + 1);
    buffer_init(&s->body, request->len_bytes + ENVELOPE_HEAD_BYTES);
    if (!buffer_printf(&s->target, "/%s", request->method) ||
        !envelope_write(&s->body, request->message, request->len_bytes)) {
        return false;
    }
    s->question = (struct stream_question){
        .target = buffer_string(&s->target),
        .body = s->body.data,
        .body_len_bytes = s->body.len_bytes,
        .idle_timeout_ms = request->idle_timeout_ms,
    };
    return true;
}

int stream_open(xenres *handle, const struct stream_request *request, xenres_stream **out,
                struct fault *fault)
{
    struct procedure method;
    int result = procedure_find(request->method, true, &method, fault);

    if (result == 0 && request->len_bytes > handle->message_max_bytes) {
        result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                             "the request has more than %zu bytes", handle->message_max_bytes);
    }
    if (result != 0) {
        return result;
    }
    STREAM_AUTO s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory for a stream");
    }
    atomic_flag_clear(&s->busy);
    s->handle = handle;
    s->type = method.answer;
    s->is_idempotent = method.is_idempotent && !request->is_once;
    s->retry = retry_begin(s->is_idempotent, request->timeout_ms);
    stream_answer_init(&s->answer, handle);
    if (!prepare(s, request)) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory for a stream");
    }
    result = run(s, false, fault);
    if (result == 0) {
        *out = s;
        s = NULL;
    }
    return result;
}

void stream_set_idle_timeout(xenres_stream *s, uint32_t idle_timeout_ms)
{
    s->question.idle_timeout_ms = idle_timeout_ms;
    s->answer.transport.request.stall_ms = idle_timeout_ms;
}

void stream_free(xenres_stream *s)
{
    if (s == NULL) {
        return;
    }
    stream_answer_done(&s->answer);
    buffer_done(&s->body);
    buffer_done(&s->target);
    free(s);
}

void stream_free_at(xenres_stream **stream)
{
    stream_free(*stream);
}

/* --- the interface --- */

static int take_options(const xenres *handle, const xenres_stream_options *given,
                        struct stream_request *request, struct fault *fault)
{
    xenres_stream_options o = XENRES_STREAM_OPTIONS_INIT;
    int result =
        given != NULL ? fault_copy_sized(&o, given, sizeof(o), "xenres_stream_options", fault) : 0;

    if (result != 0) {
        return result;
    }
    if (o.timeout_ms > TIMEOUT_MAX_MS || o.idle_timeout_ms > IDLE_TIMEOUT_MAX_MS) {
        return failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                           "timeout_ms is above %d, or idle_timeout_ms above %d", TIMEOUT_MAX_MS,
                           IDLE_TIMEOUT_MAX_MS);
    }
    request->timeout_ms = o.timeout_ms;
    request->idle_timeout_ms = o.idle_timeout_ms > 0 ? o.idle_timeout_ms : handle->timeout_ms;
    return 0;
}

int xenres_stream_open(xenres *handle, const char *method, const void *message, size_t len_bytes,
                       const xenres_stream_options *options, xenres_stream **stream,
                       xenres_error *error)
{
    struct fault fault = { 0 };
    struct stream_request request = { .method = method,
                                      .message = message,
                                      .len_bytes = len_bytes };
    int result = handle_enter(handle, &fault);

    if (result != 0) {
        return fault_export(result, &fault, error);
    }
    result = take_options(handle, options, &request, &fault);
    if (result == 0) {
        result = stream_open(handle, &request, stream, &fault);
    }
    if (result != 0) { /* else the stream has the handle until it is closed */
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}

int xenres_stream_next(xenres_stream *stream, xenres_reply **reply, xenres_error *error)
{
    struct fault fault = { 0 };
    int result;

    if (atomic_flag_test_and_set_explicit(&stream->busy, memory_order_acquire)) {
        result = failure_set(&fault.failure, ERROR_FAILED_PRECONDITION,
                             "another thread waits for this stream already");
        return fault_export(result, &fault, error);
    }
    result = stream_next(stream, reply, &fault);
    atomic_flag_clear_explicit(&stream->busy, memory_order_release);
    return fault_export(result, &fault, error);
}

void xenres_stream_close(xenres_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    xenres *handle = stream->handle;

    stream_free(stream);
    handle_leave(handle);
}
