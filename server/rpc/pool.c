/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/pool.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Chunks grow with what was taken: a pool of a little, which may live as long as a stream, is small. */
enum { ALIGNMENT = _Alignof(max_align_t), CHUNK_MIN_BYTES = 1024, CHUNK_MAX_BYTES = 8192 };

struct pool_chunk {
    struct pool_chunk *next;
    max_align_t bytes[];
};

void pool_init(struct pool *p, void *first, size_t first_bytes, size_t max_bytes)
{
    *p = (struct pool){
        .at = first,
        .left_bytes = first_bytes / ALIGNMENT * ALIGNMENT,
        .max_bytes = max_bytes,
    };
}

void pool_done(struct pool *p)
{
    while (p->chunks != NULL) {
        struct pool_chunk *next = p->chunks->next;

        free(p->chunks);
        p->chunks = next;
    }
    p->at = NULL;
    p->left_bytes = 0;
}

static size_t chunk_bytes(const struct pool *p, size_t size_bytes)
{
    size_t bytes = p->taken_bytes < CHUNK_MIN_BYTES   ? CHUNK_MIN_BYTES
                   : p->taken_bytes > CHUNK_MAX_BYTES ? CHUNK_MAX_BYTES
                                                      : p->taken_bytes / ALIGNMENT * ALIGNMENT;

    return size_bytes > bytes ? size_bytes : bytes;
}

static bool grow(struct pool *p, size_t size_bytes)
{
    size_t bytes = chunk_bytes(p, size_bytes);

    if (p->failed || bytes > p->max_bytes - p->taken_bytes) {
        return false;
    }
    struct pool_chunk *chunk = malloc(offsetof(struct pool_chunk, bytes) + bytes);

    if (chunk == NULL) {
        return false;
    }
    chunk->next = p->chunks;
    p->chunks = chunk;
    p->at = (unsigned char *)chunk->bytes;
    p->left_bytes = bytes;
    p->taken_bytes += bytes;
    return true;
}

static void *fail(struct pool *p)
{
    p->failed = true;
    return NULL;
}

static size_t round_up(size_t size_bytes)
{
    return (size_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* What is left has room for it: `left_bytes` is a multiple of the alignment. */
static void *take(struct pool *p, size_t size_bytes)
{
    void *memory = p->at;

    p->at += round_up(size_bytes);
    p->left_bytes -= round_up(size_bytes);
    return memory;
}

void *pool_alloc(struct pool *p, size_t size_bytes)
{
    if (size_bytes > SIZE_MAX - ALIGNMENT) {
        return fail(p);
    }
    if (round_up(size_bytes) > p->left_bytes && !grow(p, round_up(size_bytes))) {
        return fail(p);
    }
    return memset(take(p, size_bytes), 0, size_bytes);
}

void *pool_array(struct pool *p, size_t count, size_t size_bytes)
{
    size_t bytes;

    return __builtin_mul_overflow(count, size_bytes, &bytes) ? fail(p) : pool_alloc(p, bytes);
}

static char empty[1];

char *pool_string(struct pool *p, const char *text)
{
    size_t len = strlen(text);
    char *copy = pool_alloc(p, len + 1);

    return copy != NULL ? memcpy(copy, text, len + 1) : empty;
}

char *pool_number(struct pool *p, uint64_t number)
{
    char digits[sizeof("18446744073709551615")];
    char *at = digits + sizeof(digits);

    *--at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return pool_string(p, at);
}

char *pool_printf(struct pool *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = vsnprintf((char *)p->at, p->left_bytes, format, args);
    va_end(args);
    if (len < 0) {
        fail(p);
        return empty;
    }
    if ((size_t)len < p->left_bytes) { /* as a rule: it stands where it will stay */
        return take(p, (size_t)len + 1);
    }
    char *text = pool_alloc(p, (size_t)len + 1);

    if (text == NULL) {
        return empty;
    }
    va_start(args, format);
    (void)vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}
