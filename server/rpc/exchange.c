/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The life of an exchange but for its run (dispatch.c): the head, the body, the reply. */
#include "server/rpc/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "proto/wire/wire.h"
#include "server/rpc/audited.h"
#include "server/rpc/bearer.h"
#include "server/rpc/connect.h"
#include "server/rpc/cors.h"
#include "server/rpc/envelope.h"
#include "server/rpc/method.h"
#include "server/rpc/state.h"

enum {
    STATUS_NO_CONTENT = 204,
    STATUS_NOT_MODIFIED = 304,
    STATUS_NOT_FOUND = 404,
    STATUS_METHOD_NOT_ALLOWED = 405
};

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
    int result =
        failure_set(f, ERROR_UNKNOWN, "the HTTP method %s is not for this path", x->head.method);

    failure_cause(f, result,
                  "raw bytes are for GET, streams for POST, what changes nothing for both");
    return failure_next(f, result, "use one of: %s", method_allow(x->call.method));
}

/* Pages of other origins, as the browser names them. */
static void note_origin(struct exchange *x)
{
    unsigned count = 0;
    const char *origin = x->head.header(x->head.arg, "Origin", &count);

    if (count == 1 && cors_allows(x->rpc->options.cors, origin)) {
        x->origin = origin;
    }
}

/* Finds the method and sees whether the head is one of its requests. */
static int check_head(struct exchange *x, int *http_status)
{
    struct call *c = &x->call;
    bool is_options = strcmp(x->head.method, "OPTIONS") == 0;

    if (x->rpc->options.cors != NULL) {
        note_origin(x);
    }
    /* A preflight is sent before anybody shows who he is. It learns which paths there are. */
    if (!(is_options && x->origin != NULL) && bearer_take(x) != 0) {
        return -x->failure.code;
    }
    c->method = method_find(x->rpc->options.methods, x->head.target, &x->uri, &x->failure);
    if (c->method == NULL) {
        if (x->failure.code == ERROR_NOT_FOUND && strcmp(x->head.method, "POST") == 0) {
            x->failure.code = ERROR_UNIMPLEMENTED; /* the protocol's, of a method that is none */
            *http_status = STATUS_NOT_FOUND;
        }
        return -x->failure.code;
    }
    x->is_options = is_options;
    if (is_options) {
        return 0;
    }
    if (!method_allows(c->method, x->head.method)) {
        *http_status = STATUS_METHOD_NOT_ALLOWED;
        return refuse_http_method(x);
    }
    if (c->method->kind != METHOD_RAW) {
        return connect_parse_head(&x->head, c->method->kind == METHOD_STREAM, &x->connect,
                                  http_status, &x->failure);
    }
    return 0;
}

/* The most that a request's body may have. Of a stream's: one byte more than its one message can
 * have, to know a second one by. */
static size_t body_max_bytes(const struct exchange *x)
{
    size_t message_max_bytes = x->rpc->options.request_max_bytes;

    if (x->is_options) {
        return 0;
    }
    if (x->call.method->kind == METHOD_RAW || x->connect.is_get) {
        return EXCHANGE_BODY_NONE;
    }
    return x->connect.is_stream ? message_max_bytes + ENVELOPE_HEAD_BYTES + 1 : message_max_bytes;
}

static void set_deadline(struct exchange *x)
{
    uint64_t timeout_ms = x->connect.timeout_ms;
    uint64_t longest_ms = x->rpc->options.request_timeout_ms;
    uint64_t allowed_ms = timeout_ms > 0 && timeout_ms < longest_ms ? timeout_ms : longest_ms;

    x->deadline_ns = x->head.received_ns + allowed_ms * CLOCK_NS_PER_MS;
    x->call.deadline_ns = x->deadline_ns;
}

static void on_wake(void *arg)
{
    struct exchange *x = arg;

    x->on_ready(x->on_ready_arg);
}

