/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/conformance/service.h"

#include <string.h>

#include "common/clock.h"
#include "connectrpc/conformance/v1/service.pb-c.h"
#include "proto/json/wellknown.h"
#include "tests/conformance/request_info.h"

#define V1(name) connectrpc__conformance__v1__##name

typedef Connectrpc__Conformance__V1__UnaryResponseDefinition unary_definition;
typedef Connectrpc__Conformance__V1__StreamResponseDefinition stream_definition;
typedef Connectrpc__Conformance__V1__ConformancePayload payload_message;

/* The handler's own. */
struct state {
    struct timer timer;
    Connectrpc__Conformance__V1__ConformancePayload__RequestInfo *info;
    struct connect_details details;
    size_t sent;
    bool waited;
};

/* Both kinds of call begin alike. Unary ones have their definition in the same place. */
static int prepare(struct call *c, struct failure *f)
{
    struct state *s = pool_alloc(&c->pool, sizeof(*s));

    if (s == NULL) {
        return call_no_memory(f);
    }
    c->state = s;
    s->info = request_info(c);
    return s->info != NULL ? 0 : call_no_memory(f);
}

static void add_metadata(struct call *c, struct metadata *m, size_t count,
                         Connectrpc__Conformance__V1__Header **headers)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < headers[i]->n_value; k++) {
            (void)metadata_add(m, &c->pool, headers[i]->name, headers[i]->value[k]);
        }
    }
}

static void on_time(void *arg)
{
    call_wake(arg);
}

static int wait_for(struct call *c, uint32_t delay_ms)
{
    struct state *s = c->state;

    timer_arm(c->timers, &s->timer, clock_monotonic_ns() + delay_ms * CLOCK_NS_PER_MS, on_time, c);
    return HANDLER_WAIT;
}

static void stop(struct call *c)
{
    struct state *s = c->state;

    timer_cancel(c->timers, &s->timer);
}

/* --- errors ------------------------------------------------------------------------------------- */

static void add_detail(struct state *s, const Google__Protobuf__Any *any)
{
    const char *slash = strrchr(any->type_url, '/');

    if (s->details.count < CONNECT_DETAILS_MAX) {
        s->details.details[s->details.count++] =
            (struct connect_detail){ .type = slash != NULL ? slash + 1 : any->type_url,
                                     .bytes = any->value.data,
                                     .len_bytes = any->value.len };
    }
}

/* As the definition says, and behind its own details what was asked, where no payload says it. */
static int fail_as_defined(struct call *c, const Connectrpc__Conformance__V1__Error *error,
                           bool with_info, struct failure *f)
{
    struct state *s = c->state;

    for (size_t i = 0; i < error->n_details; i++) {
        add_detail(s, error->details[i]);
    }
    if (with_info) {
        Google__Protobuf__Any *any = request_info_any(&c->pool, &s->info->base);

        if (any == NULL) {
            return call_no_memory(f);
        }
        add_detail(s, any);
    }
    if (error->message_choice_case == CONNECTRPC__CONFORMANCE__V1__ERROR__MESSAGE_CHOICE_MESSAGE) {
        s->details.message = error->message;
    }
    c->details = &s->details;
    /* The numbers of the codes are Connect's own, and ours. */
    return failure_set(f, (enum error_code)error->code, NULL);
}

/* --- unary -------------------------------------------------------------------------------------- */

static const unary_definition *definition_of(const struct call *c)
{
    return c->request->descriptor == &V1(unary_request__descriptor)
               ? ((const Connectrpc__Conformance__V1__UnaryRequest *)c->request)
                     ->response_definition
               : ((const Connectrpc__Conformance__V1__IdempotentUnaryRequest *)c->request)
                     ->response_definition;
}

static int unary_start(struct call *c, struct failure *f)
{
    const unary_definition *d = definition_of(c);

    (void)f;
    return d != NULL && d->response_delay_ms > 0 ? wait_for(c, d->response_delay_ms) : HANDLER_DONE;
}

static payload_message *make_payload(struct pool *p, const ProtobufCBinaryData *data)
{
    payload_message *m = pool_alloc(p, sizeof(*m));

    if (m != NULL) {
        V1(conformance_payload__init)(m);
        if (data != NULL) {
            m->data = *data;
        }
    }
    return m;
}

