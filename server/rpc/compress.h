/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Compression of single messages, both ways, as Connect negotiates it: gzip and zstd. What is
 * expanded is bounded by the buffer that it goes to, and what a decoder may remember by a window
 * that is small beside it: a bomb costs its maximum, not its content. Pure, any thread.
 */
#ifndef XENRES_RPC_COMPRESS_H
#define XENRES_RPC_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/error.h"

enum compress_encoding { COMPRESS_IDENTITY, COMPRESS_GZIP, COMPRESS_ZSTD, COMPRESS_COUNT };

enum {
    COMPRESS_MIN_BYTES = 256,     /* below, a message is sent as it is */
    COMPRESS_MAX_BYTES = 1 << 20, /* above too: it would hold up a thread for too long */
    COMPRESS_ZSTD_LEVEL = 1,      /* of zstd, as a rule; its own go from -131072 to 22 */
    COMPRESS_WINDOW_LOG_MAX = 23, /* of zstd: 8 MiB that a decoder may have to remember */
};

/* "gzip, zstd": what the headers that accept encodings say. */
#define COMPRESS_SUPPORTED "gzip, zstd"

const char *compress_name(enum compress_encoding e); /* "gzip" */
/* By a header's value, any case; "identity" is one. False: there is no such. */
bool compress_find(const char *name, enum compress_encoding *out);

/* The best of those that a list accepts ("br;q=1, gzip;q=0.5"); NULL is an empty list. What is
 * malformed accepts nothing. */
enum compress_encoding compress_choose(const char *accept);

/* Appends to `out`, whose maximum bounds it: exactly so many bytes pass.
 * -ERROR_RESOURCE_EXHAUSTED beyond, and beyond zstd's window; -ERROR_INVALID_ARGUMENT for what is
 * not in this encoding, is cut, or has something behind it. Then `out` holds a part. */
int compress_expand(enum compress_encoding e, const void *bytes, size_t len_bytes,
                    struct buffer *out, struct failure *f);

/* Appends to `out`; `zstd_level` is of zstd. False, and `out` as it was: the message is not to be compressed
 * (too small, too large, it would not get smaller), or memory ran out. Send it as it is then. */
bool compress_shrink(enum compress_encoding e, int zstd_level, const void *bytes, size_t len_bytes,
                     struct buffer *out);

#endif
