/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A reply that is a stream of messages: one is made when the one before is with the kernel, so that
 * a slow reader holds one at a time, and nobody else's thread. Whatever goes wrong behind the first
 * byte is told by the message that ends it.
 */
#include <string.h>

#include "server/rpc/envelope.h"
#include "server/rpc/method.h"
#include "server/rpc/state.h"

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
        return;
    }
    envelope_write_head(out->data, ENVELOPE_END_OF_STREAM,
                        (uint32_t)(out->len_bytes - ENVELOPE_HEAD_BYTES));
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
    reply_add_metadata(x);
}

void stream_begin(struct exchange *x)
{
    add_headers(x);
    x->reply.streamed = true;
    pool_init(&x->message_pool, NULL, 0, EXCHANGE_POOL_MAX_BYTES);
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

/* Encodes c->response behind the head of its envelope. */
static int encode(struct exchange *x, struct buffer *out)
{
    const struct rpc_options *options = &x->rpc->options;

    buffer_done(out);
    buffer_init(out, (size_t)options->response_max_bytes + ENVELOPE_HEAD_BYTES);
    if (buffer_extend(out, ENVELOPE_HEAD_BYTES) == NULL) {
        return call_no_memory(&x->failure);
    }
    int result =
        codec_encode(x->connect.codec, x->call.response, options->methods->types, out, &x->failure);

    if (result != 0) {
        return result;
    }
    envelope_write_head(out->data, 0, (uint32_t)(out->len_bytes - ENVELOPE_HEAD_BYTES));
    return 0;
}

static void shrink(struct exchange *x)
{
    struct buffer *out = &x->reply_body;
    struct buffer small;

    buffer_init(&small, out->max_bytes);
    if (buffer_extend(&small, ENVELOPE_HEAD_BYTES) != NULL &&
        compress_shrink(x->connect.answer_encoding, out->data + ENVELOPE_HEAD_BYTES,
                        out->len_bytes - ENVELOPE_HEAD_BYTES, &small)) {
        envelope_write_head(small.data, ENVELOPE_COMPRESSED,
                            (uint32_t)(small.len_bytes - ENVELOPE_HEAD_BYTES));
        buffer_done(out);
        *out = small;
    } else {
        buffer_done(&small);
    }
}

static bool is_late(struct exchange *x)
{
    if (!atomic_load(&x->late)) {
        return false;
    }
    failure_set(&x->failure, ERROR_DEADLINE_EXCEEDED, "the stream's time is over");
    failure_next(&x->failure, 0, "allow more time, or ask for what is missing");
    return true;
}

/* The next message, into `reply_body`. False: there is none yet, and on_ready will be called. */
static bool make_next(struct exchange *x)
{
    struct call *c = &x->call;

    for (;;) {
        wait_look(&c->wait);
        if (is_late(x)) {
            end(x);
            return true;
        }
        pool_done(&x->message_pool);
        pool_init(&x->message_pool, NULL, 0, EXCHANGE_POOL_MAX_BYTES);
        int next = c->method->handler->next(c, &x->message_pool, &x->failure);

        if (next == HANDLER_WAIT) {
            if (wait_begin(&c->wait)) {
                return false;
            }
            continue;
        }
        if (next == HANDLER_MESSAGE && x->message_pool.failed) {
            next = call_no_memory(&x->failure);
        }
        x->sent_bytes = 0;
        if (next == HANDLER_MESSAGE && encode(x, &x->reply_body) == 0) {
            shrink(x);
        } else {
            end(x);
        }
        return true;
    }
}

ssize_t exchange_read(struct exchange *x, void *out, size_t max_bytes)
{
    if (x->sent_bytes == x->reply_body.len_bytes) {
        if (x->ended) {
            return 0;
        }
        if (!make_next(x)) {
            return EXCHANGE_READ_LATER;
        }
    }
    size_t left = x->reply_body.len_bytes - x->sent_bytes;
    size_t taken = left < max_bytes ? left : max_bytes;

    if (taken > 0) {
        memcpy(out, x->reply_body.data + x->sent_bytes, taken);
        x->sent_bytes += taken;
        x->streamed_bytes += taken;
    }
    return (ssize_t)taken;
}