static int unary_respond(struct call *c, struct failure *f)
{
    const struct state *s = c->state;
    const unary_definition *d = definition_of(c);
    const ProtobufCBinaryData *data = NULL;

    if (d != NULL) {
        add_metadata(c, &c->headers, d->n_response_headers, d->response_headers);
        add_metadata(c, &c->trailers, d->n_response_trailers, d->response_trailers);
        if (d->response_case ==
            CONNECTRPC__CONFORMANCE__V1__UNARY_RESPONSE_DEFINITION__RESPONSE_ERROR) {
            return fail_as_defined(c, d->error, true, f);
        }
        data = &d->response_data;
    }
    payload_message *payload = make_payload(&c->pool, data);
    Connectrpc__Conformance__V1__UnaryResponse *m = pool_alloc(&c->pool, sizeof(*m));

    if (payload == NULL || m == NULL) {
        return call_no_memory(f);
    }
    payload->request_info = s->info;
    /* IdempotentUnaryResponse has the same one field. */
    V1(unary_response__init)(m);
    m->payload = payload;
    c->response = &m->base;
    return 0;
}

static const struct handler unary = {
    .prepare = prepare, .start = unary_start, .respond = unary_respond, .stop = stop
};

/* --- server stream ------------------------------------------------------------------------------ */

static int stream_start(struct call *c, struct failure *f)
{
    const stream_definition *d =
        ((const Connectrpc__Conformance__V1__ServerStreamRequest *)c->request)->response_definition;

    (void)f;
    if (d != NULL) {
        add_metadata(c, &c->headers, d->n_response_headers, d->response_headers);
        add_metadata(c, &c->trailers, d->n_response_trailers, d->response_trailers);
    }
    return HANDLER_DONE;
}

static int stream_next(struct call *c, struct pool *p, struct failure *f)
{
    struct state *s = c->state;
    const stream_definition *d =
        ((const Connectrpc__Conformance__V1__ServerStreamRequest *)c->request)->response_definition;

    if (d == NULL || s->sent == d->n_response_data) {
        return d != NULL && d->error != NULL ? fail_as_defined(c, d->error, s->sent == 0, f)
                                             : HANDLER_DONE;
    }
    if (d->response_delay_ms > 0 && !s->waited) {
        s->waited = true;
        return wait_for(c, d->response_delay_ms);
    }
    if (s->timer.armed) {
        return HANDLER_WAIT; /* woken by something else */
    }
    s->waited = false;
    payload_message *payload = make_payload(p, &d->response_data[s->sent]);
    Connectrpc__Conformance__V1__ServerStreamResponse *m = pool_alloc(p, sizeof(*m));

    if (payload == NULL || m == NULL) {
        return call_no_memory(f);
    }
    payload->request_info = s->sent++ == 0 ? s->info : NULL;
    V1(server_stream_response__init)(m);
    m->payload = payload;
    c->response = &m->base;
    return HANDLER_MESSAGE;
}

static const struct handler server_stream = {
    .prepare = prepare, .start = stream_start, .next = stream_next, .stop = stop
};

/* --- the rest ----------------------------------------------------------------------------------- */

static int unimplemented_respond(struct call *c, struct failure *f)
{
    (void)c;
    return failure_set(f, ERROR_UNIMPLEMENTED, "it is not there, as its name says");
}

static const struct handler unimplemented = { .prepare = prepare,
                                              .respond = unimplemented_respond };

#define SERVICE "/connectrpc.conformance.v1.ConformanceService/"

static const struct method methods[] = {
    { .path = SERVICE "Unary",
      .kind = METHOD_UNARY,
      .open = true,
      .request = &V1(unary_request__descriptor),
      .response = &V1(unary_response__descriptor),
      .handler = &unary },
    { .path = SERVICE "IdempotentUnary",
      .kind = METHOD_UNARY,
      .open = true,
      .no_side_effects = true,
      .request = &V1(idempotent_unary_request__descriptor),
      .response = &V1(idempotent_unary_response__descriptor),
      .handler = &unary },
    { .path = SERVICE "ServerStream",
      .kind = METHOD_STREAM,
      .open = true,
      .request = &V1(server_stream_request__descriptor),
      .response = &V1(server_stream_response__descriptor),
      .handler = &server_stream },
    { .path = SERVICE "Unimplemented",
      .kind = METHOD_UNARY,
      .open = true,
      .request = &V1(unimplemented_request__descriptor),
      .response = &V1(unimplemented_response__descriptor),
      .handler = &unimplemented },
};

/* What the suite puts into the google.protobuf.Any of its requests. */
static const ProtobufCMessageDescriptor *find_type(void *context, const char *full_name)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &V1(unary_request__descriptor),
        &V1(idempotent_unary_request__descriptor),
        &V1(server_stream_request__descriptor),
        &V1(conformance_payload__request_info__descriptor),
        &V1(header__descriptor),
    };

    (void)context;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i]->name, full_name) == 0) {
            return types[i];
        }
    }
    return NULL;
}

static const struct json_types types = { .find = find_type };

const struct method_table conformance_table = {
    .methods = methods,
    .count = sizeof(methods) / sizeof(methods[0]),
    .types = &types,
    .plain_errors = true,
};
