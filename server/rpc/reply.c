/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The reply of an exchange: a message, or an error, as the protocol wants it. */
#include <string.h>

#include "server/rpc/audited.h"
#include "server/rpc/cors.h"
#include "server/rpc/method.h"
#include "server/rpc/state.h"

enum { STATUS_NO_CONTENT = 204, STATUS_METHOD_NOT_ALLOWED = 405 };

/* --- errors ------------------------------------------------------------------------------------- */

static void fill_error(struct exchange *x)
{
    struct exchange_reply *reply = &x->reply;

    buffer_done(&x->reply_body);
    buffer_init(&x->reply_body, CONNECT_ERROR_MAX_BYTES);
    if (connect_error(&x->failure, reply_details(x), &x->reply_body)) {
        reply->body = x->reply_body.data;
        reply->body_len_bytes = x->reply_body.len_bytes;
    } else {
        reply->status = error_http_status(ERROR_RESOURCE_EXHAUSTED);
        reply->body = reply_last_resort;
        reply->body_len_bytes = strlen(reply_last_resort);
    }
}

static void build_error(struct exchange *x)
{
    struct exchange_reply *reply = &x->reply;

    reply->status = x->http_status != 0 ? x->http_status : error_http_status(x->failure.code);
    reply_add_header(x, "Content-Type", CONNECT_ERROR_CONTENT_TYPE);
    reply_add_header(x, "Cache-Control", "no-store");
    reply_add_cors(x);
    reply_add_challenge(x);
    reply_add_metadata(x);
    if (x->http_status == STATUS_METHOD_NOT_ALLOWED) {
        reply_add_header(x, "Allow", method_allow(x->call.method));
    } else if (x->http_status == CONNECT_STATUS_UNSUPPORTED_TYPE) {
        reply_add_header(x, "Accept-Post",
                         connect_accept_post(x->call.method->kind == METHOD_STREAM));
    }
    fill_error(x);
}

/* --- messages ----------------------------------------------------------------------------------- */

/* What is encoded of an answer, in `x->reply_body`, into its final form. */
static void shrink(struct exchange *x)
{
    struct buffer small;

    buffer_init(&small, x->reply_body.max_bytes);
    if (compress_shrink(x->connect.answer_encoding, x->rpc->options.zstd_level, x->reply_body.data,
                        x->reply_body.len_bytes, &small)) {
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
    reply_add_metadata(x);
    reply_add_cors(x);
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
        reply_add_cors(x);
    } else if (!c->pool.failed && encode(x) != 0) {
        return false;
    }
    if (c->pool.failed) {
        (void)call_no_memory(&x->failure);
        return false;
    }
    if (audited_answer(x, x->reply.body_len_bytes) != 0) {
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
    reply_add_cors(x);
    if (x->origin != NULL) {
        reply_add_header(x, "Access-Control-Allow-Methods", CORS_METHODS);
        reply_add_header(x, "Access-Control-Allow-Headers", CORS_REQUEST_HEADERS);
        reply_add_header(x, "Access-Control-Max-Age", CORS_MAX_AGE_S);
    }
}

void reply_build(struct exchange *x)
{
    const bool in_stream = x->connect.is_stream && x->connect.codec_known;

    if (x->is_options && x->failure.code == 0) {
        build_options(x);
        return;
    }
    if (x->failure.code == 0 && in_stream && audited_stream(x) == 0) {
        stream_begin(x);
        return;
    }
    if (x->failure.code == 0 && !in_stream && build_answer(x)) {
        return;
    }
    forget(x);
    if (in_stream) {
        stream_refuse(x);
    } else {
        build_error(x);
    }
}
