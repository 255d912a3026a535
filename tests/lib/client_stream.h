/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Answers that are streams, byte for byte, with whatever is wrong about them. */
#ifndef XENRES_TESTS_CLIENT_STREAM_H
#define XENRES_TESTS_CLIENT_STREAM_H

#include "tests/lib/client_fixture.h"

#include <zlib.h>

#define STREAM_HEAD                                                                                \
    "HTTP/1.1 200 OK\r\nContent-Type: application/connect+proto\r\n"                               \
    "Transfer-Encoding: chunked\r\n"

static inline void stream_chunk(struct buffer *out, const void *bytes, size_t len)
{
    buffer_printf(out, "%zx\r\n", len);
    buffer_append(out, bytes, len);
    buffer_append_string(out, "\r\n");
}

/* An envelope that says `announced` and holds `len` bytes, as a chunk of its own. */
static inline void stream_envelope_of(struct buffer *out, uint8_t flags, uint32_t announced,
                                      const void *payload, size_t len)
{
    BUFFER_AUTO(envelope, 1 << 26);
    const uint8_t head[] = { flags, (uint8_t)(announced >> 24), (uint8_t)(announced >> 16),
                             (uint8_t)(announced >> 8), (uint8_t)announced };

    buffer_append(&envelope, head, sizeof(head));
    buffer_append(&envelope, payload, len);
    stream_chunk(out, envelope.data, envelope.len_bytes);
}

static inline void stream_envelope(struct buffer *out, uint8_t flags, const void *payload,
                                   size_t len)
{
    stream_envelope_of(out, flags, (uint32_t)len, payload, len);
}

static inline void stream_text(struct buffer *out, const char *text)
{
    stream_envelope(out, 0, text, strlen(text));
}

static inline void stream_message(struct buffer *out, const ProtobufCMessage *message)
{
    BUFFER_AUTO(packed, 1 << 26);
    size_t len = protobuf_c_message_get_packed_size(message);

    protobuf_c_message_pack(message, buffer_extend(&packed, len));
    stream_envelope(out, 0, packed.data, len);
}

static inline void stream_end(struct buffer *out, const char *json)
{
    stream_envelope(out, 2, json, strlen(json));
}

static inline void stream_begin(struct buffer *out)
{
    buffer_init(out, 1 << 26);
    buffer_append_string(out, STREAM_HEAD "\r\n");
}

/* The body's own end. */
static inline struct tls_server_step stream_done(struct buffer *out)
{
    stream_chunk(out, "", 0);
    return (struct tls_server_step){ out->data, out->len_bytes, TLS_SERVER_KEEP };
}

static inline struct tls_server_step stream_step(const struct buffer *out,
                                                 enum tls_server_then then)
{
    return (struct tls_server_step){ out->data, out->len_bytes, then };
}

/* gzip's form of some bytes. */
static inline void stream_gzip(struct buffer *out, const void *bytes, size_t len)
{
    z_stream z = { 0 };
    uint8_t piece[16384];

    assert_int_equal(
        deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY),
        Z_OK);
    z.next_in = (z_const Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)len;
    do {
        z.next_out = piece;
        z.avail_out = sizeof(piece);
        (void)deflate(&z, Z_FINISH);
        assert_true(buffer_append(out, piece, sizeof(piece) - z.avail_out));
    } while (z.avail_out == 0);
    deflateEnd(&z);
}

#endif
