/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The message of a request: found, expanded, decoded, each step with its bound. */
#include <string.h>

#include "common/base64.h"
#include "proto/wire/wire.h"
#include "server/rpc/envelope.h"
#include "server/rpc/method.h"
#include "server/rpc/state.h"

/* Where the message is, as it was sent. */
struct piece {
    const uint8_t *bytes;
    size_t len_bytes;
    enum compress_encoding encoding;
};

static int from_envelope(const struct exchange *x, struct piece *out, struct failure *f)
{
    struct envelope envelope;
    int result = envelope_parse_only(x->body.data, x->body.len_bytes,
                                     x->rpc->options.request_max_bytes, &envelope, f);

    if (result != 0) {
        return result;
    }
    bool is_compressed = (envelope.flags & ENVELOPE_COMPRESSED) != 0;

    if (is_compressed && x->connect.encoding == COMPRESS_IDENTITY) {
        result = failure_set(f, ERROR_INTERNAL, "the message is compressed, but nobody said how");
        failure_cause(f, result, "its flags say so, and no header names an encoding");
        return failure_next(f, result, "name the encoding in Connect-Content-Encoding");
    }
    *out = (struct piece){ .bytes = envelope.payload,
                           .len_bytes = envelope.len_bytes,
                           .encoding = is_compressed ? x->connect.encoding : COMPRESS_IDENTITY };
    return 0;
}

/* `room` holds it where it is in base64. */
static int from_query(const struct exchange *x, struct buffer *room, struct piece *out,
                      struct failure *f)
{
    const struct query_parameter *message = x->connect.message;

    *out = (struct piece){ .bytes = (const uint8_t *)message->value,
                           .len_bytes = message->value_len,
                           .encoding = x->connect.encoding };
    if (!x->connect.is_base64) {
        return 0;
    }
    if (!base64_decode(room, message->value, message->value_len)) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "the query's message is not base64");

        return failure_next(f, result, "encode it by RFC 4648, section 5");
    }
    out->bytes = room->data;
    out->len_bytes = room->len_bytes;
    return 0;
}

static int find(const struct exchange *x, struct buffer *room, struct piece *out, struct failure *f)
{
    if (x->connect.is_get) {
        return from_query(x, room, out, f);
    }
    if (x->connect.is_stream) {
        return from_envelope(x, out, f);
    }
    *out = (struct piece){ .bytes = x->body.data,
                           .len_bytes = x->body.len_bytes,
                           .encoding = x->connect.encoding };
    return 0;
}

/* What the codecs do not say, which know no gateway. */
static int decode_failed(int result, struct failure *f)
{
    if (result == -ERROR_RESOURCE_EXHAUSTED) {
        failure_cause(f, result,
                      "the message is larger, or has more in it, than this gateway takes");
        return failure_next(f, result, "send a smaller message");
    }
    failure_cause(f, result, "the message does not fit the API's description of it");
    return failure_next(f, result, "see the description: GET /schema/xenres.v1.binpb, or proto/");
}

int request_decode(struct exchange *x)
{
    const struct rpc_options *options = &x->rpc->options;
    const size_t max_bytes = options->request_max_bytes;
    const struct wire_limits limits = {
        .len_max_bytes = max_bytes,
        .elements_max = EXCHANGE_ELEMENTS_MAX,
        .memory_max_bytes = max_bytes * EXCHANGE_UNPACKED_FACTOR + 65536,
    };
    BUFFER_AUTO(room, QUERY_MAX_BYTES);
    BUFFER_AUTO(expanded, max_bytes);
    struct failure *f = &x->failure;
    struct piece piece = { .bytes = NULL };

    if (x->call.method->kind == METHOD_RAW) {
        return 0;
    }
    int result = find(x, &room, &piece, f);

    /* No bytes are an empty message, whatever they are said to be in. */
    if (result == 0 && piece.encoding != COMPRESS_IDENTITY && piece.len_bytes > 0) {
        result = compress_expand(piece.encoding, piece.bytes, piece.len_bytes, &expanded, f);
        piece.bytes = expanded.data;
        piece.len_bytes = expanded.len_bytes;
    }
    if (result != 0) {
        return result;
    }
    result = codec_decode(x->connect.codec, x->call.method->request, piece.bytes, piece.len_bytes,
                          &limits, options->methods->types, &x->message, f);
    if (result != 0) {
        return decode_failed(result, f);
    }
    x->call.request = x->message;
    buffer_done(&x->body);
    return 0;
}
