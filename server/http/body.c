/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/body.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/text.h"
#include "server/http/handshakes.h"
#include "server/http/heading.h"
#include "server/http/streaming.h"
#include "server/http/tls.h"

enum { METHOD_BYTES = 16 };

/* A header that rpc asked for. Copied, because the daemon's memory goes with the connection. */
struct header {
    struct header *next;
    unsigned count;
    char *value; /* NULL: not there */
    char name[];
};

/*
 * One request. The connection's thread owns it; references: the daemon's (until completed), the
 * reply's (until sent), the running exchange's (until on_ready()). A stream's on_ready() has none:
 * freeing the exchange waits for it.
 */
struct request {
    atomic_uint refs;
    const struct body *body;
    struct connection *connection; /* counted */
    struct MHD_Connection *mhd;    /* under the connection's lock; NULL once it is completed */
    struct exchange *exchange;
    struct header *headers;
    uint64_t received_ns;
    size_t discard_bytes; /* how much more may be thrown away */
    bool discarding;
    bool running;     /* exchange_run() was called */
    bool is_chunked;  /* where its reply is streamed */
    bool is_streamed; /* under the connection's lock: the reply is by `streaming` */
    struct streaming streaming;
    char method[METHOD_BYTES]; /* longer ones are cut, and so none that rpc knows */
    char target[];
};

static struct request *request_ref(struct request *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

static void request_unref(struct request *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    exchange_free(r->exchange);
    streaming_done(&r->streaming);
    while (r->headers != NULL) {
        struct header *h = r->headers;

        r->headers = h->next;
        free(h->value);
        free(h);
    }
    connection_unref(r->connection);
    free(r);
}

/* --- the head ---------------------------------------------------------------------------------- */

/* Looks it up in the daemon's memory, while there is one. NULL: no memory. */
static struct header *copy_header(struct request *r, const char *name)
{
    struct header *h = calloc(1, sizeof(*h) + strlen(name) + 1);

    if (h == NULL) {
        return NULL;
    }
    memcpy(h->name, name, strlen(name) + 1);
    (void)pthread_mutex_lock(&r->connection->lock);
    if (r->mhd != NULL) {
        const struct heading_search s = heading_find(r->mhd, name);

        h->count = s.count;
        h->value = s.value != NULL ? strdup(s.value) : NULL;
    }
    (void)pthread_mutex_unlock(&r->connection->lock);
    h->next = r->headers;
    r->headers = h;
    return h;
}

/* exchange_head's `header`. */
static const char *header(void *arg, const char *name, unsigned *count)
{
    struct request *r = arg;
    struct header *h = r->headers;

    while (h != NULL && strcasecmp(h->name, name) != 0) {
        h = h->next;
    }
    if (h == NULL) {
        h = copy_header(r, name);
    }
    if (count != NULL) {
        *count = h != NULL ? h->count : 0;
    }
    return h != NULL ? h->value : NULL;
}

struct each_header {
    void (*each)(void *arg, const char *name, const char *value);
    void *arg;
};

static enum MHD_Result pass_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    const struct each_header *e = arg;

    (void)kind;
    e->each(e->arg, name, value != NULL ? value : "");
    return MHD_YES;
}

/* exchange_head's `each_header`. */
static void each_header(void *arg,
                        void (*each)(void *each_arg, const char *name, const char *value),
                        void *each_arg)
{
    struct request *r = arg;
    struct each_header e = { .each = each, .arg = each_arg };

    (void)pthread_mutex_lock(&r->connection->lock);
    if (r->mhd != NULL) {
        (void)MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, pass_header, &e);
    }
    (void)pthread_mutex_unlock(&r->connection->lock);
}

void *body_on_target(void *arg, const char *target, struct MHD_Connection *mhd)
{
    struct body *body = arg;
    struct connection *c =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    size_t target_bytes = strlen(target) + 1; /* bounded by the daemon's memory per connection */
    struct request *r;

    if (c == NULL) {
        return NULL;
    }
    r = calloc(1, sizeof(*r) + target_bytes);
    if (r == NULL) {
        return NULL;
    }
    atomic_init(&r->refs, 1);
    r->body = body;
    r->connection = connection_ref(c);
    r->mhd = mhd;
    r->received_ns = clock_monotonic_ns();
    memcpy(r->target, target, target_bytes);
    connection_enter(c, CONNECTION_RECEIVING);
    connections_request_began(body->connections);
    atomic_fetch_add_explicit(&body->tally->requests, 1, memory_order_relaxed);
    return r;
}

