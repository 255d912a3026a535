/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Between ResourceService.Watch and libxenres, without HTTP: the handler itself at one end, and at the other
 * the four functions that client/follow asks of a stream. Between them a few messages are on their way, which a
 * cut loses. Messages go on when the test says: chain_wire_pump() makes one, a receiver's credit takes one.
 *
 * Takes the place of client/stream, and of what rpc/stream and rpc/dispatch do for a handler.
 */
#ifndef XENRES_TESTS_CHAIN_WIRE_H
#define XENRES_TESTS_CHAIN_WIRE_H

#include "tests/lib/chain_world.h"

#include "auth/seal.h"
#include "client/handle.h"
#include "client/stream.h"
#include "common/scope.h"
#include "server/resource/feeds.h"
#include "server/rpc/call.h"
#include "server/rpc/services.h"
#include "server/rpc/watch_meter.h"
#include "xenres/v1/resource.pb-c.h"

enum {
    WIRE_COUNT = 32,
    WIRE_ON_ITS_WAY = 4,
    WIRE_MESSAGE_MAX_BYTES = 2 << 20,
    WIRE_HEARTBEAT_MS = 700,
};

/* What all of them are of. */
struct chain_gateway {
    struct feeds *feeds;
    struct timers *timers;
    struct seal *seal;
    struct watch_meter meter;
    struct sim_world *world;
    uint64_t messages, bytes;
};
static struct chain_gateway gateway;

/* One who receives, as far as the wire knows: the handle is its first member. */
struct wire_end {
    xenres handle;
    struct wire *wire; /* NULL: none is open */
    uint32_t credit;   /* messages that it takes before it stops to read */
    uint32_t refusals; /* of so many tries to connect */
    bool is_cancelled; /* as its handle is, which costs a system call to look at */
};

struct wire {
    bool is_used, is_cut, is_leaving, is_waiting, is_over;
    struct wire_end *client; /* NULL: it has gone */
    struct call call;
    struct exchange_head head;
    Xenres__V1__WatchRequest *request;
    struct identity who;
    struct pool messages; /* of the one that is made */
    xenres_reply *queue[WIRE_ON_ITS_WAY];
    unsigned queued;
    int result; /* is_over: behind the queue; 0: properly */
    struct failure failure;
};
static struct wire wires[WIRE_COUNT];

/* --- what rpc does for a handler ----------------------------------------------------------------------- */

int call_hold(struct call *c, uint64_t bytes, struct failure *f)
{
    (void)c, (void)bytes, (void)f;
    return 0;
}

unsigned call_variant(const struct call *c)
{
    (void)c;
    return 0;
}

int call_encode(struct call *c, const ProtobufCMessage *message, struct buffer *out,
                struct failure *f)
{
    static const uint8_t head[ENVELOPE_HEAD_BYTES]; /* nobody reads it */
    size_t len_bytes = protobuf_c_message_get_packed_size(message);

    (void)c, (void)f;
    buffer_init(out, WIRE_MESSAGE_MAX_BYTES);
    MUST(buffer_append(out, head, sizeof(head)));
    MUST(protobuf_c_message_pack(message, buffer_extend(out, len_bytes)) == len_bytes);
    return 0;
}

static void wire_wake(void *arg)
{
    struct wire *w = arg;

    w->is_waiting = false;
}

/* --- the gateway's end --------------------------------------------------------------------------------- */

static void wire_stop(struct wire *w)
{
    resource_service_watch.stop(&w->call);
    pool_done(&w->messages);
    pool_done(&w->call.pool);
    xenres__v1__watch_request__free_unpacked(w->request, NULL);
    for (unsigned i = 0; i < w->queued; i++) {
        reply_free_at(&w->queue[i]);
    }
    w->is_used = false;
}

static void wire_enqueue(struct wire *w, const uint8_t *bytes, size_t len_bytes)
{
    struct fault fault = { 0 };
    xenres_reply *reply = reply_new(WIRE_MESSAGE_MAX_BYTES, &fault);

    MUST(reply != NULL && len_bytes > ENVELOPE_HEAD_BYTES && w->queued < WIRE_ON_ITS_WAY);
    MUST(
        buffer_append(&reply->bytes, bytes + ENVELOPE_HEAD_BYTES, len_bytes - ENVELOPE_HEAD_BYTES));
    w->queue[w->queued++] = reply;
    gateway.messages++;
    gateway.bytes += len_bytes;
}

static void wire_say(struct wire *w)
{
    BUFFER_AUTO(bytes, 0);

    MUST(call_encode(&w->call, w->call.response, &bytes, NULL) == 0);
    wire_enqueue(w, bytes.data, bytes.len_bytes);
}

static int wire_ask_handler(struct wire *w, struct failure *f)
{
    struct failure why = { 0 };

    if (!w->is_leaving) {
        return resource_service_watch.next(&w->call, &w->messages, f);
    }
    failure_set(&why, ERROR_UNAVAILABLE, "the gateway is stopping");
    failure_retry(&why, 0, 50);
    int result = resource_service_watch.leave(&w->call, &w->messages, &why);

    *f = why;
    return result == HANDLER_DONE ? -ERROR_UNAVAILABLE : result;
}

/* Makes the next message, if there is room for it on the way. False: there is none. */
static bool wire_pump(struct wire *w)
{
    struct failure f = { 0 };

    if (!w->is_used || w->is_over || w->is_waiting || w->queued == WIRE_ON_ITS_WAY) {
        return false;
    }
    pool_done(&w->messages);
    pool_init(&w->messages, NULL, 0, WIRE_MESSAGE_MAX_BYTES);
    wait_look(&w->call.wait);
    int result = wire_ask_handler(w, &f);

    switch (result) {
    case HANDLER_MESSAGE: wire_say(w); return true;
    case HANDLER_BYTES: wire_enqueue(w, w->call.bytes, w->call.bytes_len); return true;
    case HANDLER_WAIT:
        w->is_waiting = true;
        w->is_waiting = wait_begin(&w->call.wait) && w->is_waiting;
        return !w->is_waiting;
    default:
        MUST(result <= 0);
        w->is_over = true;
        w->result = result;
        w->failure = f;
        return true;
    }
}

