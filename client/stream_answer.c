/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/stream_answer.h"

#include "client/head.h"
#include "client/inflate.h"
#include "client/refusal.h"
#include "common/clock.h"

enum {
    REST_MAX_BYTES = CURL_MAX_WRITE_SIZE, /* libcurl's largest piece */
    /* What ends a body follows its end message at once. A server that lets one wait costs itself the
     * connection, and the caller no more than this. */
    DRAIN_MS = 1000,
};

void stream_answer_init(struct stream_answer *a, xenres *handle)
{
    *a = (struct stream_answer){ .handle = handle };
    buffer_init(&a->refusal, TRANSPORT_REFUSAL_MAX_BYTES);
    buffer_init(&a->timeout_header, 64);
    buffer_init(&a->rest, REST_MAX_BYTES);
    envelope_init(&a->envelope, handle->message_max_bytes);
}

void stream_answer_done(struct stream_answer *a)
{
    transport_end(&a->transport);
    envelope_done(&a->envelope);
    buffer_done(&a->rest);
    buffer_done(&a->timeout_header);
    buffer_done(&a->refusal);
}

void stream_answer_abandon(struct stream_answer *a)
{
    transport_end(&a->transport);
    envelope_reset(&a->envelope);
    buffer_reset(&a->rest);
    buffer_reset(&a->refusal);
    a->rest_at = 0;
    a->is_begun = false;
    a->has_head = false;
    a->is_gzip = false;
}

static int out_of_memory(struct fault *fault)
{
    return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory for an answer");
}

static int broken(struct fault *fault, const char *what)
{
    int result = failure_set(&fault->failure, ERROR_INTERNAL, "the stream %s", what);

    return failure_next(&fault->failure, result, "report it; what came before may be used");
}

bool stream_answer_is_at_end(const struct stream_answer *a)
{
    return envelope_is_whole(&a->envelope) && envelope_has(&a->envelope, ENVELOPE_END);
}

/* --- what comes in --- */

static int take_head(void *arg, struct fault *fault)
{
    struct stream_answer *a = arg;
    int result = head_check(a->handle, "application/connect+proto", "Connect-Content-Encoding",
                            &a->is_gzip, fault);

    a->has_head = result == 0;
    return result;
}

static int take_data(void *arg, const void *bytes, size_t len_bytes, struct fault *fault)
{
    struct stream_answer *a = arg;
    size_t taken = 0;

    if (stream_answer_is_at_end(a)) {
        return broken(fault, "goes on behind its end");
    }
    if (a->wants_head || envelope_is_whole(&a->envelope)) {
        return TRANSPORT_HOLD;
    }
    int result = envelope_feed(&a->envelope, bytes, len_bytes, &taken, fault);

    if (result == 0 &&
        !buffer_append(&a->rest, (const uint8_t *)bytes + taken, len_bytes - taken)) {
        result = out_of_memory(fault);
    }
    return result;
}

static bool is_enough(const void *arg)
{
    const struct stream_answer *a = arg;

    return a->wants_head ? a->has_head : envelope_is_whole(&a->envelope) && !a->wants_end;
}

/* Feeds what is left of earlier pieces. Where no envelope gets whole by it, nothing is left. */
static int feed_rest(struct stream_answer *a, struct fault *fault)
{
    while (a->rest_at < a->rest.len_bytes && !envelope_is_whole(&a->envelope)) {
        size_t taken = 0;
        int result = envelope_feed(&a->envelope, a->rest.data + a->rest_at,
                                   a->rest.len_bytes - a->rest_at, &taken, fault);

        if (result != 0) {
            return result;
        }
        a->rest_at += taken;
    }
    if (a->rest_at == a->rest.len_bytes) {
        buffer_reset(&a->rest);
        a->rest_at = 0;
    }
    return 0;
}

/* --- asking and waiting --- */

static int send_question(struct stream_answer *a, const struct stream_question *question,
                         uint32_t timeout_ms, struct fault *fault)
{
    struct transport_request request = {
        .target = question->target,
        .is_post = true,
        .body = question->body,
        .body_len_bytes = question->body_len_bytes,
        .headers = { "Content-Type: application/connect+proto", "Connect-Protocol-Version: 1" },
        .timeout_ms = timeout_ms,
        .stall_ms = question->idle_timeout_ms,
        .on_head = take_head,
        .on_data = take_data,
        .is_enough = is_enough,
        .arg = a,
    };
    unsigned count = 2;

    if (a->handle->gzip) {
        request.headers[count++] = "Connect-Accept-Encoding: gzip";
    }
    if (timeout_ms > 0) {
        buffer_reset(&a->timeout_header);
        buffer_printf(&a->timeout_header, "Connect-Timeout-Ms: %u", timeout_ms);
        request.headers[count] = buffer_string(&a->timeout_header);
    }
    return a->timeout_header.failed
               ? out_of_memory(fault)
               : transport_begin(&a->transport, a->handle, &request, &a->refusal, fault);
}

int stream_answer_begin(struct stream_answer *a, const struct stream_question *question,
                        uint32_t timeout_ms, struct fault *fault)
{
    int result = send_question(a, question, timeout_ms, fault);

    a->is_begun = true;
    a->wants_head = true;
    if (result == 0) {
        result = transport_drive(&a->transport, fault);
    }
    a->wants_head = false;
    int status = result == 0 ? transport_status(&a->transport) : 200;

    return status == 200
               ? result
               : refusal_read(a->handle, status, a->refusal.data, a->refusal.len_bytes, fault);
}

int stream_answer_wait(struct stream_answer *a, struct fault *fault)
{
    int result = feed_rest(a, fault);

    if (result == 0 && !envelope_is_whole(&a->envelope)) {
        result = transport_drive(&a->transport, fault);
    }
    if (result != 0) {
        return result;
    }
    if (!envelope_is_whole(&a->envelope)) {
        fault->is_cut = true;
        return broken(fault, envelope_is_empty(&a->envelope) ? "has no end message"
                                                             : "is cut within a message");
    }
    if (envelope_has(&a->envelope, ENVELOPE_COMPRESSED) && !a->is_gzip) {
        return broken(fault, "has a compressed message, though no compression was agreed on");
    }
    return 0;
}

int stream_answer_take(struct stream_answer *a, size_t max_bytes, struct buffer *out,
                       struct fault *fault)
{
    const struct buffer *packed = &a->envelope.payload;

    if (!envelope_has(&a->envelope, ENVELOPE_COMPRESSED)) {
        envelope_take(&a->envelope, out);
        return 0;
    }
    buffer_init(out, max_bytes);
    int result = inflate_gzip(packed->data, packed->len_bytes, out, fault);

    envelope_reset(&a->envelope);
    return result;
}

int stream_answer_drain(struct stream_answer *a, struct fault *fault)
{
    struct fault of_drain = { 0 };

    if (a->rest.len_bytes > 0) {
        return broken(fault, "goes on behind its end");
    }
    a->wants_end = true;
    a->transport.deadline_ns = clock_monotonic_ns() + DRAIN_MS * CLOCK_NS_PER_MS;
    (void)transport_drive(&a->transport, &of_drain);
    a->wants_end = false;
    if (a->transport.result != 0) {
        *fault = of_drain;
    }
    return a->transport.result;
}
