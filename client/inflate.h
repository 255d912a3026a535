/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * gzip → bytes, at most so many as the buffer may hold: what would become more (a bomb) is refused
 * at that limit, with no more memory used than was filled by then. One member, whole, its checksum
 * right, and nothing behind it. Pure, any thread.
 */
#ifndef XENRES_CLIENT_INFLATE_H
#define XENRES_CLIENT_INFLATE_H

#include "client/fault.h"
#include "common/buffer.h"

/* Appends to `out`. No bytes at all are no bytes: Connect never compresses an empty message.
 * -ERROR_RESOURCE_EXHAUSTED beyond the buffer's maximum, -ERROR_INTERNAL for what is no gzip. */
int inflate_gzip(const void *bytes, size_t len_bytes, struct buffer *out, struct fault *fault);

#endif
