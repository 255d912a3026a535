/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Growing byte buffers, each with a maximum that is named when it is made. An append that would
 * cross it fails, and so does every later one (`failed`), so that a writer may append a whole
 * document and look once at the end. What is appended must not lie in the buffer itself, and no
 * pointer into it survives an append. One owner, one thread.
 */
#ifndef XENRES_COMMON_BUFFER_H
#define XENRES_COMMON_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data; /* NULL while nothing was appended */
    size_t len_bytes;
    size_t capacity_bytes;
    size_t max_bytes;
    bool failed; /* an append crossed max_bytes, or memory ran out */
};

/* A local one that is given back when it leaves its scope, on every path: `BUFFER_AUTO(text, 4096);`.
 * Declaring and initialising are one, so that no early return meets one that is not initialised. */
#define BUFFER_AUTO(name, max)                                                                     \
    __attribute__((cleanup(buffer_done))) struct buffer name = { .max_bytes = (max) }

void buffer_init(struct buffer *b, size_t max_bytes);
void buffer_done(struct buffer *b);
/* Empties, keeps memory and maximum, forgets `failed`. */
void buffer_reset(struct buffer *b);

bool buffer_append(struct buffer *b, const void *bytes, size_t len_bytes);
bool buffer_append_string(struct buffer *b, const char *string);
bool buffer_append_byte(struct buffer *b, uint8_t byte);
bool buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for `len_bytes` more at the end, counted in already; NULL when it failed. */
uint8_t *buffer_extend(struct buffer *b, size_t len_bytes);

/* The content with a NUL behind it that is not counted; "" where empty; NULL when failed. */
const char *buffer_string(struct buffer *b);
/* Moves the content out: the caller frees it with free(). NULL when failed or empty. */
uint8_t *buffer_take(struct buffer *b, size_t *len_bytes);

#endif
