/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/inflate.h"

#include <zlib.h>

enum {
    PIECE_BYTES = 32 * 1024,
    INPUT_MAX_BYTES = 1 << 30, /* at once: zlib counts in unsigned */
};

static void end(z_stream *z)
{
    (void)inflateEnd(z);
}

static int no_gzip(struct fault *fault)
{
    int result =
        failure_set(&fault->failure, ERROR_INTERNAL, "the answer is compressed, and not by gzip");

    return failure_next(&fault->failure, result,
                        "check that the address is xenresd's own; report it");
}

int inflate_gzip(const void *bytes, size_t len_bytes, struct buffer *out, struct fault *fault)
{
    uint8_t piece[PIECE_BYTES];
    __attribute__((cleanup(end))) z_stream z = { 0 };
    int status = Z_OK;

    if (len_bytes == 0) {
        return 0;
    }
    if (len_bytes > INPUT_MAX_BYTES) {
        return no_gzip(fault);
    }
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) { /* 16: gzip, and nothing else */
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory for an answer");
    }
    z.next_in = (z_const Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)len_bytes;
    while (status == Z_OK) {
        z.next_out = piece;
        z.avail_out = sizeof(piece);
        status = inflate(&z, Z_NO_FLUSH);
        if (!buffer_append(out, piece, sizeof(piece) - z.avail_out)) {
            int result = failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED,
                                     "the answer has more than %zu bytes when it is unpacked",
                                     out->max_bytes);

            return failure_next(&fault->failure, result,
                                "ask for less, read raw frames, or raise message_max_bytes");
        }
    }
    if (status == Z_MEM_ERROR) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory for an answer");
    }
    return status == Z_STREAM_END && z.avail_in == 0 ? 0 : no_gzip(fault);
}
