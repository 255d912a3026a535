/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Values that have no others in them. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "proto/json/number.h"
#include "proto/json/parser.h"

bool parser_takes_null(const ProtobufCFieldDescriptor *field)
{
    return wellknown_is_null_value(field) || (field->type == PROTOBUF_C_TYPE_MESSAGE &&
                                              wellknown_of(field->descriptor) == WELLKNOWN_VALUE);
}

int parser_copy_string(struct parser *p, struct lexer_span text, char **out)
{
    char *copy = budget_alloc(&p->budget, text.len + 1);

    if (copy == NULL) {
        return parser_refuse_memory(p);
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    *out = copy;
    return 0;
}

static int parse_string(struct parser *p, char **out)
{
    struct lexer_span text;

    return lexer_string(&p->lexer, &text) ? parser_copy_string(p, text, out)
                                          : parser_refuse_text(p);
}

static int parse_bytes(struct parser *p, ProtobufCBinaryData *out)
{
    struct lexer_span text;

    if (!lexer_string(&p->lexer, &text)) {
        return parser_refuse_text(p);
    }
    size_t len = base64_decoded_bytes(text.at, text.len);
    uint8_t *data = len > 0 ? budget_alloc(&p->budget, len) : NULL;

    if (len > 0 && data == NULL) {
        return parser_refuse_memory(p);
    }
    if (!base64_decode_into(data, text.at, text.len)) {
        free(data);
        return parser_refuse(p, ERROR_INVALID_ARGUMENT, "not base64");
    }
    *out = (ProtobufCBinaryData){ .len = len, .data = data };
    return 0;
}

/* The number in a text of a number, or in a string that has nothing else. */
static int take_number(struct parser *p, struct lexer_span *text, bool *is_quoted)
{
    *is_quoted = lexer_peek(&p->lexer) == '"';
    if (!(*is_quoted ? lexer_string(&p->lexer, text) : lexer_number(&p->lexer, text))) {
        return parser_refuse_text(p);
    }
    return 0;
}

static bool is_number(struct lexer_span text)
{
    return text.len > 0 && lexer_number_length(text.at, text.at + text.len) == text.len;
}

struct range {
    uint64_t min_magnitude; /* of the least number, which is 0 or negative */
    uint64_t max;
};

static struct range range_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32: return (struct range){ 0, UINT32_MAX };
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64: return (struct range){ 0, UINT64_MAX };
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return (struct range){ (uint64_t)INT64_MAX + 1, (uint64_t)INT64_MAX };
    default: return (struct range){ (uint64_t)INT32_MAX + 1, INT32_MAX };
    }
}

/* `text` into an integer of this type. */
static int store_integer(struct parser *p, ProtobufCType type, struct lexer_span text,
                         bool is_quoted, void *at)
{
    struct number_integer value = { 0 };
    struct range range = range_of(type);
    const char *wrong =
        is_number(text) ? number_to_integer(text, &value) : "the string is not a number";

    if (wrong == NULL && value.magnitude > (value.is_negative ? range.min_magnitude : range.max)) {
        wrong = "not in the range of its type";
    }
    if (wrong != NULL) {
        return parser_refuse(p, ERROR_INVALID_ARGUMENT, "%s", wrong);
    }
    if (!is_quoted && value.magnitude > INT64_MAX && !value.is_negative) {
        int result = parser_refuse(p, ERROR_INVALID_ARGUMENT,
                                   "an integer beyond 9223372036854775807 that is no string");

        return failure_next(p->f, result, "send it as a string, \"%" PRIu64 "\"", value.magnitude);
    }
    uint64_t bits = value.is_negative ? 0 - value.magnitude : value.magnitude;
    uint32_t low = (uint32_t)bits;

    if (range.max > UINT32_MAX) {
        memcpy(at, &bits, sizeof(bits));
    } else {
        memcpy(at, &low, sizeof(low));
    }
    return 0;
}

static int parse_integer(struct parser *p, ProtobufCType type, void *at)
{
    struct lexer_span text;
    bool is_quoted;
    int result = take_number(p, &text, &is_quoted);

    return result != 0 ? result : store_integer(p, type, text, is_quoted, at);
}

static bool read_special(struct lexer_span text, double *out)
{
    static const struct {
        const char *text;
        double value;
    } specials[] = { { "NaN", NAN }, { "Infinity", INFINITY }, { "-Infinity", -INFINITY } };

    for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
        if (lexer_span_is(text, specials[i].text)) {
            *out = specials[i].value;
            return true;
        }
    }
    return false;
}

