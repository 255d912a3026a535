/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Base64 (RFC 4648). Written in one chosen form; read in all four: either alphabet, padded or not.
 * What is neither (a space, a line end, bits left over that are not zero, a length that no bytes
 * have) is refused, so that one value has no two spellings beyond these. Pure, any thread.
 */
#ifndef XENRES_COMMON_BASE64_H
#define XENRES_COMMON_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

enum base64_form {
    BASE64_STANDARD = 0, /* + and /, padded: proto3 JSON */
    BASE64_UNPADDED = 1, /* Connect's header values and error details */
    BASE64_URL = 2,      /* - and _ instead: JWT (with UNPADDED), Connect's GET */
};

/* Appends the text; false where the buffer failed. `form`: bits of enum base64_form. */
bool base64_encode(struct buffer *out, const void *bytes, size_t len_bytes, unsigned form);

/* Appends the bytes; false where the text is not base64 or the buffer failed: then `out` may hold
 * some of them. */
bool base64_decode(struct buffer *out, const char *text, size_t len);
/* The same into memory that has room for base64_decoded_bytes(). */
bool base64_decode_into(uint8_t *out, const char *text, size_t len);
/* Bytes that the text stands for if it is base64; never more than 3/4 of `len`. */
size_t base64_decoded_bytes(const char *text, size_t len);

#endif
