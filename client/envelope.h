/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The envelopes of a Connect stream, `flags(1) | length(4, big endian) | payload`, out of bytes that
 * come in any pieces. Bounded: what is announced beyond the maximum is refused before a byte of it
 * is taken, and memory follows what came, not what was announced. Pure.
 */
#ifndef XENRES_CLIENT_ENVELOPE_H
#define XENRES_CLIENT_ENVELOPE_H

#include "client/fault.h"
#include "common/buffer.h"

enum {
    ENVELOPE_HEAD_BYTES = 5,
    ENVELOPE_COMPRESSED = 1, /* flags; no others are known */
    ENVELOPE_END = 2,
    ENVELOPE_END_MAX_BYTES = 64 * 1024, /* of an end message, packed or not */
};

/* The one that is being read. */
struct envelope {
    uint8_t head[ENVELOPE_HEAD_BYTES];
    size_t head_len_bytes;
    size_t wanted_bytes; /* of the payload; known when the head is whole */
    struct buffer payload;
    size_t message_max_bytes;
};

void envelope_init(struct envelope *e, size_t message_max_bytes);
void envelope_done(struct envelope *e);
/* Forgets what was read, for the next one. */
void envelope_reset(struct envelope *e);
/* The same, after the payload of a whole one was moved into *out (not initialised), which gets a
 * message's maximum. */
void envelope_take(struct envelope *e, struct buffer *out);

/* Takes bytes, but none beyond the end of this envelope; *taken_bytes says how many.
 * -ERROR_INTERNAL for flags that nobody knows, -ERROR_RESOURCE_EXHAUSTED beyond a maximum. */
int envelope_feed(struct envelope *e, const void *bytes, size_t len_bytes, size_t *taken_bytes,
                  struct fault *fault);

bool envelope_is_empty(const struct envelope *e); /* not one byte of it came */
bool envelope_is_whole(const struct envelope *e);
bool envelope_has(const struct envelope *e, uint8_t flag);

/* Writes one that is not compressed around a message; false where `out` failed. */
bool envelope_write(struct buffer *out, const void *message, size_t len_bytes);

#endif