struct exchange *exchange_new(struct rpc *rpc, const struct exchange_head *head)
{
    struct exchange *x = calloc(1, sizeof(*x));
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
    wait_init(&x->call.wait, on_wake, x);
    wait_init(&x->full, on_wake, x);
    pool_init(&x->call.pool, x->first, sizeof(x->first), EXCHANGE_POOL_MAX_BYTES);
    buffer_init(&x->reply_body, rpc->options.response_max_bytes);
    if (check_head(x, &http_status) != 0) {
        refuse(x, http_status);
        return x;
    }
    set_deadline(x);
    x->body_max_bytes = body_max_bytes(x);
    buffer_init(&x->body, x->body_max_bytes);
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

static int body_too_long(struct exchange *x)
{
    struct failure *f = &x->failure;

    if (x->connect.is_stream) { /* its head says whether it is the message, or a second one */
        struct envelope envelope;
        int result = envelope_parse_only(x->body.data, x->body.len_bytes,
                                         x->rpc->options.request_max_bytes, &envelope, f);

        if (result != 0) {
            return result;
        }
    }
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                             "the request's message has more than %zu bytes", x->body_max_bytes);

    failure_cause(f, result, "it is larger than this gateway takes, or memory ran out");
    return failure_next(f, result, "send a smaller message");
}

bool exchange_body(struct exchange *x, const void *bytes, size_t len_bytes)
{
    if (x->failure.code != 0) {
        return false;
    }
    if ((x->call.method->kind == METHOD_RAW || x->connect.is_get) && len_bytes > 0) {
        failure_set(&x->failure, ERROR_INVALID_ARGUMENT, "a request to this path has no body");
        refuse(x, 0);
        return false;
    }
    size_t room = x->body_max_bytes - x->body.len_bytes;
    size_t taken = len_bytes < room ? len_bytes : room;

    if (!buffer_append(&x->body, bytes, taken) || taken < len_bytes) {
        (void)body_too_long(x);
        refuse(x, 0);
        return false;
    }
    return true;
}

/* Also one that is refused already has cost something. */
static bool is_within_rate(struct exchange *x)
{
    struct failure f = { 0 };

    if (x->call.who == NULL || x->is_options ||
        quota_request(x->rpc->options.quota, x->call.who, &f) == 0) {
        return true;
    }
    x->failure = x->failure.code == 0 ? f : x->failure;
    return false;
}

bool exchange_run(struct exchange *x, void (*on_ready)(void *arg), void *arg)
{
    if (!is_within_rate(x) || x->failure.code != 0 || x->is_options) {
        return true;
    }
    x->on_ready = on_ready;
    x->on_ready_arg = arg;
    return dispatch_run(x);
}

/* As much of the answer's body as was, or is being, sent. */
static uint64_t body_bytes(const struct exchange *x)
{
    const struct exchange_reply *reply = &x->reply;

    if (!x->built || reply->streamed) {
        return x->streamed_bytes;
    }
    return strcmp(x->head.method, "HEAD") == 0 || reply->status == STATUS_NOT_MODIFIED ||
                   reply->status == STATUS_NO_CONTENT
               ? 0
               : reply->body_len_bytes;
}

const struct exchange_reply *exchange_reply(struct exchange *x)
{
    if (!x->built) {
        reply_build(x);
        x->built = true;
        if (!x->reply.streamed && x->call.who != NULL) {
            (void)quota_sent(x->rpc->options.quota, x->call.who, body_bytes(x));
        }
    }
    return &x->reply;
}

/* One whose answer nobody took, or not to its end, was cancelled. */
static void count(const struct exchange *x)
{
    bool is_whole = x->built && (!x->reply.streamed || x->ended);

    meter_count(x->rpc->meter, &(struct meter_event){
                                   .method = x->call.method,
                                   .code = is_whole ? x->failure.code : ERROR_CANCELED,
                                   .duration_ns = clock_monotonic_ns() - x->head.received_ns,
                                   .body_bytes = body_bytes(x),
                               });
}

void exchange_free(struct exchange *x)
{
    if (x == NULL) {
        return;
    }
    struct rpc *rpc = x->rpc;

    count(x);
    audited_failure(x);
    dispatch_done(x);
    timer_cancel(rpc->timers, &x->timer);
    timer_cancel(rpc->timers, &x->slow_timer);
    wire_free(x->message);
    pool_done(&x->message_pool);
    pool_done(&x->call.pool);
    connect_request_done(&x->connect);
    uri_done(&x->uri);
    buffer_done(&x->body);
    buffer_done(&x->reply_body);
    policy_unref(x->call.policy);
    access_unref(x->access);
    bearer_unref(x->bearer);
    free(x);
    atomic_fetch_sub(&rpc->exchanges, 1);
}