/* After a reload: whom the authorities of before let in, those of now may not know. Where they say nothing
 * of him, the connection lets go of those of before all the same. */
static void judge_again(struct request *r)
{
    struct connection *c = r->connection;

    if (credentials_are_current(r->body->credentials, c->judged)) {
        return;
    }
    credentials_unref(c->judged);
    c->judged = credentials_current(r->body->credentials);
    if (r->body->everyone == NULL && !c->anonymous) {
        tls_verify_again(c, r->body->tally);
    }
}

/* Nobody, where the certificate, or what vouches for it, has expired since the handshake. */
static const struct identity *who(const struct connection *c)
{
    int64_t now_s = (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S);

    return c->known && now_s <= c->until_s ? &c->who : NULL;
}

/* exchange_head's `still`. */
static bool still(void *arg, int64_t *until_s)
{
    struct request *r = arg;

    judge_again(r);
    if (r->connection->anonymous) {
        return true;
    }
    *until_s = r->connection->until_s;
    return who(r->connection) != NULL;
}

/* exchange_head's `certificates`. */
static size_t certificates(void *arg, struct identity_der out[IDENTITY_CHAIN_MAX])
{
    const struct request *r = arg;

    return r->body->everyone == NULL && !r->connection->anonymous
               ? tls_certificates(r->connection->tls, out)
               : 0;
}

/* exchange_head's `token_wait_ns`. */
static uint64_t token_wait_ns(void *arg)
{
    const struct request *r = arg;

    return handshakes_penalty_ns(r->body->handshakes, &r->connection->origin, clock_monotonic_ns());
}

/* exchange_head's `token_refused`. While there is a penalty, none is added: those behind the same address
 * wait for its end, which would not come. */
static bool token_refused(void *arg)
{
    struct request *r = arg;
    struct connection *c = r->connection;

    if (token_wait_ns(r) == 0) {
        handshakes_failed(r->body->handshakes, &c->origin, clock_monotonic_ns());
    }
    return ++c->tokens_refused >= BODY_TOKENS_REFUSED_MAX;
}

static enum MHD_Result send_reply(struct request *r);

static void refuse_length(uint64_t length_bytes, size_t max_bytes, struct failure *why)
{
    int result;

    if (max_bytes == EXCHANGE_BODY_NONE) {
        result = failure_set(why, ERROR_INVALID_ARGUMENT,
                             "a request of this kind has no body, and this "
                             "one has %llu bytes",
                             (unsigned long long)length_bytes);
        (void)failure_next(why, result, "leave it out, or use POST where that is taken");
        return;
    }
    result = failure_set(why, ERROR_RESOURCE_EXHAUSTED,
                         "the request's body has %llu bytes, of %zu at most",
                         (unsigned long long)length_bytes, max_bytes);
    (void)failure_next(why, result, "send a smaller message");
}

static enum MHD_Result begin(struct request *r, const char *method, const char *version)
{
    static const enum exchange_tokens tokens[] = {
        [LISTENER_REQUIRED] = EXCHANGE_TOKENS_DEMANDED,
        [LISTENER_OPTIONAL] = EXCHANGE_TOKENS_TAKEN,
        [LISTENER_NONE] = EXCHANGE_TOKENS_REFUSED,
    };

    judge_again(r);
    const struct framing framing = heading_framing(r->mhd, version);
    const struct exchange_head head = {
        .method = r->method,
        .target = r->target,
        .header = header,
        .each_header = each_header,
        .still = still,
        .certificates = certificates,
        .token_wait_ns = token_wait_ns,
        .token_refused = token_refused,
        .arg = r,
        .memory = &r->connection->memory,
        .who = who(r->connection),
        .is_anonymous = r->connection->anonymous,
        .tokens = r->body->everyone != NULL ? EXCHANGE_TOKENS_TAKEN : tokens[r->connection->token],
        .peer_address = r->connection->peer,
        .received_ns = r->received_ns,
    };
    struct failure why = { 0 };
    size_t max_bytes;

