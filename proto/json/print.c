/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Walks the descriptor's fields in the order of their numbers. Names come from the .proto files and
 * are plain; what needs escapes is in proto/json/scalar. */
#include "proto/json/print.h"

#include <string.h>

#include "common/base64.h"
#include "proto/json/printer.h"
#include "proto/json/scalar.h"

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

void printer_open(struct printer *p, char bracket)
{
    buffer_append_byte(p->out, (uint8_t)bracket);
    p->depth++;
}

void printer_next(const struct printer *p, bool *is_first)
{
    if (!*is_first) {
        buffer_append_byte(p->out, ',');
    }
    *is_first = false;
    new_line(p);
}

void printer_close(struct printer *p, char bracket, bool is_empty)
{
    p->depth--;
    if (!is_empty) {
        new_line(p);
    }
    buffer_append_byte(p->out, (uint8_t)bracket);
}

void printer_colon(const struct printer *p)
{
    buffer_append(p->out, ": ", p->options->pretty ? 2 : 1);
}

int printer_refuse(const struct printer *p, const char *what)
{
    return failure_set(p->f, ERROR_INVALID_ARGUMENT, "%s", what);
}

/* Puts the field's name before what failed within it, so that the path grows outwards. */
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

static void print_enum(struct buffer *out, const ProtobufCFieldDescriptor *field, int32_t number)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(field->descriptor, number);

    if (wellknown_is_null_value(field)) {
        buffer_append(out, "null", 4);
    } else if (value != NULL) {
        buffer_append_byte(out, '"');
        buffer_append_string(out, value->name);
        buffer_append_byte(out, '"');
    } else {
        scalar_print(out, PROTOBUF_C_TYPE_INT32, &number);
    }
}

int printer_string(struct printer *p, const char *text)
{
    return scalar_print_string(p->out, text != NULL ? text : "") ? 0
                                                                 : printer_refuse(p, "not UTF-8");
}

static void print_bytes(struct buffer *out, const ProtobufCBinaryData *bytes)
{
    buffer_append_byte(out, '"');
    base64_encode(out, bytes->data, bytes->len, BASE64_STANDARD);
    buffer_append_byte(out, '"');
}

int printer_value(struct printer *p, const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_ENUM: print_enum(p->out, field, *(const int32_t *)at); return 0;
    case PROTOBUF_C_TYPE_STRING: return printer_string(p, *(char *const *)at);
    case PROTOBUF_C_TYPE_BYTES: print_bytes(p->out, at); return 0;
    case PROTOBUF_C_TYPE_MESSAGE: return printer_message(p, *(ProtobufCMessage *const *)at);
    default: scalar_print(p->out, field->type, at); return 0;
    }
}

int printer_list(struct printer *p, const ProtobufCMessage *message,
                 const ProtobufCFieldDescriptor *field)
{
    size_t count = *(const size_t *)printer_member(message, field->quantifier_offset);
    const uint8_t *elements = *(uint8_t *const *)printer_member(message, field->offset);
    size_t step = scalar_size(field->type);
    bool is_first = true;

    printer_open(p, '[');
    for (size_t i = 0; i < count; i++) {
        printer_next(p, &is_first);
        int result = printer_value(p, field, elements + i * step);

        if (result != 0) {
            prefix_path(p, field->name, (long)i);
            return result;
        }
    }
    printer_close(p, ']', is_first);
    return 0;
}

/* A key is a string, whatever its type. */
static int print_key(struct printer *p, const ProtobufCFieldDescriptor *field, const void *at)
{
    bool is_quoted = field->type == PROTOBUF_C_TYPE_STRING || scalar_size(field->type) == 8;

    if (!is_quoted) {
        buffer_append_byte(p->out, '"');
    }
    int result = printer_value(p, field, at);

    if (!is_quoted) {
        buffer_append_byte(p->out, '"');
    }
    return result;
}

int printer_map(struct printer *p, const ProtobufCMessage *message,
                const ProtobufCFieldDescriptor *field)
{
    size_t count = *(const size_t *)printer_member(message, field->quantifier_offset);
    ProtobufCMessage *const *entries =
        *(ProtobufCMessage * *const *)printer_member(message, field->offset);
    const ProtobufCMessageDescriptor *type = field->descriptor;
    const ProtobufCFieldDescriptor *key = &type->fields[0];
    const ProtobufCFieldDescriptor *value = &type->fields[1];
    bool is_first = true;

    printer_open(p, '{');
    for (size_t i = 0; i < count; i++) {
        printer_next(p, &is_first);
        int result = print_key(p, key, printer_member(entries[i], key->offset));

        printer_colon(p);
        if (result == 0) {
            result = printer_value(p, value, printer_member(entries[i], value->offset));
        }
        if (result != 0) {
            prefix_path(p, field->name, (long)i);
            return result;
        }
    }
    printer_close(p, '}', is_first);
    return 0;
}

static bool is_to_be_printed(const struct printer *p, const ProtobufCMessage *message,
                             const ProtobufCFieldDescriptor *field)
{
    const void *at = printer_member(message, field->offset);
    const void *quantifier = printer_member(message, field->quantifier_offset);

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

static int print_field(struct printer *p, const ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field)
{
    buffer_append_byte(p->out, '"');
    wellknown_append_name(p->out, field->name);
    buffer_append_byte(p->out, '"');
    printer_colon(p);
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return wellknown_is_map(message->descriptor, field) ? printer_map(p, message, field)
                                                            : printer_list(p, message, field);
    }
    int result = printer_value(p, field, printer_member(message, field->offset));

    if (result != 0) {
        prefix_path(p, field->name, -1);
    }
    return result;
}

int printer_object(struct printer *p, const ProtobufCMessage *message, const char *type_url)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    bool is_first = true;
    int result = 0;

    printer_open(p, '{');
    if (type_url != NULL) {
        printer_next(p, &is_first);
        buffer_append_string(p->out, "\"@type\"");
        printer_colon(p);
        result = printer_string(p, type_url);
    }
    for (unsigned i = 0; result == 0 && i < type->n_fields; i++) {
        if (is_to_be_printed(p, message, &type->fields[i])) {
            printer_next(p, &is_first);
            result = print_field(p, message, &type->fields[i]);
        }
    }
    if (result == 0) {
        printer_close(p, '}', is_first);
    }
    return result;
}

int printer_message(struct printer *p, const ProtobufCMessage *message)
{
    enum wellknown kind = wellknown_of(message->descriptor);

    if (p->messages >= JSON_PRINT_DEPTH_MAX) {
        return printer_refuse(p, "nested too deeply");
    }
    p->messages++;
    int result = wellknown_has_own_form(kind) ? printer_wellknown(p, kind, message)
                                              : printer_object(p, message, NULL);

    p->messages--;
    return result;
}

int json_print(const ProtobufCMessage *message, const struct json_print_options *options,
               struct buffer *out, struct failure *f)
{
    struct failure ignored;
    struct printer p = { .options = options, .out = out, .f = f != NULL ? f : &ignored };
    int result = printer_message(&p, message);

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
