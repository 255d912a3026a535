/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A reply that is a stream of messages: one is made when the one before is with the kernel, so that
 * a slow reader holds one at a time, and nobody else's thread. Whatever goes wrong behind the first
 * byte is told by the message that ends it.
 */
#include <assert.h>
#include <string.h>

#include "server/rpc/admission.h"
#include "server/rpc/audited.h"
#include "common/clock.h"
#include "server/rpc/envelope.h"
#include "server/rpc/method.h"
#include "server/rpc/renewal.h"
#include "server/rpc/state.h"

enum { STOPPING_RETRY_MS = 1000 };

/* --- its head and its end ----------------------------------------------------------------------- */

/* False: it does not fit, or memory ran out. */
static bool append_end(struct exchange *x)
{
    const struct failure *f = x->failure.code != 0 ? &x->failure : NULL;

    return buffer_extend(&x->reply_body, ENVELOPE_HEAD_BYTES) != NULL &&
           connect_end(f, reply_details(x), &x->call.trailers, &x->reply_body) &&
           !x->reply_body.failed;
}

static void fill_end(struct exchange *x)
{
    struct buffer *out = &x->reply_body;

    buffer_done(out);
    buffer_init(out, ENVELOPE_HEAD_BYTES + CONNECT_ERROR_MAX_BYTES);
    x->sent_bytes = 0;
    x->ended = true;
    if (!append_end(x)) {
        buffer_reset(out);
        (void)buffer_extend(out, ENVELOPE_HEAD_BYTES);
        (void)buffer_printf(out, "{\"error\":%s}", reply_last_resort);
    }
    if (out->failed) { /* no end at all: the client sees that it is missing */
        buffer_done(out);
    } else {
        envelope_write_head(out->data, ENVELOPE_END_OF_STREAM,
                            (uint32_t)(out->len_bytes - ENVELOPE_HEAD_BYTES));
    }
    x->sending = out->data;
    x->sending_bytes = out->len_bytes;
}

static void add_headers(struct exchange *x)
{
    x->reply.status = 200;
    reply_add_header(x, "Content-Type", codec_content_type(x->connect.codec, true));
    reply_add_header(x, "Cache-Control", "no-store");
    reply_add_header(x, "Connect-Accept-Encoding", COMPRESS_SUPPORTED);
    if (x->connect.answer_encoding != COMPRESS_IDENTITY) {
        reply_add_header(x, "Connect-Content-Encoding", compress_name(x->connect.answer_encoding));
    }
    reply_add_cors(x);
    reply_add_challenge(x);
    reply_add_metadata(x);
}

void stream_begin(struct exchange *x)
{
    add_headers(x);
    x->reply.streamed = true;
    pool_init(&x->message_pool, NULL, 0, EXCHANGE_POOL_MAX_BYTES);
    if (x->call.method->handler->leave != NULL) {
        streams_add(&x->rpc->streams, &x->entry, &x->call, admission_end_s(x));
    }
}

void stream_refuse(struct exchange *x)
{
    add_headers(x);
    fill_end(x);
    x->reply.body = x->reply_body.data;
    x->reply.body_len_bytes = x->reply_body.len_bytes;
}

static void end(struct exchange *x)
{
    dispatch_done(x);
    pool_done(&x->message_pool);
    fill_end(x);
}

/* --- its messages ------------------------------------------------------------------------------- */

_Static_assert(CALL_VARIANTS == CODEC_COUNT * COMPRESS_COUNT, "each codec in each encoding");

unsigned call_variant(const struct call *c)
{
    const struct exchange *x = (const void *)exchange_of((struct call *)(uintptr_t)c);

    return (unsigned)x->connect.codec * COMPRESS_COUNT + (unsigned)x->connect.answer_encoding;
}

static void shrink(const struct exchange *x, struct buffer *out)
{
    struct buffer small;

    buffer_init(&small, out->max_bytes);
    if (buffer_extend(&small, ENVELOPE_HEAD_BYTES) != NULL &&
        compress_shrink(x->connect.answer_encoding, x->rpc->options.zstd_level,
                        out->data + ENVELOPE_HEAD_BYTES, out->len_bytes - ENVELOPE_HEAD_BYTES,
                        &small)) {
        envelope_write_head(small.data, ENVELOPE_COMPRESSED,
                            (uint32_t)(small.len_bytes - ENVELOPE_HEAD_BYTES));
        buffer_done(out);
        *out = small;
    } else {
        buffer_done(&small);
    }
}

