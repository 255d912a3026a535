/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The reply of an exchange: a message, or an error, as the protocol wants it. */
#include <assert.h>
#include <string.h>

#include "server/rpc/cors.h"
#include "server/rpc/envelope.h"
#include "server/rpc/method.h"
#include "server/rpc/state.h"

enum { STATUS_NO_CONTENT = 204, STATUS_METHOD_NOT_ALLOWED = 405 };

void reply_add_header(struct exchange *x, const char *name, const char *value)
{
    struct exchange_reply *reply = &x->reply;

    assert(reply->header_count < EXCHANGE_HEADERS_MAX);
    reply->headers[reply->header_count++] =
        (struct exchange_header){ .name = name, .value = value };
}

/* Which page may read it; and what of it. */
static void add_cors(struct exchange *x)
{
    if (x->rpc->options.cors != NULL) {
        reply_add_header(x, "Vary", "Origin");
    }
    if (x->origin != NULL) {
        reply_add_header(x, "Access-Control-Allow-Origin", x->origin);
        reply_add_header(x, "Access-Control-Expose-Headers", "*, ETag");
    }
}

static void add_metadata(struct exchange *x)
{
    struct call *c = &x->call;

    for (size_t i = 0; i < c->headers.count; i++) {
        reply_add_header(x, c->headers.names[i], c->headers.values[i]);
    }
    for (size_t i = 0; i < c->trailers.count && !x->connect.is_stream; i++) {
        const char *name = pool_printf(&c->pool, "Trailer-%s", c->trailers.names[i]);

        reply_add_header(x, name, c->trailers.values[i]);
    }
}

/* --- errors ------------------------------------------------------------------------------------- */

/* Where even an error does not fit, or its memory cannot be had. */
static const char last_resort[] = "{\"code\":\"resource_exhausted\",\"message\":\"the answer's end "
                                  "is too large, or the gateway has no "
                                  "memory left\",\"details\":[]}";

static const struct connect_details *details_of(const struct exchange *x)
{
    static const struct connect_details none = { .count = 0 };

    return x->call.details != NULL                 ? x->call.details
           : x->rpc->options.methods->plain_errors ? &none
                                                   : NULL;
}

static void fill_error(struct exchange *x)
{
    struct exchange_reply *reply = &x->reply;

    buffer_done(&x->reply_body);
    buffer_init(&x->reply_body, CONNECT_ERROR_MAX_BYTES);
    if (connect_error(&x->failure, details_of(x), &x->reply_body)) {
        reply->body = x->reply_body.data;
        reply->body_len_bytes = x->reply_body.len_bytes;
    } else {
        reply->status = error_http_status(ERROR_RESOURCE_EXHAUSTED);
        reply->body = last_resort;
        reply->body_len_bytes = sizeof(last_resort) - 1;
    }
}

static void build_error(struct exchange *x)
{
    struct exchange_reply *reply = &x->reply;

    reply->status = x->http_status != 0 ? x->http_status : error_http_status(x->failure.code);
    reply_add_header(x, "Content-Type", CONNECT_ERROR_CONTENT_TYPE);
    reply_add_header(x, "Cache-Control", "no-store");
    add_cors(x);
    add_metadata(x);
    if (x->http_status == STATUS_METHOD_NOT_ALLOWED) {
        reply_add_header(x, "Allow", method_allow(x->call.method));
    } else if (x->http_status == CONNECT_STATUS_UNSUPPORTED_TYPE) {
        reply_add_header(x, "Accept-Post",
                         connect_accept_post(x->call.method->kind == METHOD_STREAM));
    }
    fill_error(x);
}

/* --- the message that ends a stream ------------------------------------------------------------- */

/* False: it does not fit, or memory ran out. */
static bool append_end(struct exchange *x)
{
    const struct failure *f = x->failure.code != 0 ? &x->failure : NULL;

    return buffer_extend(&x->reply_body, ENVELOPE_HEAD_BYTES) != NULL &&
           connect_end(f, details_of(x), &x->call.trailers, &x->reply_body) &&
           !x->reply_body.failed;
}

void stream_end(struct exchange *x)
{
    struct buffer *out = &x->reply_body;

    buffer_done(out);
    buffer_init(out, ENVELOPE_HEAD_BYTES + CONNECT_ERROR_MAX_BYTES);
    x->sent_bytes = 0;
    x->ended = true;
    if (!append_end(x)) {
        buffer_reset(out);
        (void)buffer_extend(out, ENVELOPE_HEAD_BYTES);
        (void)buffer_printf(out, "{\"error\":%s}", last_resort);
    }
    if (out->failed) { /* no end at all: the client sees that it is missing */
        buffer_done(out);
        return;
    }
    envelope_write_head(out->data, ENVELOPE_END_OF_STREAM,
                        (uint32_t)(out->len_bytes - ENVELOPE_HEAD_BYTES));
}

