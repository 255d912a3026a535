/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The life of an exchange but for its run (dispatch.c): the head, the body, the reply. */
#include "server/rpc/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "proto/wire/wire.h"
#include "server/rpc/connect.h"
#include "server/rpc/method.h"
#include "server/rpc/state.h"

enum { STATUS_METHOD_NOT_ALLOWED = 405 };

/* From here the reply is `x->failure`. */
static void refuse(struct exchange *x, int http_status)
{
    assert(x->failure.code != 0);
    x->http_status = http_status;
    x->body_max_bytes = 0;
    buffer_done(&x->body);
}

static int refuse_http_method(struct exchange *x)
{
    struct failure *f = &x->failure;
    int result = failure_set(f, ERROR_UNIMPLEMENTED, "the HTTP method %s is not for this path",
                             x->head.method);

    return failure_next(f, result, "use one of: %s", method_allow(x->call.method));
}

static int refuse_nobody(struct failure *f)
{
    int result = failure_set(f, ERROR_UNAUTHENTICATED, "nobody is known on this connection");

    failure_cause(f, result,
                  "no client certificate was shown, or it has expired, or its authority is not "
                  "trusted any more");
    return failure_next(f, result, "connect with a client certificate of this gateway's authority");
}

/* Finds the method and sees whether the head is one of its requests. */
static int check_head(struct exchange *x, uint64_t *timeout_ms, int *http_status)
{
    struct call *c = &x->call;

    *timeout_ms = 0;
    if (x->head.who == NULL) {
        return refuse_nobody(&x->failure);
    }
    c->method = method_find(x->head.target, &x->uri, &x->failure);
    if (c->method == NULL) {
        return -x->failure.code;
    }
    if (!method_allows(c->method, x->head.method)) {
        *http_status = STATUS_METHOD_NOT_ALLOWED;
        return refuse_http_method(x);
    }
    if (c->method->kind == METHOD_CONNECT) {
        return connect_check_head(&x->head, timeout_ms, http_status, &x->failure);
    }
    return 0;
}

static void set_deadline(struct exchange *x, uint64_t timeout_ms)
{
    uint64_t longest_ms = x->rpc->options.request_timeout_ms;
    uint64_t allowed_ms = timeout_ms > 0 && timeout_ms < longest_ms ? timeout_ms : longest_ms;

    x->deadline_ns = x->head.received_ns + allowed_ms * CLOCK_NS_PER_MS;
    x->call.deadline_ns = x->deadline_ns;
}

struct exchange *exchange_new(struct rpc *rpc, const struct exchange_head *head)
{
    struct exchange *x = calloc(1, sizeof(*x));
    uint64_t timeout_ms;
    int http_status = 0;

    if (x == NULL) {
        return NULL;
    }
    atomic_fetch_add(&rpc->exchanges, 1);
    x->rpc = rpc;
    x->head = *head;
    x->call.head = &x->head;
    x->call.who = head->who;
    x->call.uri = &x->uri;
    x->call.reply = &x->reply;
    x->call.type = -1;
    x->call.incarnation = "";
    pool_init(&x->call.pool, x->first, sizeof(x->first), EXCHANGE_POOL_MAX_BYTES);
    buffer_init(&x->body, rpc->options.request_max_bytes);
    buffer_init(&x->reply_body, rpc->options.response_max_bytes);
    if (check_head(x, &timeout_ms, &http_status) != 0) {
        refuse(x, http_status);
        return x;
    }
    set_deadline(x, timeout_ms);
    x->body_max_bytes = x->call.method->kind == METHOD_CONNECT ? rpc->options.request_max_bytes : 1;
    return x;
}

void exchange_refuse(struct exchange *x, const struct failure *why)
{
    if (x->failure.code == 0) {
        x->failure = *why;
        refuse(x, 0);
    }
    x->reply.close = true;
}

size_t exchange_body_max(const struct exchange *x)
{
    return x->body_max_bytes;
}

bool exchange_body(struct exchange *x, const void *bytes, size_t len_bytes)
{
    struct failure *f = &x->failure;

    if (x->failure.code != 0) {
        return false;
    }
    if (x->call.method->kind != METHOD_CONNECT && len_bytes > 0) {
        failure_set(f, ERROR_INVALID_ARGUMENT, "a request to this path has no body");
        refuse(x, 0);
        return false;
    }
    if (!buffer_append(&x->body, bytes, len_bytes)) {
        int result =
            failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                        "the request's message has more than %zu bytes", x->body_max_bytes);

        failure_cause(f, result, "it is larger than this gateway takes, or memory ran out");
        failure_next(f, result, "send a smaller message");
        refuse(x, 0);
        return false;
    }
    return true;
}