int call_encode(struct call *c, const ProtobufCMessage *message, struct buffer *out,
                struct failure *f)
{
    const struct exchange *x = exchange_of(c);
    const struct rpc_options *options = &x->rpc->options;

    buffer_init(out, (size_t)options->response_max_bytes + ENVELOPE_HEAD_BYTES);
    if (buffer_extend(out, ENVELOPE_HEAD_BYTES) == NULL) {
        return call_no_memory(f);
    }
    int result = codec_encode(x->connect.codec, message, options->methods->types, out, f);

    if (result != 0) {
        return result;
    }
    envelope_write_head(out->data, 0, (uint32_t)(out->len_bytes - ENVELOPE_HEAD_BYTES));
    shrink(x, out);
    return 0;
}

/* --- why it ends from outside ------------------------------------------------------------------- */

static bool is_late(struct exchange *x)
{
    if (!atomic_load(&x->late)) {
        return false;
    }
    failure_set(&x->failure, ERROR_DEADLINE_EXCEEDED, "the stream's time is over");
    failure_next(&x->failure, 0, "allow more time, or ask for what is missing");
    return true;
}

static bool is_stopping(struct exchange *x)
{
    if (!atomic_load(&x->rpc->draining)) {
        return false;
    }
    failure_set(&x->failure, ERROR_UNAVAILABLE, "the gateway stops");
    failure_cause(&x->failure, 0, "it was told to, as a rule to start again");
    failure_retry(&x->failure, 0, STOPPING_RETRY_MS);
    failure_next(&x->failure, 0, "watch again, from the last cursor");
    return true;
}

/* Nothing is to be let out that cannot be written down. */
static bool is_unaudited(struct exchange *x)
{
    return audited_check(x) != 0;
}

static bool is_forbidden(struct exchange *x)
{
    struct call *c = &x->call;

    if (atomic_load(&x->rpc->rules_number) == x->rules_number) {
        return false;
    }
    if (dispatch_judge(x) != 0) {
        return true;
    }
    if (c->method->handler->policy_changed != NULL) {
        c->method->handler->policy_changed(c);
    }
    return false;
}

/* True: `x->failure` says why. One that ends by itself is bound by its deadline alone. While the domain
 * is being resolved anew the policy has to wait for it. */
static bool has_to_leave(struct exchange *x)
{
    return x->leaving || is_late(x) ||
           (x->call.method->handler->leave != NULL && (is_stopping(x) || is_unaudited(x))) ||
           admission_is_over(x) || (x->renewal == NULL && is_forbidden(x));
}

/* --- how fast it may be ------------------------------------------------------------------------- */

static void on_time(void *arg)
{
    struct exchange *x = arg;

    call_wake(&x->call);
}

/* A message more is, or will be, on its way. One at least goes with each heartbeat: it lives. */
static void charge(struct exchange *x)
{
    uint64_t most_ns = x->rpc->options.heartbeat_ms * CLOCK_NS_PER_MS;
    uint64_t wait_ns = quota_sent(x->rpc->options.quota, x->call.who, x->sending_bytes);

    if (wait_ns == 0) {
        x->slowed_until_ns = 0;
        return;
    }
    quota_slowed(x->rpc->options.quota);
    x->slowed_until_ns = clock_monotonic_ns() + (wait_ns < most_ns ? wait_ns : most_ns);
    timer_cancel(x->rpc->timers, &x->slow_timer);
    timer_arm(x->rpc->timers, &x->slow_timer, x->slowed_until_ns, on_time, x);
}

/* Its caller has used up what he may be sent a second. What comes meanwhile waits in the spool, or is
 * declared lost there as to any reader who is too slow. */
static bool is_slowed(const struct exchange *x)
{
    return x->slowed_until_ns > 0 && clock_monotonic_ns() < x->slowed_until_ns;
}

/* --- one after the other ------------------------------------------------------------------------ */

