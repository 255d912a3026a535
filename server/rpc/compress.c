/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/compress.h"

#include <assert.h>
#include <string.h>
#include <strings.h>
#define ZLIB_CONST /* what it reads, it does not write */
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    CHUNK_BYTES = 16384,
    GZIP_WINDOW_BITS = 15 + 16, /* + 16: gzip's head and tail */
    GZIP_LEVEL = 1,
    WEIGHT_MAX = 1000, /* of an encoding: q has three digits */
};

static const char *const names[COMPRESS_COUNT] = {
    [COMPRESS_IDENTITY] = "identity",
    [COMPRESS_GZIP] = "gzip",
    [COMPRESS_ZSTD] = "zstd",
};

const char *compress_name(enum compress_encoding e)
{
    return names[e];
}

bool compress_find(const char *name, enum compress_encoding *out)
{
    for (int e = 0; e < COMPRESS_COUNT; e++) {
        if (strcasecmp(names[e], name) == 0) {
            *out = (enum compress_encoding)e;
            return true;
        }
    }
    return false;
}

/* --- negotiation (RFC 9110, sections 12.4.2 and 12.5.3) ----------------------------------------- */

/* ";q=0.5" behind a name, white space aside; -1 where it is malformed. */
static int weight_of(const char *parameters, size_t len)
{
    char text[16];
    size_t kept = 0;

    for (size_t i = 0; i < len; i++) {
        if (parameters[i] != ' ' && parameters[i] != '\t') {
            if (kept == sizeof(text) - 1) {
                return -1;
            }
            text[kept++] = parameters[i];
        }
    }
    text[kept] = '\0';
    if (kept == 0) {
        return WEIGHT_MAX;
    }
    if (strncasecmp(text, ";q=", 3) != 0 || text[3] < '0' || text[3] > '1') {
        return -1;
    }
    int weight = (text[3] - '0') * WEIGHT_MAX;
    const char *digits = text + 4;

    if (digits[0] == '\0') {
        return weight;
    }
    size_t count = strspn(digits + 1, "0123456789");

    if (digits[0] != '.' || count > 3 || digits[1 + count] != '\0') {
        return -1;
    }
    for (size_t i = 0, worth = WEIGHT_MAX / 10; i < count; i++, worth /= 10) {
        weight += (digits[1 + i] - '0') * (int)worth;
    }
    return weight > WEIGHT_MAX ? -1 : weight;
}

enum compress_encoding compress_choose(const char *accept)
{
    enum compress_encoding best = COMPRESS_IDENTITY;
    int best_weight = 0;

    while (accept != NULL && *accept != '\0') {
        accept += strspn(accept, " \t,");
        size_t len = strcspn(accept, ",");
        size_t name_len = strcspn(accept, ",; \t");
        int weight = weight_of(accept + name_len, len - name_len);

        /* Of equals zstd, which is the last: less time, and less left. */
        for (int e = COMPRESS_GZIP; e < COMPRESS_COUNT; e++) {
            if (strlen(names[e]) == name_len && strncasecmp(names[e], accept, name_len) == 0 &&
                weight > 0 && (weight > best_weight || (weight == best_weight && e > (int)best))) {
                best = (enum compress_encoding)e;
                best_weight = weight;
            }
        }
        accept += len;
    }
    return best;
}

/* --- expanding ---------------------------------------------------------------------------------- */

static int too_large(const struct buffer *out, struct failure *f)
{
    int result =
        failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                    "the message has more than %zu bytes when it is expanded", out->max_bytes);

    failure_cause(f, result, "it is larger than this gateway takes, or memory ran out");
    return failure_next(f, result, "send a smaller message");
}

static int not_in(enum compress_encoding e, struct failure *f)
{
    int result =
        failure_set(f, ERROR_INVALID_ARGUMENT, "the message is not in %s, or not whole", names[e]);

    return failure_next(f, result, "send one whole %s stream, and nothing behind it", names[e]);
}

static int no_memory(struct failure *f)
{
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory to expand the message");

    return failure_next(f, result, "try again in a moment");
}

/* Also of a frame whose window is all of its content, which is larger. */
static int window_too_large(struct failure *f)
{
    int result =
        failure_set(f, ERROR_RESOURCE_EXHAUSTED, "the message's zstd window has more than %d MiB",
                    1 << (COMPRESS_WINDOW_LOG_MAX - 20));

    return failure_next(f, result, "compress it at a lower level, or send a smaller message");
}

static int zstd_failed(size_t said, struct failure *f)
{
    switch (ZSTD_getErrorCode(said)) {
    case ZSTD_error_memory_allocation: return no_memory(f);
    case ZSTD_error_frameParameter_windowTooLarge: return window_too_large(f);
    default: return not_in(COMPRESS_ZSTD, f);
    }
}

