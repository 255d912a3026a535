/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Walks the descriptor's fields in the order of their numbers. Names come from the .proto files and
 * are plain; what needs escapes is in proto/json/scalar. */
#include "proto/json/print.h"

#include <string.h>

#include "common/base64.h"
#include "proto/json/scalar.h"

struct printer {
    const struct json_print_options *options;
    struct buffer *out;
    struct failure *f;
    unsigned depth;
};

/* A field's value, wherever it lies. */
static const void *member(const ProtobufCMessage *message, unsigned offset)
{
    return (const uint8_t *)message + offset;
}

static void new_line(const struct printer *p)
{
    if (!p->options->pretty) {
        return;
    }
    buffer_append_byte(p->out, '\n');
    for (unsigned i = 0; i < p->depth; i++) {
        buffer_append(p->out, "  ", 2);
    }
}

static int print_message(struct printer *p, const ProtobufCMessage *message);

/* Fails with the field's name before what failed within it, so that the path grows outwards. */
static int cannot_print(const struct printer *p, const char *what)
{
    return failure_set(p->f, ERROR_INVALID_ARGUMENT, "%s", what);
}

static void prefix_path(const struct printer *p, const char *field, long index)
{
    if (p->f == NULL || p->f->code != ERROR_INVALID_ARGUMENT) {
        return;
    }
    const char *inner = p->f->message;
    const char *joint = inner[0] == '.' || inner[0] == '[' ? "" : ": ";

    if (index >= 0) {
        failure_set(p->f, ERROR_INVALID_ARGUMENT, ".%s[%ld]%s%s", field, index, joint, inner);
    } else {
        failure_set(p->f, ERROR_INVALID_ARGUMENT, ".%s%s%s", field, joint, inner);
    }
}

static void print_enum(struct buffer *out, const ProtobufCEnumDescriptor *type, int32_t number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);

    if (value != NULL) {
        buffer_printf(out, "\"%s\"", value->name);
    } else {
        buffer_printf(out, "%d", number);
    }
}

static int print_string(struct printer *p, const char *text)
{
    if (text == NULL) {
        text = "";
    }
    return scalar_print_string(p->out, text) ? 0 : cannot_print(p, "not UTF-8");
}

static void print_bytes(struct buffer *out, const ProtobufCBinaryData *bytes)
{
    buffer_append_byte(out, '"');
    base64_encode(out, bytes->data, bytes->len, BASE64_STANDARD);
    buffer_append_byte(out, '"');
}

/* One value, of a singular field or of a list. */
static int print_value(struct printer *p, const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_ENUM:
        print_enum(p->out, field->descriptor, *(const int32_t *)at);
        return 0;
    case PROTOBUF_C_TYPE_STRING: return print_string(p, *(char *const *)at);
    case PROTOBUF_C_TYPE_BYTES: print_bytes(p->out, at); return 0;
    case PROTOBUF_C_TYPE_MESSAGE: return print_message(p, *(ProtobufCMessage *const *)at);
    default: scalar_print(p->out, field->type, at); return 0;
    }
}

static int print_list(struct printer *p, const ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field)
{
    size_t count = *(const size_t *)member(message, field->quantifier_offset);
    const uint8_t *elements = *(uint8_t *const *)member(message, field->offset);
    size_t step = scalar_size(field->type);

    buffer_append_byte(p->out, '[');
    p->depth++;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buffer_append_byte(p->out, ',');
        }
        new_line(p);
        int result = print_value(p, field, elements + i * step);

        if (result != 0) {
            prefix_path(p, field->name, (long)i);
            return result;
        }
    }
    p->depth--;
    if (count > 0) {
        new_line(p);
    }
    buffer_append_byte(p->out, ']');
    return 0;
}

static bool is_to_be_printed(const struct printer *p, const ProtobufCMessage *message,
                             const ProtobufCFieldDescriptor *field)
{
    const void *at = member(message, field->offset);
    const void *quantifier = member(message, field->quantifier_offset);

    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        return *(const uint32_t *)quantifier == field->id;
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return p->options->with_defaults || *(const size_t *)quantifier > 0;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return *(ProtobufCMessage *const *)at != NULL;
    }
    if (field->label == PROTOBUF_C_LABEL_OPTIONAL) { /* has presence */
        return field->type == PROTOBUF_C_TYPE_STRING ? *(char *const *)at != NULL
                                                     : *(const protobuf_c_boolean *)quantifier != 0;
    }
    return p->options->with_defaults || field->label == PROTOBUF_C_LABEL_REQUIRED ||
           !scalar_is_default(field->type, at);
}

/* `sub_page` → "subPage": as protoc makes the JSON names. */
static void print_name(struct buffer *out, const char *name)
{
    bool capital = false;

    buffer_append_byte(out, '"');
    for (; *name != '\0'; name++) {
        char c = *name;

        if (c == '_') {
            capital = true;
            continue;
        }
        if (capital && c >= 'a' && c <= 'z') {
            c = (char)(c - 'a' + 'A');
        }
        capital = false;
        buffer_append_byte(out, (uint8_t)c);
    }
    buffer_append_byte(out, '"');
}

static int print_field(struct printer *p, const ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field)
{
    new_line(p);
    print_name(p->out, field->name);
    buffer_append_byte(p->out, ':');
    if (p->options->pretty) {
        buffer_append_byte(p->out, ' ');
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return print_list(p, message, field);
    }
    int result = print_value(p, field, member(message, field->offset));

    if (result != 0) {
        prefix_path(p, field->name, -1);
    }
    return result;
}

static int print_object(struct printer *p, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    bool first = true;

    buffer_append_byte(p->out, '{');
    p->depth++;
    for (unsigned i = 0; i < type->n_fields; i++) {
        if (!is_to_be_printed(p, message, &type->fields[i])) {
            continue;
        }
        if (!first) {
            buffer_append_byte(p->out, ',');
        }
        first = false;
        int result = print_field(p, message, &type->fields[i]);

        if (result != 0) {
            return result;
        }
    }
    p->depth--;
    if (!first) {
        new_line(p);
    }
    buffer_append_byte(p->out, '}');
    return 0;
}

/* Found by name and shape: this module is linked without the generated code of these types. */
static bool is_timestamp(const ProtobufCMessageDescriptor *type)
{
    return strcmp(type->name, "google.protobuf.Timestamp") == 0 && type->n_fields == 2 &&
           type->fields[0].type == PROTOBUF_C_TYPE_INT64 &&
           type->fields[1].type == PROTOBUF_C_TYPE_INT32;
}

static int print_message(struct printer *p, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;

    if (p->depth >= JSON_PRINT_DEPTH_MAX) {
        return cannot_print(p, "nested too deeply");
    }
    if (is_timestamp(type)) {
        int64_t seconds = *(const int64_t *)member(message, type->fields[0].offset);
        int32_t nanoseconds = *(const int32_t *)member(message, type->fields[1].offset);

        return scalar_print_timestamp(p->out, seconds, nanoseconds)
                   ? 0
                   : cannot_print(p, "a time outside the years 1 to 9999");
    }
    return print_object(p, message);
}

int json_print(const ProtobufCMessage *message, const struct json_print_options *options,
               struct buffer *out, struct failure *f)
{
    struct failure ignored;
    struct printer p = { .options = options, .out = out, .f = f != NULL ? f : &ignored };
    int result = print_message(&p, message);

    if (result != 0) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s%s%s", message->descriptor->name,
                           p.f->message[0] == '.' ? "" : ": ", p.f->message);
    }
    if (out->failed) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%s: more than %zu bytes of JSON",
                           message->descriptor->name, out->max_bytes);
    }
    return 0;
}
