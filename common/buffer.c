/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Invariant: data is NULL, or capacity_bytes > len_bytes, so that the NUL of buffer_string() always
 * has a place; len_bytes <= max_bytes. */
#include "common/buffer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY_BYTES = 256 };

void buffer_init(struct buffer *b, size_t max_bytes)
{
    assert(max_bytes < SIZE_MAX / 2); /* so that no sum here can wrap */
    *b = (struct buffer){ .max_bytes = max_bytes };
}

void buffer_done(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){ .max_bytes = b->max_bytes };
}

void buffer_reset(struct buffer *b)
{
    b->len_bytes = 0;
    b->failed = false;
}

static bool fail(struct buffer *b)
{
    b->failed = true;
    return false;
}

/* Room for `more` bytes and a NUL behind the content. */
static bool reserve(struct buffer *b, size_t more)
{
    if (b->failed) {
        return false;
    }
    if (more > b->max_bytes - b->len_bytes) {
        return fail(b);
    }
    size_t needed = b->len_bytes + more + 1;

    if (needed <= b->capacity_bytes) {
        return true;
    }
    size_t capacity = b->capacity_bytes > 0 ? b->capacity_bytes : FIRST_CAPACITY_BYTES;

    while (capacity < needed) {
        capacity *= 2;
    }
    if (capacity > b->max_bytes + 1) {
        capacity = b->max_bytes + 1;
    }
    uint8_t *data = realloc(b->data, capacity);

    if (data == NULL) {
        return fail(b);
    }
    b->data = data;
    b->capacity_bytes = capacity;
    return true;
}

uint8_t *buffer_extend(struct buffer *b, size_t len_bytes)
{
    if (!reserve(b, len_bytes)) {
        return NULL;
    }
    uint8_t *room = b->data + b->len_bytes;

    b->len_bytes += len_bytes;
    return room;
}

bool buffer_append(struct buffer *b, const void *bytes, size_t len_bytes)
{
    uint8_t *room = buffer_extend(b, len_bytes);

    if (room == NULL) {
        return false;
    }
    if (len_bytes > 0) { /* `bytes` may be NULL otherwise */
        memcpy(room, bytes, len_bytes);
    }
    return true;
}

bool buffer_append_string(struct buffer *b, const char *string)
{
    return buffer_append(b, string, strlen(string));
}

bool buffer_append_byte(struct buffer *b, uint8_t byte)
{
    return buffer_append(b, &byte, 1);
}

bool buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_list again;

    if (!reserve(b, 0)) {
        return false;
    }
    va_start(args, format);
    va_copy(again, args);
    size_t room = b->capacity_bytes - b->len_bytes;
    int len = vsnprintf((char *)b->data + b->len_bytes, room, format, args);
    bool ok = len >= 0 && reserve(b, (size_t)len);

    if (ok && (size_t)len >= room) {
        room = b->capacity_bytes - b->len_bytes;
        ok = vsnprintf((char *)b->data + b->len_bytes, room, format, again) == len;
    }
    va_end(again);
    va_end(args);
    if (!ok) {
        return fail(b);
    }
    b->len_bytes += (size_t)len;
    return true;
}

const char *buffer_string(struct buffer *b)
{
    if (b->failed) {
        return NULL;
    }
    if (b->data == NULL) {
        return "";
    }
    b->data[b->len_bytes] = 0;
    return (const char *)b->data;
}

uint8_t *buffer_take(struct buffer *b, size_t *len_bytes)
{
    if (b->failed || b->len_bytes == 0) {
        return NULL;
    }
    uint8_t *data = b->data;

    *len_bytes = b->len_bytes;
    *b = (struct buffer){ .max_bytes = b->max_bytes };
    return data;
}