bool exchange_run(struct exchange *x, void (*on_ready)(void *arg), void *arg)
{
    if (x->failure.code != 0) {
        return true;
    }
    x->on_ready = on_ready;
    x->on_ready_arg = arg;
    return dispatch_run(x);
}

static void add_header(struct exchange_reply *reply, const char *name, const char *value)
{
    assert(reply->header_count < EXCHANGE_HEADERS_MAX);
    reply->headers[reply->header_count++] =
        (struct exchange_header){ .name = name, .value = value };
}

/* Where even an error's memory cannot be had. */
static const char last_resort[] =
    "{\"code\":\"resource_exhausted\",\"message\":\"the gateway has no memory left\"}";

static void build_error(struct exchange *x)
{
    struct exchange_reply *reply = &x->reply;
    bool close = reply->close;

    *reply = (struct exchange_reply){ .close = close };
    reply->status = x->http_status != 0 ? x->http_status : error_http_status(x->failure.code);
    add_header(reply, "Content-Type", CONNECT_CONTENT_TYPE_ERROR);
    add_header(reply, "Cache-Control", "no-store");
    if (x->http_status == STATUS_METHOD_NOT_ALLOWED) {
        add_header(reply, "Allow", method_allow(x->call.method));
    } else if (x->http_status == CONNECT_STATUS_UNSUPPORTED_TYPE) {
        add_header(reply, "Accept-Post", CONNECT_CONTENT_TYPE_PROTO);
    }
    buffer_done(&x->reply_body);
    buffer_init(&x->reply_body, CONNECT_ERROR_MAX_BYTES);
    if (connect_error(&x->failure, &x->reply_body)) {
        reply->body = x->reply_body.data;
        reply->body_len_bytes = x->reply_body.len_bytes;
    } else {
        reply->status = error_http_status(ERROR_RESOURCE_EXHAUSTED);
        reply->body = last_resort;
        reply->body_len_bytes = sizeof(last_resort) - 1;
    }
}

static int encode(struct exchange *x)
{
    const ProtobufCMessage *response = x->call.response;
    size_t len_bytes = protobuf_c_message_get_packed_size(response);
    struct failure *f = &x->failure;

    if (len_bytes > x->rpc->options.response_max_bytes) {
        int result =
            failure_set(f, ERROR_RESOURCE_EXHAUSTED, "the answer has %zu bytes, more than %u",
                        len_bytes, (unsigned)x->rpc->options.response_max_bytes);

        failure_cause(f, result, "a message is not to be larger; raw frames are not bound by this");
        return failure_next(f, result, "ask for less at a time, or for the raw frames");
    }
    uint8_t *body = buffer_extend(&x->reply_body, len_bytes);

    if (body == NULL && len_bytes > 0) {
        return call_no_memory(f);
    }
    size_t packed = len_bytes > 0 ? protobuf_c_message_pack(response, body) : 0;

    assert(packed == len_bytes);
    x->reply.status = 200;
    add_header(&x->reply, "Content-Type", CONNECT_CONTENT_TYPE_PROTO);
    add_header(&x->reply, "Cache-Control", "no-store");
    x->reply.body = body;
    x->reply.body_len_bytes = len_bytes;
    return 0;
}

static int build(struct exchange *x)
{
    struct call *c = &x->call;
    int result = c->method->handler->respond(c, &x->failure);

    if (result == 0 && c->pool.failed) {
        result = call_no_memory(&x->failure);
    }
    if (result == 0 && c->method->kind == METHOD_CONNECT) {
        result = encode(x);
        /* The body is a copy: neither the parts that it was made of nor the arena's are held while
         * a slow reader takes it. */
        pool_done(&c->pool);
        dispatch_done(x);
    }
    return result;
}

const struct exchange_reply *exchange_reply(struct exchange *x)
{
    if (!x->built) {
        if (x->failure.code != 0 || build(x) != 0) {
            dispatch_done(x);
            build_error(x);
        }
        x->built = true;
    }
    return &x->reply;
}

void exchange_free(struct exchange *x)
{
    if (x == NULL) {
        return;
    }
    struct rpc *rpc = x->rpc;

    dispatch_done(x);
    wire_free(x->message);
    pool_done(&x->call.pool);
    uri_done(&x->uri);
    buffer_done(&x->body);
    buffer_done(&x->reply_body);
    policy_unref(x->call.policy);
    free(x);
    atomic_fetch_sub(&rpc->exchanges, 1);
}