    (void)snprintf(r->method, sizeof(r->method), "%s", method);
    r->is_chunked = strcmp(version, MHD_HTTP_VERSION_1_0) != 0;
    r->exchange = exchange_new(r->body->rpc, &head);
    if (r->exchange == NULL) {
        return MHD_NO;
    }
    max_bytes = exchange_body_max(r->exchange);
    if (framing.fault != NULL) {
        (void)failure_set(&why, ERROR_INVALID_ARGUMENT, "the request has %s", framing.fault);
    } else if (max_bytes > 0 && framing.has_length && framing.length_bytes > max_bytes) {
        refuse_length(framing.length_bytes, max_bytes, &why);
    }
    if (why.code != ERROR_OK) {
        exchange_refuse(r->exchange, &why);
    }
    if (!framing.has_body || (why.code == ERROR_OK && max_bytes > 0)) {
        return MHD_YES; /* goes on when the request is whole */
    }
    /* The reply stands. A short body is read all the same, so that the connection can go on. */
    if (framing.fault == NULL && !framing.expects_continue &&
        (!framing.has_length || framing.length_bytes <= BODY_DISCARD_MAX_BYTES)) {
        r->discarding = true;
        r->discard_bytes = BODY_DISCARD_MAX_BYTES;
        return MHD_YES;
    }
    r->connection->linger = true;
    return send_reply(r); /* now: the daemon reads no more of this connection */
}

/* --- the body ---------------------------------------------------------------------------------- */

static enum MHD_Result take(struct request *r, const char *bytes, size_t *len_bytes)
{
    if (!r->discarding) {
        if (!exchange_body(r->exchange, bytes, *len_bytes)) {
            r->discarding = true; /* the reply stands; the daemon takes it at the end only */
            r->discard_bytes = BODY_DISCARD_MAX_BYTES;
        }
    } else if (*len_bytes > r->discard_bytes) {
        r->connection->linger = true;
        return MHD_NO;
    } else {
        r->discard_bytes -= *len_bytes;
    }
    *len_bytes = 0;
    return MHD_YES;
}

/* --- the reply --------------------------------------------------------------------------------- */

/* With the connection's lock. */
static void resume(struct connection *c)
{
    if (c->suspended) {
        c->suspended = false;
        MHD_resume_connection(c->mhd);
    }
}

/* The exchange has its reply, or more of it. Publishes that and resumes under the lock under which
 * run() looks and suspends: neither can slip between the other's two steps. */
static void on_ready(void *arg)
{
    struct request *r = arg;
    struct connection *c = r->connection;

    (void)pthread_mutex_lock(&c->lock);
    bool is_streamed = r->is_streamed;

    if (is_streamed) {
        streaming_wake(&r->streaming);
    } else if (r->mhd != NULL) {
        c->answered = true;
        resume(c);
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (!is_streamed) {
        request_unref(r);
    }
}

void body_abandon(struct connection *c, void *arg)
{
    (void)arg;
    (void)pthread_mutex_lock(&c->lock);
    if (c->parked != NULL) {
        streaming_wake(c->parked);
    }
    resume(c);
    (void)pthread_mutex_unlock(&c->lock);
}

static void on_sent(void *arg)
{
    request_unref(arg);
}

/* Does the daemon send a body behind the header? */
static bool body_follows(const struct request *r, const struct exchange_reply *reply)
{
    return reply->body_len_bytes > 0 && strcmp(r->method, MHD_HTTP_METHOD_HEAD) != 0 &&
           reply->status != MHD_HTTP_NOT_MODIFIED && reply->status != MHD_HTTP_NO_CONTENT;
}

/* The daemon's; it has no buffer to fill, since the pump sends. */
static ssize_t read_stream(void *arg, uint64_t position, char *out, size_t max_bytes)
{
    struct request *r = arg;

    (void)position, (void)out, (void)max_bytes;
    return streaming_read(&r->streaming);
}

static struct MHD_Response *make_response(struct request *r, const struct exchange_reply *reply)
{
    union {
        const void *constant;
        void *plain;
    } bytes = { .constant = reply->body };

    if (!reply->streamed) {
        return MHD_create_response_from_buffer_with_free_callback_cls(
            reply->body_len_bytes, reply->body_len_bytes > 0 ? bytes.plain : r->method, on_sent, r);
    }
    streaming_init(&r->streaming, r->body->pump, r->connection, r->exchange, r->is_chunked);
    (void)pthread_mutex_lock(&r->connection->lock);
    r->is_streamed = true;
    (void)pthread_mutex_unlock(&r->connection->lock);
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, read_stream, r, on_sent);
}

