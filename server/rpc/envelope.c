/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/envelope.h"

#include <endian.h>
#include <string.h>

static uint32_t length_of(const uint8_t *head)
{
    uint32_t big_endian;

    memcpy(&big_endian, head + 1, sizeof(big_endian));
    return be32toh(big_endian);
}

static int not_one(struct failure *f, const char *how_many)
{
    int result = failure_set(f, ERROR_UNIMPLEMENTED, "the request has %s", how_many);

    failure_cause(f, result, "the method takes one message, and answers with a stream");
    return failure_next(f, result, "send one message");
}

static int malformed(struct failure *f, const char *what)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "the request's message has %s", what);

    return failure_next(f, result, "send one byte of flags, four of length, and the message");
}

int envelope_parse_only(const void *bytes, size_t len_bytes, size_t max_bytes, struct envelope *out,
                        struct failure *f)
{
    const uint8_t *head = bytes;

    if (len_bytes == 0) {
        return not_one(f, "no message");
    }
    if (len_bytes < ENVELOPE_HEAD_BYTES) {
        return malformed(f, "less than the five bytes of its head");
    }
    uint32_t length = length_of(head);

    if ((head[0] & ~ENVELOPE_COMPRESSED) != 0) {
        return malformed(f, "a flag that a request does not have");
    }
    if (length > max_bytes) {
        int result =
            failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                        "the request's message has %u bytes, of %zu at most", length, max_bytes);

        return failure_next(f, result, "send a smaller message");
    }
    if (len_bytes - ENVELOPE_HEAD_BYTES < length) {
        return malformed(f, "fewer bytes than its head says");
    }
    if (len_bytes - ENVELOPE_HEAD_BYTES > length) {
        return not_one(f, "more than one message");
    }
    *out = (struct envelope){ .flags = head[0],
                              .payload = head + ENVELOPE_HEAD_BYTES,
                              .len_bytes = length };
    return 0;
}

void envelope_write_head(uint8_t head[ENVELOPE_HEAD_BYTES], uint8_t flags, uint32_t len_bytes)
{
    uint32_t big_endian = htobe32(len_bytes);

    head[0] = flags;
    memcpy(head + 1, &big_endian, sizeof(big_endian));
}
