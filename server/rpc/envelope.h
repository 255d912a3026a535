/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The five bytes before each message of a Connect stream: flags, and a length, big endian. Pure, any
 * thread. */
#ifndef XENRES_RPC_ENVELOPE_H
#define XENRES_RPC_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum {
    ENVELOPE_HEAD_BYTES = 5,
    ENVELOPE_COMPRESSED = 1,    /* a flag */
    ENVELOPE_END_OF_STREAM = 2, /* a flag */
};

struct envelope {
    uint8_t flags;
    const uint8_t *payload; /* within what was parsed */
    size_t len_bytes;
};

/*
 * Of a request that is a stream of exactly one message, all of which is in `bytes` (but where it is
 * longer than `max_bytes` allows, for which its head is enough). -ERROR_UNIMPLEMENTED for none and
 * for two, as the protocol says; -ERROR_RESOURCE_EXHAUSTED for one of more than `max_bytes`;
 * -ERROR_INVALID_ARGUMENT for one that is cut, or has a flag that no request has.
 */
int envelope_parse_only(const void *bytes, size_t len_bytes, size_t max_bytes, struct envelope *out,
                        struct failure *f);

void envelope_write_head(uint8_t head[ENVELOPE_HEAD_BYTES], uint8_t flags, uint32_t len_bytes);

#endif
