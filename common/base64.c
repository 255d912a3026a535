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

/* One more than a digit's value, of either alphabet; 0: no digit. */
static const uint8_t digit_numbers[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
    ['-'] = 63, ['_'] = 64,
};

/* 0..63; more where it is no digit. */
static uint32_t digit_value(char c)
{
    return digit_numbers[(uint8_t)c] - 1U;
}

/* Without the padding, which only fills a group up. */
static size_t unpadded_length(const char *text, size_t len)
{
    if (len > 0 && len % 4 == 0) {
        len -= text[len - 1] == '=';
        len -= len % 4 == 3 && text[len - 1] == '=';
    }
    return len;
}

size_t base64_decoded_bytes(const char *text, size_t len)
{
    len = unpadded_length(text, len);
    return len / 4 * 3 + (len % 4 > 0 ? len % 4 - 1 : 0);
}

bool base64_decode_into(uint8_t *out, const char *text, size_t len)
{
    len = unpadded_length(text, len);
    size_t whole = len / 4 * 4;
    uint32_t bits = 0;
    uint32_t wrong = 0;

    for (size_t i = 0; i < whole; i += 4) {
        uint32_t a = digit_value(text[i]);
        uint32_t b = digit_value(text[i + 1]);
        uint32_t c = digit_value(text[i + 2]);
        uint32_t d = digit_value(text[i + 3]);

        wrong |= a | b | c | d;
        bits = a << 18 | b << 12 | c << 6 | d;
        *out++ = (uint8_t)(bits >> 16);
        *out++ = (uint8_t)(bits >> 8);
        *out++ = (uint8_t)bits;
    }
    if (wrong > 63 || len % 4 == 1) {
        return false;
    }
    unsigned count = 0; /* of bits that are not yet written */

    for (size_t i = whole; i < len; i++) {
        uint32_t value = digit_value(text[i]);

        if (value > 63) {
            return false;
        }
        bits = bits << 6 | value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *out++ = (uint8_t)(bits >> count);
        }
    }
    return (bits & ((1U << count) - 1)) == 0;
}

bool base64_decode(struct buffer *out, const char *text, size_t len)
{
    uint8_t *bytes = buffer_extend(out, base64_decoded_bytes(text, len));

    return bytes != NULL && base64_decode_into(bytes, text, len);
}