static enum MHD_Result send_reply(struct request *r)
{
    const struct exchange_reply *reply = exchange_reply(r->exchange);
    struct MHD_Response *response = make_response(r, reply);
    enum MHD_Result result = MHD_YES;

    if (response == NULL) {
        return MHD_NO;
    }
    (void)request_ref(r); /* the response's, given up by on_sent() */
    r->connection->inflow.held = false;
    bool taken = outflow_expect_header(&r->connection->outflow, body_follows(r, reply),
                                       reply->headers, reply->header_count);

    for (size_t i = 0; !taken && i < reply->header_count && result == MHD_YES; i++) {
        result = MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    }
    /* Who is nobody now has to show a certificate again, and that takes a connection anew. */
    if (result == MHD_YES &&
        (reply->close || (!r->connection->anonymous && who(r->connection) == NULL) ||
         atomic_load_explicit(&r->body->connections->stopping, memory_order_relaxed))) {
        result = MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    if (result == MHD_YES) {
        connection_enter(r->connection, CONNECTION_SENDING);
        result = MHD_queue_response(r->mhd, (unsigned)reply->status, response);
    }
    MHD_destroy_response(response);
    return result;
}

/* The request is whole. True: the reply stands. False: on_ready() resumes. */
static bool run(struct request *r)
{
    struct connection *c = r->connection;
    bool stands;

    connection_enter(c, CONNECTION_RUNNING);
    c->inflow.held = true; /* until there is a reply */
    r->running = true;
    (void)request_ref(r); /* on_ready()'s */
    if (exchange_run(r->exchange, on_ready, r)) {
        request_unref(r);
        return true;
    }
    (void)pthread_mutex_lock(&c->lock);
    stands = c->answered;
    if (!stands && !atomic_load(&c->table->abandoning)) {
        c->suspended = true;
        MHD_suspend_connection(c->mhd);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return stands;
}

/* The daemon calls this when the request is whole, and again after each resume. */
static enum MHD_Result finish(struct request *r)
{
    struct connection *c = r->connection;
    bool answered;

    if (!r->running && (r->discarding || run(r))) {
        return send_reply(r);
    }
    (void)pthread_mutex_lock(&c->lock);
    answered = c->answered;
    (void)pthread_mutex_unlock(&c->lock);
    if (answered) {
        return send_reply(r);
    }
    return atomic_load(&c->table->abandoning) ? MHD_NO : MHD_YES;
}

enum MHD_Result body_on_request(void *arg, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *bytes,
                                size_t *len_bytes, void **request)
{
    struct request *r = *request;

    (void)arg, (void)mhd, (void)url;
    if (r == NULL) {
        return MHD_NO; /* memory ran out when the request line came */
    }
    if (r->exchange == NULL) {
        return begin(r, method, version);
    }
    return *len_bytes > 0 ? take(r, bytes, len_bytes) : finish(r);
}

void body_on_completed(void *arg, struct MHD_Connection *mhd, void **request,
                       enum MHD_RequestTerminationCode how)
{
    struct request *r = *request;
    struct connection *c;

    (void)arg, (void)mhd, (void)how;
    *request = NULL;
    if (r == NULL) {
        return;
    }
    c = r->connection;
    (void)pthread_mutex_lock(&c->lock);
    r->mhd = NULL;
    c->answered = false; /* the next request begins anew */
    (void)pthread_mutex_unlock(&c->lock);
    connection_enter(c, CONNECTION_IDLE);
    connections_request_ended(r->body->connections);
    request_unref(r);
}