static void add_stream_headers(struct exchange *x)
{
    x->reply.status = 200;
    reply_add_header(x, "Content-Type", codec_content_type(x->connect.codec, true));
    reply_add_header(x, "Cache-Control", "no-store");
    reply_add_header(x, "Connect-Accept-Encoding", COMPRESS_SUPPORTED);
    if (x->connect.answer_encoding != COMPRESS_IDENTITY) {
        reply_add_header(x, "Connect-Content-Encoding", compress_name(x->connect.answer_encoding));
    }
    add_cors(x);
    add_metadata(x);
}

/* --- messages ----------------------------------------------------------------------------------- */

/* What is encoded of an answer, in `x->reply_body`, into its final form. */
static void shrink(struct exchange *x)
{
    struct buffer small;

    buffer_init(&small, x->reply_body.max_bytes);
    if (compress_shrink(x->connect.answer_encoding, x->reply_body.data, x->reply_body.len_bytes,
                        &small)) {
        buffer_done(&x->reply_body);
        x->reply_body = small;
        reply_add_header(x, "Content-Encoding", compress_name(x->connect.answer_encoding));
    } else {
        buffer_done(&small);
    }
}

static int too_large(const struct exchange *x, struct failure *f)
{
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "the answer has more than %u bytes",
                             (unsigned)x->rpc->options.response_max_bytes);

    failure_cause(f, result, "a message is not to be larger; raw frames are not bound by this");
    return failure_next(f, result, "ask for less at a time, or for the raw frames");
}

static int encode(struct exchange *x)
{
    int result = codec_encode(x->connect.codec, x->call.response, x->rpc->options.methods->types,
                              &x->reply_body, &x->failure);

    if (result != 0) {
        return result == -ERROR_RESOURCE_EXHAUSTED ? too_large(x, &x->failure) : result;
    }
    x->reply.status = 200;
    reply_add_header(x, "Content-Type", codec_content_type(x->connect.codec, false));
    reply_add_header(x, "Cache-Control", "no-store");
    add_metadata(x);
    add_cors(x);
    shrink(x);
    x->reply.body = x->reply_body.data;
    x->reply.body_len_bytes = x->reply_body.len_bytes;
    return 0;
}

static bool is_late(struct exchange *x)
{
    if (!atomic_load(&x->late)) {
        return false;
    }
    failure_set(&x->failure, ERROR_DEADLINE_EXCEEDED, "the answer did not come in time");
    failure_next(&x->failure, 0, "allow more time");
    return true;
}

/* False: `x->failure` says why. */
static bool build_answer(struct exchange *x)
{
    struct call *c = &x->call;

    if (is_late(x) || c->method->handler->respond(c, &x->failure) != 0) {
        return false;
    }
    if (c->method->kind == METHOD_RAW) {
        add_cors(x);
    } else if (!c->pool.failed && encode(x) != 0) {
        return false;
    }
    if (c->pool.failed) {
        (void)call_no_memory(&x->failure);
        return false;
    }
    if (c->method->kind == METHOD_UNARY) {
        /* The body is a copy: neither the parts that it was made of nor the arena's are held while
         * a slow reader takes it. */
        dispatch_done(x);
    }
    return true;
}

/* Nothing that a failed answer had begun to say. */
static void forget(struct exchange *x)
{
    x->reply = (struct exchange_reply){ .close = x->reply.close };
    dispatch_done(x);
}

static void build_options(struct exchange *x)
{
    x->reply.status = STATUS_NO_CONTENT;
    reply_add_header(x, "Allow", method_allow(x->call.method));
    add_cors(x);
    if (x->origin != NULL) {
        reply_add_header(x, "Access-Control-Allow-Methods", CORS_METHODS);
        reply_add_header(x, "Access-Control-Allow-Headers", CORS_REQUEST_HEADERS);
        reply_add_header(x, "Access-Control-Max-Age", "7200");
    }
}

void reply_build(struct exchange *x)
{
    const bool in_stream = x->connect.is_stream && x->connect.codec_known;

    if (x->is_options && x->failure.code == 0) {
        build_options(x);
        return;
    }
    if (x->failure.code == 0 && in_stream) {
        add_stream_headers(x);
        stream_begin(x);
        return;
    }
    if (x->failure.code == 0 && build_answer(x)) {
        return;
    }
    forget(x);
    if (in_stream) {
        add_stream_headers(x);
        stream_end(x);
        x->reply.body = x->reply_body.data;
        x->reply.body_len_bytes = x->reply_body.len_bytes;
    } else {
        build_error(x);
    }
}