static int parse_real(struct parser *p, ProtobufCType type, void *at)
{
    struct lexer_span text;
    bool is_quoted;
    double value;
    const char *wrong;
    int result = take_number(p, &text, &is_quoted);

    if (result != 0) {
        return result;
    }
    if (is_quoted && read_special(text, &value)) {
        if (type == PROTOBUF_C_TYPE_FLOAT) {
            *(float *)at = (float)value;
        } else {
            *(double *)at = value;
        }
        return 0;
    }
    if (!is_number(text)) {
        wrong = "the string is not a number";
    } else {
        wrong =
            type == PROTOBUF_C_TYPE_FLOAT ? number_to_float(text, at) : number_to_double(text, at);
    }
    return wrong == NULL ? 0 : parser_refuse(p, ERROR_INVALID_ARGUMENT, "%s", wrong);
}

static int parse_bool(struct parser *p, protobuf_c_boolean *out)
{
    char first = lexer_peek(&p->lexer);

    if (first != 't' && first != 'f') {
        (void)lexer_fail(&p->lexer, "true or false is expected here");
    }
    if (!lexer_literal(&p->lexer, first == 't' ? "true" : "false")) {
        return parser_refuse_text(p);
    }
    *out = first == 't';
    return 0;
}

static const ProtobufCEnumValue *find_enum_value(const ProtobufCEnumDescriptor *type,
                                                 struct lexer_span name)
{
    unsigned low = 0;
    unsigned high = type->n_value_names; /* sorted */

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        const ProtobufCEnumValueIndex *candidate = &type->values_by_name[middle];
        int order = strncmp(candidate->name, name.at, name.len);

        if (order == 0 && candidate->name[name.len] == '\0') {
            return &type->values[candidate->index];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static int parse_enum(struct parser *p, const ProtobufCFieldDescriptor *field, int32_t *out)
{
    const ProtobufCEnumDescriptor *type = field->descriptor;
    struct lexer_span name;

    if (lexer_peek(&p->lexer) != '"') {
        return parse_integer(p, PROTOBUF_C_TYPE_INT32, out);
    }
    if (!lexer_string(&p->lexer, &name)) {
        return parser_refuse_text(p);
    }
    const ProtobufCEnumValue *value = find_enum_value(type, name);

    if (value == NULL) {
        return parser_refuse(p, ERROR_INVALID_ARGUMENT, "%s has no value \"%.*s\"", type->name,
                             (int)(name.len < 64 ? name.len : 64), name.at);
    }
    *out = value->value;
    return 0;
}

/* Its only value is 0, and prints as null, whatever number a peer may have sent. */
static int parse_null(struct parser *p, const ProtobufCFieldDescriptor *field, int32_t *out)
{
    int32_t value = 0;
    int result = 0;

    if (lexer_peek(&p->lexer) != 'n') {
        result = parse_enum(p, field, &value);
    } else if (!lexer_literal(&p->lexer, "null")) {
        result = parser_refuse_text(p);
    }
    if (result == 0 && value != 0) {
        result = parser_refuse(p, ERROR_INVALID_ARGUMENT, "null is its only value");
    }
    *out = result == 0 ? 0 : *out;
    return result;
}

int parser_value(struct parser *p, const ProtobufCFieldDescriptor *field, void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE: return parser_message(p, field->descriptor, at);
    case PROTOBUF_C_TYPE_STRING: return parse_string(p, at);
    case PROTOBUF_C_TYPE_BYTES: return parse_bytes(p, at);
    case PROTOBUF_C_TYPE_ENUM:
        return wellknown_is_null_value(field) ? parse_null(p, field, at) : parse_enum(p, field, at);
    case PROTOBUF_C_TYPE_BOOL: return parse_bool(p, at);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE: return parse_real(p, field->type, at);
    default: return parse_integer(p, field->type, at);
    }
}

int parser_map_key(struct parser *p, const ProtobufCFieldDescriptor *field, const char *text,
                   void *at)
{
    if (field->type != PROTOBUF_C_TYPE_BOOL) {
        struct lexer_span number = { .at = text, .len = strlen(text) };

        return store_integer(p, field->type, number, true, at);
    }
    bool is_true = strcmp(text, "true") == 0;

    if (!is_true && strcmp(text, "false") != 0) {
        return parser_refuse(p, ERROR_INVALID_ARGUMENT, "neither true nor false");
    }
    *(protobuf_c_boolean *)at = is_true;
    return 0;
}
