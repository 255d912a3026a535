/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/call.h"

#include "client/head.h"
#include "client/inflate.h"
#include "client/procedure.h"
#include "client/refusal.h"
#include "client/retry.h"
#include "client/transport.h"
#include "common/text.h"

enum { WAY_PART = 16, WAY_MAX_MS = 500 }; /* of a call's time, kept for the way of an answer */

/* The answer of one try. */
struct receiver {
    xenres *handle;
    struct buffer *bytes; /* as they come */
    bool is_gzip;
};

static int too_large(const struct receiver *r, struct fault *fault)
{
    int result = failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED,
                             "the answer has more than %zu bytes", r->bytes->max_bytes);

    return failure_next(&fault->failure, result,
                        "ask for less, read raw frames, or raise message_max_bytes");
}

/* Looks at the head before any byte is taken. */
static int take_head(void *arg, struct fault *fault)
{
    struct receiver *r = arg;
    const char *length = transport_header(r->handle, "Content-Length");
    uint64_t len_bytes = 0;
    int result = head_check(r->handle, "application/proto", "Content-Encoding", &r->is_gzip, fault);

    if (result == 0 && length != NULL && text_to_u64(length, UINT64_MAX, &len_bytes) &&
        len_bytes > r->bytes->max_bytes) {
        result = too_large(r, fault);
    }
    return result;
}

static int take_data(void *arg, const void *bytes, size_t len_bytes, struct fault *fault)
{
    const struct receiver *r = arg;

    return buffer_append(r->bytes, bytes, len_bytes) ? 0 : too_large(r, fault);
}

struct sending {
    const struct procedure *method;
    const void *message;
    size_t len_bytes;
};

/* What the gateway is told of the time: a little less than there is, so that what it has to say of
 * being late, which is more than we know here, comes in time. */
static uint32_t told_ms(uint32_t timeout_ms)
{
    uint32_t way_ms = timeout_ms / WAY_PART;

    return timeout_ms - (way_ms < WAY_MAX_MS ? way_ms : WAY_MAX_MS);
}

/* `out` is empty, and again where it fails. */
static int try_once(xenres *handle, const struct sending *s, uint32_t timeout_ms,
                    struct buffer *out, struct fault *fault)
{
    BUFFER_AUTO(target, PROCEDURE_MAX_BYTES + 1);
    BUFFER_AUTO(timeout, 64);
    BUFFER_AUTO(refusal, TRANSPORT_REFUSAL_MAX_BYTES);
    BUFFER_AUTO(bytes, out->max_bytes);
    struct receiver receiver = { .handle = handle, .bytes = &bytes };

    if (!buffer_printf(&target, "/%s", s->method->name) ||
        !buffer_printf(&timeout, "Connect-Timeout-Ms: %u", told_ms(timeout_ms))) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    const struct transport_request request = {
        .target = buffer_string(&target),
        .is_post = true,
        .body = s->message,
        .body_len_bytes = s->len_bytes,
        .headers = { "Content-Type: application/proto", "Connect-Protocol-Version: 1",
                     buffer_string(&timeout), handle->gzip ? "Accept-Encoding: gzip" : NULL },
        .timeout_ms = timeout_ms,
        .on_head = take_head,
        .on_data = take_data,
        .arg = &receiver,
    };
    int status = 0;
    int result = transport_perform(handle, &request, &status, &refusal, fault);

    if (result == 0 && status != 200) {
        return refusal_read(handle, status, refusal.data, refusal.len_bytes, fault);
    }
    if (result == 0 && receiver.is_gzip) {
        return inflate_gzip(bytes.data, bytes.len_bytes, out, fault);
    }
    if (result == 0) { /* moved */
        *out = bytes;
        buffer_init(&bytes, 0);
    }
    return result;
}

static int exchange(xenres *handle, const struct sending *s, struct buffer *out,
                    struct fault *fault)
{
    struct retry retry = retry_begin(s->method->is_idempotent, handle->timeout_ms);
    int result;

    do {
        result = try_once(handle, s, retry_next_ms(&retry), out, fault);
    } while (result != 0 && retry_wait(&retry, handle, &result, fault));
    fault->tries = retry.tries;
    return result;
}

static int call(xenres *handle, const char *name, const void *message, size_t len_bytes,
                xenres_reply **reply, struct fault *fault)
{
    REPLY_AUTO fresh = NULL;
    struct procedure method;
    int result = procedure_find(name, false, &method, fault);

    if (result != 0) {
        return result;
    }
    const struct sending sending = { .method = &method,
                                     .message = message,
                                     .len_bytes = len_bytes };

    fresh = reply_new(handle->message_max_bytes, fault);
    if (fresh == NULL) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    result = exchange(handle, &sending, &fresh->bytes, fault);
    if (result == 0) {
        result = reply_accept(fresh, method.answer, fault);
    }
    if (result == 0) {
        *reply = fresh;
        fresh = NULL;
    }
    return result;
}

bool call_pack(const ProtobufCMessage *message, struct buffer *out)
{
    uint8_t *room = buffer_extend(out, protobuf_c_message_get_packed_size(message));

    if (room == NULL) {
        return false;
    }
    protobuf_c_message_pack(message, room);
    return true;
}

int call_method(xenres *handle, const char *method, const ProtobufCMessage *request,
                xenres_reply **reply, struct fault *fault)
{
    BUFFER_AUTO(message, handle->message_max_bytes);

    if (!call_pack(request, &message)) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    return call(handle, method, message.data, message.len_bytes, reply, fault);
}

int xenres_call(xenres *handle, const char *method, const void *message, size_t len_bytes,
                xenres_reply **reply, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = call(handle, method, message, len_bytes, reply, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}
