/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "proto/json/scalar.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

size_t scalar_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return 8;
    case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    default: return 4;
    }
}

bool scalar_is_default(ProtobufCType type, const void *at)
{
    static const uint8_t zeros[8];

    switch (type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)at;

        return text == NULL || text[0] == '\0';
    }
    case PROTOBUF_C_TYPE_BYTES: return ((const ProtobufCBinaryData *)at)->len == 0;
    default: return memcmp(at, zeros, scalar_size(type)) == 0;
    }
}

/* The fewest digits that read back as the same number. */
static void print_float(struct buffer *out, double value, bool is_single)
{
    char text[40];

    if (isnan(value)) {
        buffer_append_string(out, "\"NaN\"");
        return;
    }
    if (isinf(value)) {
        buffer_append_string(out, value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
        return;
    }
    /* So many digits always come back as they are, but for subnormal numbers. */
    bool is_normal = is_single ? isnormal((float)value) : isnormal(value);
    int digits = !is_normal ? 1 : is_single ? 6 : 15;

    for (; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (is_single ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value) {
            break;
        }
    }
    for (char *p = text; *p != '\0'; p++) {
        if (strchr("+-0123456789eE", *p) == NULL) {
            *p = '.'; /* the locale's decimal point */
        }
    }
    buffer_append_string(out, text);
}

enum { DECIMAL_MAX = 20 }; /* digits of 2^64-1 */

/* Quoted where `is_wide`. Not by printf: numbers are most of what is printed. */
static void print_integer(struct buffer *out, bool is_negative, uint64_t magnitude, bool is_wide)
{
    char text[DECIMAL_MAX + 3]; /* filled from its end: quotes and a sign */
    char *p = text + sizeof(text);

    if (is_wide) {
        *--p = '"';
    }
    do {
        *--p = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude != 0);
    if (is_negative) {
        *--p = '-';
    }
    if (is_wide) {
        *--p = '"';
    }
    buffer_append(out, p, (size_t)(text + sizeof(text) - p));
}

static void print_signed(struct buffer *out, int64_t value, bool is_wide)
{
    print_integer(out, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, is_wide);
}

void scalar_print(struct buffer *out, ProtobufCType type, const void *at)
{
    switch (type) {
    case PROTOBUF_C_TYPE_BOOL:
        buffer_append_string(out, *(const protobuf_c_boolean *)at != 0 ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32: print_integer(out, false, *(const uint32_t *)at, false); break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64: print_integer(out, false, *(const uint64_t *)at, true); break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64: print_signed(out, *(const int64_t *)at, true); break;
    case PROTOBUF_C_TYPE_FLOAT: print_float(out, (double)*(const float *)at, true); break;
    case PROTOBUF_C_TYPE_DOUBLE: print_float(out, *(const double *)at, false); break;
    default: print_signed(out, *(const int32_t *)at, false); break;
    }
}

/* The code point of a character that is known to be valid UTF-8. */
static uint32_t code_point(const unsigned char *bytes, size_t len)
{
    uint32_t value = len == 1 ? bytes[0] : bytes[0] & (0x7fU >> len);

    for (size_t i = 1; i < len; i++) {
        value = value << 6 | (bytes[i] & 0x3fU);
    }
    return value;
}

static void print_escape(struct buffer *out, uint32_t point)
{
    static const char short_forms[] = "\bb\ff\nn\rr\tt";

    for (const char *p = short_forms; *p != '\0'; p += 2) {
        if ((uint32_t)*p == point) {
            buffer_printf(out, "\\%c", p[1]);
            return;
        }
    }
    if (point > 0xffff) {
        buffer_printf(out, "\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10),
                      0xdc00 + ((point - 0x10000) & 0x3ff));
    } else {
        buffer_printf(out, "\\u%04x", point);
    }
}

/* Bytes of the character at `text`, which is valid UTF-8. */
static size_t character_length(const char *text)
{
    unsigned char first = (unsigned char)text[0];

    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The character at `text`, escaped where it has to be; its bytes. */
static size_t print_character(struct buffer *out, const char *text, size_t len)
{
    size_t taken = text_harmless_length(text, len, TEXT_UTF8);

    if (taken == 0) {
        taken = character_length(text);
        print_escape(out, code_point((const unsigned char *)text, taken));
        return taken;
    }
    if (text[0] == '"' || text[0] == '\\') {
        buffer_append_byte(out, '\\');
    }
    buffer_append(out, text, taken);
    return taken;
}

/* Bytes from `text` on that are printed as they are, without a look at what they mean. */
static size_t plain_length(const char *text)
{
    size_t len = 0;

    while (text[len] >= 0x20 && text[len] < 0x7f && text[len] != '"' && text[len] != '\\') {
        len++; /* not beyond the NUL */
    }
    return len;
}

bool scalar_print_string(struct buffer *out, const char *text)
{
    size_t len = strlen(text);

    if (!text_is_utf8(text, len)) {
        return false;
    }
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < len;) {
        size_t taken = plain_length(text + i);

        if (taken == 0) {
            taken = print_character(out, text + i, len - i);
        } else {
            buffer_append(out, text + i, taken);
        }
        i += taken;
    }
    buffer_append_byte(out, '"');
    return true;
}
