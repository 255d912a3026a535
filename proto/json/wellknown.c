/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "proto/json/wellknown.h"

#include <string.h>

#define PACKAGE "google.protobuf."

enum { SHAPE_FIELDS_MAX = 6 };

/* T_LIST: repeated. */
enum { T_LIST = 0x100 };
#define T(name) PROTOBUF_C_TYPE_##name

static const struct shape {
    const char *name; /* in the package */
    enum wellknown kind;
    unsigned field_count;
    unsigned types[SHAPE_FIELDS_MAX];
} shapes[] = {
    { "Timestamp", WELLKNOWN_TIMESTAMP, 2, { T(INT64), T(INT32) } },
    { "Duration", WELLKNOWN_DURATION, 2, { T(INT64), T(INT32) } },
    { "FieldMask", WELLKNOWN_FIELD_MASK, 1, { T(STRING) | T_LIST } },
    { "Struct", WELLKNOWN_STRUCT, 1, { T(MESSAGE) | T_LIST } },
    { "Value",
      WELLKNOWN_VALUE,
      6,
      { T(ENUM), T(DOUBLE), T(STRING), T(BOOL), T(MESSAGE), T(MESSAGE) } },
    { "ListValue", WELLKNOWN_LIST_VALUE, 1, { T(MESSAGE) | T_LIST } },
    { "Any", WELLKNOWN_ANY, 2, { T(STRING), T(BYTES) } },
    { "DoubleValue", WELLKNOWN_WRAPPER, 1, { T(DOUBLE) } },
    { "FloatValue", WELLKNOWN_WRAPPER, 1, { T(FLOAT) } },
    { "Int64Value", WELLKNOWN_WRAPPER, 1, { T(INT64) } },
    { "UInt64Value", WELLKNOWN_WRAPPER, 1, { T(UINT64) } },
    { "Int32Value", WELLKNOWN_WRAPPER, 1, { T(INT32) } },
    { "UInt32Value", WELLKNOWN_WRAPPER, 1, { T(UINT32) } },
    { "BoolValue", WELLKNOWN_WRAPPER, 1, { T(BOOL) } },
    { "StringValue", WELLKNOWN_WRAPPER, 1, { T(STRING) } },
    { "BytesValue", WELLKNOWN_WRAPPER, 1, { T(BYTES) } },
    { "Empty", WELLKNOWN_EMPTY, 0, { 0 } },
};

static bool has_shape(const ProtobufCMessageDescriptor *type, const struct shape *shape)
{
    if (type->n_fields != shape->field_count) {
        return false;
    }
    for (unsigned i = 0; i < shape->field_count; i++) {
        unsigned is_list = type->fields[i].label == PROTOBUF_C_LABEL_REPEATED ? T_LIST : 0;

        if ((type->fields[i].type | is_list) != shape->types[i]) {
            return false;
        }
    }
    return true;
}

enum wellknown wellknown_of(const ProtobufCMessageDescriptor *type)
{
    if (strncmp(type->name, PACKAGE, strlen(PACKAGE)) != 0) {
        return WELLKNOWN_NONE;
    }
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (strcmp(type->name + strlen(PACKAGE), shapes[i].name) == 0 &&
            has_shape(type, &shapes[i])) {
            return shapes[i].kind;
        }
    }
    return WELLKNOWN_NONE;
}

bool wellknown_has_own_form(enum wellknown kind)
{
    return kind != WELLKNOWN_NONE && kind != WELLKNOWN_EMPTY;
}

bool wellknown_is_null_value(const ProtobufCFieldDescriptor *field)
{
    const ProtobufCEnumDescriptor *type = field->descriptor;

    return field->type == PROTOBUF_C_TYPE_ENUM && strcmp(type->name, PACKAGE "NullValue") == 0;
}

static bool may_be_key(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return false;
    default: return true;
    }
}

static char to_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* The next character of `*name` in camel case; NUL at the end. `*is_capital`: of a word's first. */
static char next_of_camel(const char **name, bool *is_capital)
{
    while (**name == '_') {
        *is_capital = true;
        ++*name;
    }
    if (**name == '\0') {
        return '\0';
    }
    char c = *is_capital ? to_upper(**name) : **name;

    *is_capital = false;
    ++*name;
    return c;
}

/* `entry` is the name that protoc gives the entries of a map `field`. */
static bool is_entry_name(const char *entry, const char *field)
{
    bool is_capital = true;
    char c;

    while ((c = next_of_camel(&field, &is_capital)) != '\0') {
        if (*entry++ != c) {
            return false;
        }
    }
    return strcmp(entry, "Entry") == 0;
}

bool wellknown_is_map(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *entry = field->descriptor;

    if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label != PROTOBUF_C_LABEL_REPEATED ||
        entry->n_fields != 2 || entry->fields[0].id != 1 || entry->fields[1].id != 2 ||
        strcmp(entry->fields[0].name, "key") != 0 || strcmp(entry->fields[1].name, "value") != 0) {
        return false;
    }
    size_t outer_len = strlen(type->name);

    return may_be_key(entry->fields[0].type) && strncmp(entry->name, type->name, outer_len) == 0 &&
           entry->name[outer_len] == '.' && is_entry_name(entry->name + outer_len + 1, field->name);
}

const ProtobufCMessageDescriptor *wellknown_find(const struct json_types *types,
                                                 const char *type_url)
{
    const char *slash = strrchr(type_url, '/');

    return types != NULL && slash != NULL ? types->find(types->context, slash + 1) : NULL;
}

void wellknown_append_name(struct buffer *out, const char *name)
{
    size_t len = 0;
    uint8_t *room = buffer_extend(out, strlen(name));
    bool is_capital = false;
    char c;

    if (room == NULL) {
        return;
    }
    const char *rest = name;

    while ((c = next_of_camel(&rest, &is_capital)) != '\0') {
        room[len++] = (uint8_t)c;
    }
    out->len_bytes -= strlen(name) - len; /* underscores */
}

bool wellknown_is_name(const char *name, struct lexer_span text)
{
    if (lexer_span_is(text, name)) {
        return true;
    }
    bool is_capital = false;
    size_t i = 0;
    char c;

    while ((c = next_of_camel(&name, &is_capital)) != '\0') {
        if (i == text.len || text.at[i++] != c) {
            return false;
        }
    }
    return i == text.len;
}
