/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "proto/json/scalar.h"

#include <inttypes.h>
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

void scalar_print(struct buffer *out, ProtobufCType type, const void *at)
{
    switch (type) {
    case PROTOBUF_C_TYPE_BOOL:
        buffer_append_string(out, *(const protobuf_c_boolean *)at != 0 ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32: buffer_printf(out, "%" PRIu32, *(const uint32_t *)at); break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        buffer_printf(out, "\"%" PRIu64 "\"", *(const uint64_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        buffer_printf(out, "\"%" PRId64 "\"", *(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_FLOAT: print_float(out, (double)*(const float *)at, true); break;
    case PROTOBUF_C_TYPE_DOUBLE: print_float(out, *(const double *)at, false); break;
    default: buffer_printf(out, "%" PRId32, *(const int32_t *)at); break;
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

bool scalar_print_string(struct buffer *out, const char *text)
{
    size_t len = strlen(text);

    if (!text_is_utf8(text, len)) {
        return false;
    }
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < len;) {
        size_t taken = text_harmless_length(text + i, len - i, TEXT_UTF8);

        if (taken == 0) {
            taken = character_length(text + i);
            print_escape(out, code_point((const unsigned char *)text + i, taken));
        } else {
            if (text[i] == '"' || text[i] == '\\') {
                buffer_append_byte(out, '\\');
            }
            buffer_append(out, text + i, taken);
        }
        i += taken;
    }
    buffer_append_byte(out, '"');
    return true;
}
