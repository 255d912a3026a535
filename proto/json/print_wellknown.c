/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include <math.h>
#include <string.h>

#include "proto/json/printer.h"
#include "proto/json/time_text.h"
#include "proto/wire/wire.h"

static const void *member_of(const ProtobufCMessage *message, unsigned index)
{
    return printer_member(message, message->descriptor->fields[index].offset);
}

/* Timestamp and Duration have the same fields. */
static int print_time(struct printer *p, const ProtobufCMessage *message,
                      bool (*print)(struct buffer *out, struct time_text t), const char *wrong)
{
    struct time_text t = { .seconds = *(const int64_t *)member_of(message, 0),
                           .nanoseconds = *(const int32_t *)member_of(message, 1) };

    return print(p->out, t) ? 0 : printer_refuse(p, wrong);
}

/* A path that is the same when it is read again: words of lower case, each `_` before a letter. */
static bool is_path(const char *path)
{
    for (const char *c = path; *c != '\0'; c++) {
        bool is_letter = *c >= 'a' && *c <= 'z';
        bool is_first = c == path || c[-1] == '.';

        if (*c == '.' ? is_first : !is_letter && *c != '_' && !(*c >= '0' && *c <= '9')) {
            return false;
        }
        if (*c == '_' && !(c[1] >= 'a' && c[1] <= 'z')) {
            return false;
        }
    }
    return path[0] != '\0' && path[strlen(path) - 1] != '.';
}

static int print_field_mask(struct printer *p, const ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field = &message->descriptor->fields[0];
    size_t count = *(const size_t *)printer_member(message, field->quantifier_offset);
    char *const *paths = *(char **const *)member_of(message, 0);

    buffer_append_byte(p->out, '"');
    for (size_t i = 0; i < count; i++) {
        if (!is_path(paths[i])) {
            return printer_refuse(p, "a path that has no form in lowerCamelCase");
        }
        if (i > 0) {
            buffer_append_byte(p->out, ',');
        }
        wellknown_append_name(p->out, paths[i]);
    }
    buffer_append_byte(p->out, '"');
    return 0;
}

static int print_json_value(struct printer *p, const ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *fields = message->descriptor->fields;
    uint32_t chosen = *(const uint32_t *)printer_member(message, fields[0].quantifier_offset);

    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const void *at = printer_member(message, fields[i].offset);

        if (fields[i].id != chosen) {
            continue;
        }
        if (i == VALUE_NUMBER && !isfinite(*(const double *)at)) {
            return printer_refuse(p, "a number that is not finite");
        }
        return printer_value(p, &fields[i], at);
    }
    return printer_refuse(p, "a value of no kind");
}

/* The message that Any holds; NULL: refused, with `*result`. */
static ProtobufCMessage *unpack_any(struct printer *p, const char *type_url,
                                    const ProtobufCBinaryData *bytes, int *result)
{
    const ProtobufCMessageDescriptor *type = wellknown_find(p->options->types, type_url);
    const struct wire_limits limits = {
        .len_max_bytes = bytes->len,
        .elements_max = UINT32_MAX, /* each has a byte at least */
        .memory_max_bytes = JSON_PRINT_ANY_MAX_BYTES,
    };
    ProtobufCMessage *message = NULL;

    if (type == NULL) {
        *result = printer_refuse(p, "an Any of a type that is not known here");
    } else if (wire_unpack(type, bytes->data, bytes->len, &limits, &message, NULL) != 0) {
        *result = printer_refuse(p, "an Any that does not hold what its type says");
    }
    return message;
}

static int print_any(struct printer *p, const ProtobufCMessage *message)
{
    const char *type_url = *(char *const *)member_of(message, 0);
    const ProtobufCBinaryData *bytes = member_of(message, 1);
    bool is_first = true;
    int result = 0;

    if (type_url[0] == '\0' && bytes->len == 0) {
        buffer_append(p->out, "{}", 2);
        return 0;
    }
    ProtobufCMessage *content = unpack_any(p, type_url, bytes, &result);

    if (content == NULL) {
        return result;
    }
    if (!wellknown_has_own_form(wellknown_of(content->descriptor))) {
        result = printer_object(p, content, type_url);
    } else {
        printer_open(p, '{');
        printer_next(p, &is_first);
        buffer_append_string(p->out, "\"@type\"");
        printer_colon(p);
        result = printer_string(p, type_url);
        printer_next(p, &is_first);
        buffer_append_string(p->out, "\"value\"");
        printer_colon(p);
        result = result != 0 ? result : printer_message(p, content);
        printer_close(p, '}', false);
    }
    wire_free(content);
    return result;
}

int printer_wellknown(struct printer *p, enum wellknown kind, const ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *fields = message->descriptor->fields;

    switch (kind) {
    case WELLKNOWN_TIMESTAMP:
        return print_time(p, message, time_text_print_timestamp,
                          "a time outside the years 1 to 9999");
    case WELLKNOWN_DURATION:
        return print_time(p, message, time_text_print_duration,
                          "a duration beyond 10,000 years, or with two signs");
    case WELLKNOWN_FIELD_MASK: return print_field_mask(p, message);
    case WELLKNOWN_STRUCT: return printer_map(p, message, &fields[0]);
    case WELLKNOWN_LIST_VALUE: return printer_list(p, message, &fields[0]);
    case WELLKNOWN_VALUE: return print_json_value(p, message);
    case WELLKNOWN_ANY: return print_any(p, message);
    case WELLKNOWN_WRAPPER: return printer_value(p, &fields[0], member_of(message, 0));
    default: return printer_object(p, message, NULL);
    }
}