static int ask_next(struct exchange *x)
{
    struct call *c = &x->call;
    int next = x->renewal != NULL ? renewal_step(x) : HANDLER_DONE;

    if (next == HANDLER_DONE) {
        next = c->method->handler->next(c, &x->message_pool, &x->failure);
    }
    return next < 0 && renewal_begin(x) ? HANDLER_WAIT : next;
}

/* What the handler says next: an enum handler_next, or a failure. */
static int ask_handler(struct exchange *x)
{
    struct call *c = &x->call;
    const struct handler *handler = c->method->handler;

    x->leaving = has_to_leave(x);
    pool_done(&x->message_pool);
    pool_init(&x->message_pool, NULL, 0, EXCHANGE_POOL_MAX_BYTES);
    if (!x->leaving) {
        return is_slowed(x) ? HANDLER_WAIT : ask_next(x);
    }
    int next =
        handler->leave != NULL ? handler->leave(c, &x->message_pool, &x->failure) : HANDLER_DONE;

    assert(next != HANDLER_WAIT);
    return next;
}

/* Makes what the handler has said what is sent. False: that was its end. */
static bool take_message(struct exchange *x, int next)
{
    struct call *c = &x->call;

    x->messages += next == HANDLER_BYTES || next == HANDLER_MESSAGE;
    if (next == HANDLER_BYTES) {
        x->sending = c->bytes;
        x->sending_bytes = c->bytes_len;
        return true;
    }
    if (next != HANDLER_MESSAGE) {
        return false;
    }
    buffer_done(&x->reply_body);
    /* A stream that leaves has its failure already. */
    struct failure *f = x->leaving ? NULL : &x->failure;

    if (x->message_pool.failed) {
        (void)call_no_memory(f);
        return false;
    }
    if (call_encode(c, c->response, &x->reply_body, f) != 0) {
        return false;
    }
    x->sending = x->reply_body.data;
    x->sending_bytes = x->reply_body.len_bytes;
    return true;
}

/* A stream may wait for long. Before it says so: then it is another thread's. */
static void hold_nothing(struct exchange *x)
{
    pool_done(&x->message_pool);
    buffer_done(&x->reply_body);
    x->sending = NULL;
    x->sending_bytes = x->sent_bytes = 0;
}

/* The next message. False: there is none yet, and on_ready will be called. */
static bool make_next(struct exchange *x)
{
    struct call *c = &x->call;

    wait_look(&x->full);
    for (;;) {
        wait_look(&c->wait);
        int next = ask_handler(x);

        if (next == HANDLER_WAIT) {
            hold_nothing(x);
            if (wait_begin(&c->wait)) {
                return false;
            }
            continue;
        }
        x->sent_bytes = 0;
        if (!take_message(x, next)) {
            end(x);
        } else {
            charge(x);
        }
        return true;
    }
}

ssize_t exchange_read(struct exchange *x, void *out, size_t max_bytes)
{
    if (x->sent_bytes == x->sending_bytes) {
        if (x->ended) {
            return 0;
        }
        if (!make_next(x)) {
            return EXCHANGE_READ_LATER;
        }
    }
    size_t left = x->sending_bytes - x->sent_bytes;
    size_t taken = left < max_bytes ? left : max_bytes;

    if (taken > 0) {
        memcpy(out, x->sending + x->sent_bytes, taken);
        x->sent_bytes += taken;
        x->streamed_bytes += taken;
    }
    return (ssize_t)taken;
}

/* Its reader is waited for, but for no longer than it may go on: what ends it wakes it then too. */
bool exchange_is_patient(struct exchange *x)
{
    if (x->ended || x->call.method->handler->leave == NULL || x->call.pins) {
        return false;
    }
    do {
        wait_look(&x->full);
        x->leaving = has_to_leave(x);
    } while (!x->leaving && !wait_begin(&x->full));
    return !x->leaving;
}

/* A call that waits to be answered may be gone when call_wake() returns: so that comes last. A stream that
 * waits for its reader is not: whoever calls this for one sees to it. */
void exchange_urge(struct call *c)
{
    wait_wake(&exchange_of(c)->full);
    call_wake(c);
}