/* Whatever it is that `z` was begun with. */
static int inflate_all(z_stream *z, struct buffer *out, struct failure *f)
{
    uint8_t chunk[CHUNK_BYTES];
    int said = Z_OK;

    while (said == Z_OK) {
        z->next_out = chunk;
        z->avail_out = sizeof(chunk);
        said = inflate(z, Z_NO_FLUSH);
        if (said == Z_MEM_ERROR) {
            return no_memory(f);
        }
        if (said != Z_OK && said != Z_STREAM_END) { /* Z_BUF_ERROR: it is cut */
            return not_in(COMPRESS_GZIP, f);
        }
        if (!buffer_append(out, chunk, sizeof(chunk) - z->avail_out)) {
            return too_large(out, f);
        }
    }
    return z->avail_in == 0 ? 0 : not_in(COMPRESS_GZIP, f);
}

static int expand_gzip(const void *bytes, size_t len_bytes, struct buffer *out, struct failure *f)
{
    z_stream z = { .next_in = bytes, .avail_in = (uInt)len_bytes };

    if (inflateInit2(&z, GZIP_WINDOW_BITS) != Z_OK) {
        return no_memory(f);
    }
    int result = inflate_all(&z, out, f);

    (void)inflateEnd(&z);
    return result;
}

static int decompress_all(ZSTD_DCtx *context, ZSTD_inBuffer *in, struct buffer *out,
                          struct failure *f)
{
    uint8_t chunk[CHUNK_BYTES];
    size_t left;

    do {
        ZSTD_outBuffer piece = { .dst = chunk, .size = sizeof(chunk) };
        size_t before = in->pos;

        left = ZSTD_decompressStream(context, &piece, in);
        if (ZSTD_isError(left)) {
            return zstd_failed(left, f);
        }
        if (!buffer_append(out, chunk, piece.pos)) {
            return too_large(out, f);
        }
        if (left > 0 && piece.pos == 0 && in->pos == before) {
            return not_in(COMPRESS_ZSTD, f); /* it is cut */
        }
    } while (left > 0);
    return in->pos == in->size ? 0 : not_in(COMPRESS_ZSTD, f);
}

static int expand_zstd(const void *bytes, size_t len_bytes, struct buffer *out, struct failure *f)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_inBuffer in = { .src = bytes, .size = len_bytes };

    if (context == NULL) {
        return no_memory(f);
    }
    (void)ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, COMPRESS_WINDOW_LOG_MAX);
    int result = decompress_all(context, &in, out, f);

    (void)ZSTD_freeDCtx(context);
    return result;
}

int compress_expand(enum compress_encoding e, const void *bytes, size_t len_bytes,
                    struct buffer *out, struct failure *f)
{
    assert(len_bytes <= UINT32_MAX);
    switch (e) {
    case COMPRESS_GZIP: return expand_gzip(bytes, len_bytes, out, f);
    case COMPRESS_ZSTD: return expand_zstd(bytes, len_bytes, out, f);
    default: return buffer_append(out, bytes, len_bytes) ? 0 : too_large(out, f);
    }
}

/* --- shrinking ---------------------------------------------------------------------------------- */

/* Bytes written to `room`, 0 where they are more than it holds, or memory ran out. */
static size_t shrink_gzip(const void *bytes, size_t len_bytes, uint8_t *room, size_t room_bytes)
{
    z_stream z = { .next_in = bytes,
                   .avail_in = (uInt)len_bytes,
                   .next_out = room,
                   .avail_out = (uInt)room_bytes };

    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, MAX_MEM_LEVEL - 1,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return 0;
    }
    bool whole = deflate(&z, Z_FINISH) == Z_STREAM_END;

    (void)deflateEnd(&z);
    return whole ? room_bytes - z.avail_out : 0;
}

static size_t shrink_zstd(int level, const void *bytes, size_t len_bytes, uint8_t *room,
                          size_t room_bytes)
{
    size_t written = ZSTD_compress(room, room_bytes, bytes, len_bytes, level);

    return ZSTD_isError(written) ? 0 : written;
}

bool compress_shrink(enum compress_encoding e, int zstd_level, const void *bytes, size_t len_bytes,
                     struct buffer *out)
{
    if (e == COMPRESS_IDENTITY || len_bytes < COMPRESS_MIN_BYTES ||
        len_bytes > COMPRESS_MAX_BYTES || len_bytes - 1 > out->max_bytes - out->len_bytes) {
        return false;
    }
    size_t start = out->len_bytes;
    size_t room_bytes = len_bytes - 1; /* not smaller is not wanted */
    uint8_t *room = buffer_extend(out, room_bytes);

    if (room == NULL) {
        out->failed = false; /* nothing of it was appended */
        return false;
    }
    size_t written = e == COMPRESS_GZIP
                         ? shrink_gzip(bytes, len_bytes, room, room_bytes)
                         : shrink_zstd(zstd_level, bytes, len_bytes, room, room_bytes);

    out->len_bytes = start + written;
    return written > 0;
}