/* The gateway stops, for this one. */
static void wire_shut_down(struct wire *w)
{
    w->is_leaving = true;
    w->is_waiting = false;
}

/* --- the client's end ---------------------------------------------------------------------------------- */

static int wire_refuse(struct fault *fault, enum error_code code, const char *text, int http_status)
{
    fault->http_status = http_status;
    return failure_set(&fault->failure, code, "%s", text);
}

static struct wire *wire_take(void)
{
    for (size_t i = 0; i < WIRE_COUNT; i++) {
        if (!wires[i].is_used) {
            wires[i] = (struct wire){ .is_used = true };
            return &wires[i];
        }
    }
    MUST(!"a wire is free");
    return NULL;
}

/* As dispatch: the domain that is named, as it is now, and what the handler makes of the request. */
static int wire_begin(struct wire *w, struct fault *fault)
{
    struct call *c = &w->call;
    const struct sim_world *world = gateway.world;
    char incarnation[33];
    struct failure *f = &fault->failure;

    fault->http_status = 200;
    if (!world->is_there) {
        return failure_set(f, ERROR_NOT_FOUND, "there is no such domain");
    }
    text_from_hex(world->domain.incarnation, sizeof(world->domain.incarnation), incarnation);
    if (w->request->incarnation[0] != '\0' && strcmp(w->request->incarnation, incarnation) != 0) {
        return failure_set(f, ERROR_ABORTED, "the domain is another");
    }
    w->who = (struct identity){ .text = "cn:somebody" };
    *c = (struct call){
        .timers = gateway.timers,
        .feeds = gateway.feeds,
        .watch_meter = &gateway.meter,
        .heartbeat_ns = WIRE_HEARTBEAT_MS * CLOCK_NS_PER_MS,
        .seal = gateway.seal,
        .head = &w->head,
        .who = &w->who,
        .deadline_ns = clock_monotonic_ns() + 3600 * CLOCK_NS_PER_S,
        .request = &w->request->base,
        .identity = world->domain,
        .max_vcpus = 1,
    };
    pool_init(&c->pool, NULL, 0, WIRE_MESSAGE_MAX_BYTES);
    wait_init(&c->wait, wire_wake, w);
    int result = resource_service_watch.prepare(c, f);

    if (result == 0) {
        result = resource_service_watch.start(c, f);
    }
    if (result != 0) {
        pool_done(&c->pool);
    }
    return result;
}

int stream_open(xenres *handle, const struct stream_request *request, xenres_stream **out,
                struct fault *fault)
{
    struct wire_end *client = (struct wire_end *)(void *)handle;

    if (client->refusals > 0) {
        client->refusals--;
        return wire_refuse(fault, ERROR_UNAVAILABLE, "nobody listens", 0);
    }
    struct wire *w = wire_take();

    w->request = xenres__v1__watch_request__unpack(NULL, request->len_bytes, request->message);
    MUST(w->request != NULL);
    int result = wire_begin(w, fault);

    if (result != 0) {
        xenres__v1__watch_request__free_unpacked(w->request, NULL);
        w->is_used = false;
        return result;
    }
    w->client = client;
    client->wire = w;
    *out = (xenres_stream *)(void *)w;
    return 0;
}

static bool wire_is_held(void *arg)
{
    const struct wire *w = arg;
    bool has_more = w->queued > 0 || w->is_over;

    return !w->is_cut && !w->client->is_cancelled && (!has_more || w->client->credit == 0);
}

int stream_next(xenres_stream *stream, xenres_reply **reply, struct fault *fault)
{
    struct wire *w = (struct wire *)(void *)stream;

    lockstep_hold(wire_is_held, w);
    if (w->client->is_cancelled) {
        return cancel_fail(fault);
    }
    if (w->is_cut) {
        fault->is_cut = true;
        return wire_refuse(fault, ERROR_UNAVAILABLE, "the connection was cut", 200);
    }
    w->client->credit -= w->client->credit != UINT32_MAX;
    if (w->queued == 0) {
        fault->failure = w->failure;
        fault->http_status = 200;
        return w->result;
    }
    *reply = w->queue[0];
    w->queued--;
    memmove(w->queue, w->queue + 1, w->queued * sizeof(w->queue[0]));
    return reply_unpack(*reply, &xenres__v1__watch_response__descriptor, fault);
}

void stream_set_idle_timeout(xenres_stream *stream, uint32_t idle_timeout_ms)
{
    (void)stream, (void)idle_timeout_ms;
}

void stream_free(xenres_stream *stream)
{
    struct wire *w = (struct wire *)(void *)stream;

    if (w != NULL) {
        w->client->wire = NULL;
        w->client = NULL; /* the gateway notices when it does */
    }
}

void stream_free_at(xenres_stream **stream)
{
    stream_free(*stream);
}

/* The network's: what is on its way is lost. */
static void wire_cut(struct wire *w)
{
    w->is_cut = true;
}

/* The gateway notices whose clients have gone; `all`: now. */
static void wires_reap(bool all)
{
    for (size_t i = 0; i < WIRE_COUNT; i++) {
        if (wires[i].is_used && wires[i].client == NULL && (all || chance(3) == 0)) {
            wire_stop(&wires[i]);
        }
    }
}

#endif
