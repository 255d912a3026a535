/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/base64.h"

static const char standard_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Up to three bytes as four digits. */
static void encode_group(uint8_t *out, const uint8_t *bytes, size_t count, const char *digits)
{
    uint32_t bits = (uint32_t)bytes[0] << 16;

    bits |= count > 1 ? (uint32_t)bytes[1] << 8 : 0;
    bits |= count > 2 ? (uint32_t)bytes[2] : 0;
    for (unsigned i = 0; i < 4; i++) {
        out[i] = (uint8_t)digits[bits >> (18 - 6 * i) & 63];
    }
}

bool base64_encode(struct buffer *out, const void *bytes, size_t len_bytes, unsigned form)
{
    const char *digits = (form & BASE64_URL) != 0 ? url_digits : standard_digits;
    const uint8_t *in = bytes;
    size_t whole = len_bytes / 3;
    size_t rest = len_bytes % 3;

    if (whole > out->max_bytes / 4) {
        out->failed = true; /* before the product below could wrap */
        return false;
    }
    uint8_t *text = buffer_extend(out, whole * 4);

    if (text == NULL) {
        return false;
    }
    for (size_t i = 0; i < whole; i++) {
        encode_group(text + 4 * i, in + 3 * i, 3, digits);
    }
    if (rest > 0) {
        uint8_t group[4];

        encode_group(group, in + 3 * whole, rest, digits);
        group[3] = '=';
        if (rest == 1) {
            group[2] = '=';
        }
        buffer_append(out, group, (form & BASE64_UNPADDED) != 0 ? rest + 1 : 4);
    }
    return !out->failed;
}

/* 0..63, or -1. */
static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '+' || c == '-') {
        return 62;
    }
    return c == '/' || c == '_' ? 63 : -1;
}

bool base64_decode(struct buffer *out, const char *text, size_t len)
{
    if (len > 0 && len % 4 == 0) { /* padding only fills a group up */
        len -= text[len - 1] == '=';
        len -= len % 4 == 3 && text[len - 1] == '=';
    }
    if (len % 4 == 1) {
        return false;
    }
    uint8_t *bytes = buffer_extend(out, len / 4 * 3 + (len % 4 > 0 ? len % 4 - 1 : 0));
    uint32_t bits = 0;
    unsigned count = 0; /* of bits that are not yet written */

    if (bytes == NULL) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        int value = digit_value(text[i]);

        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *bytes++ = (uint8_t)(bits >> count);
        }
    }
    return (bits & ((1U << count) - 1)) == 0;
}
