/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/envelope.h"

#include <string.h>

void envelope_init(struct envelope *e, size_t message_max_bytes)
{
    *e = (struct envelope){ .message_max_bytes = message_max_bytes };
    /* An end message has a maximum of its own. */
    buffer_init(&e->payload, message_max_bytes > ENVELOPE_END_MAX_BYTES ? message_max_bytes
                                                                        : ENVELOPE_END_MAX_BYTES);
}

void envelope_done(struct envelope *e)
{
    buffer_done(&e->payload);
}

void envelope_reset(struct envelope *e)
{
    e->head_len_bytes = 0;
    e->wanted_bytes = 0;
    buffer_reset(&e->payload);
}

void envelope_take(struct envelope *e, struct buffer *out)
{
    *out = e->payload;
    out->max_bytes = e->message_max_bytes;
    buffer_init(&e->payload, e->payload.max_bytes);
    envelope_reset(e);
}

bool envelope_is_empty(const struct envelope *e)
{
    return e->head_len_bytes == 0;
}

static bool has_head(const struct envelope *e)
{
    return e->head_len_bytes == ENVELOPE_HEAD_BYTES;
}

bool envelope_is_whole(const struct envelope *e)
{
    return has_head(e) && e->payload.len_bytes == e->wanted_bytes;
}

bool envelope_has(const struct envelope *e, uint8_t flag)
{
    return has_head(e) && (e->head[0] & flag) != 0;
}

static int take_head(struct envelope *e, struct fault *fault)
{
    const uint8_t *h = e->head;
    uint32_t len_bytes =
        (uint32_t)h[1] << 24 | (uint32_t)h[2] << 16 | (uint32_t)h[3] << 8 | (uint32_t)h[4];
    size_t max_bytes = (h[0] & ENVELOPE_END) != 0 ? ENVELOPE_END_MAX_BYTES : e->message_max_bytes;

    if ((h[0] & ~(ENVELOPE_COMPRESSED | ENVELOPE_END)) != 0) {
        int result = failure_set(&fault->failure, ERROR_INTERNAL,
                                 "the answer is no stream of messages: flags 0x%02x", h[0]);

        return failure_next(&fault->failure, result,
                            "check that the address is xenresd's own; report it");
    }
    if (len_bytes > max_bytes) {
        int result = failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED,
                                 "a message of the stream has %u bytes, more than %zu", len_bytes,
                                 max_bytes);

        return failure_next(&fault->failure, result, "ask for less, or raise message_max_bytes");
    }
    e->wanted_bytes = len_bytes;
    return 0;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

int envelope_feed(struct envelope *e, const void *bytes, size_t len_bytes, size_t *taken_bytes,
                  struct fault *fault)
{
    const uint8_t *at = bytes;
    size_t taken = 0;

    if (!has_head(e)) {
        taken = smaller(len_bytes, ENVELOPE_HEAD_BYTES - e->head_len_bytes);
        memcpy(e->head + e->head_len_bytes, at, taken);
        e->head_len_bytes += taken;
        int result = has_head(e) ? take_head(e, fault) : 0;

        if (result != 0) {
            return result;
        }
    }
    if (has_head(e)) {
        size_t more = smaller(len_bytes - taken, e->wanted_bytes - e->payload.len_bytes);

        if (!buffer_append(&e->payload, at + taken, more)) {
            return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED,
                               "no memory for an answer");
        }
        taken += more;
    }
    *taken_bytes = taken;
    return 0;
}

bool envelope_write(struct buffer *out, const void *message, size_t len_bytes)
{
    if (len_bytes > UINT32_MAX) {
        return false;
    }
    const uint8_t head[ENVELOPE_HEAD_BYTES] = { 0, (uint8_t)(len_bytes >> 24),
                                                (uint8_t)(len_bytes >> 16),
                                                (uint8_t)(len_bytes >> 8), (uint8_t)len_bytes };

    return buffer_append(out, head, sizeof(head)) && buffer_append(out, message, len_bytes);
}
