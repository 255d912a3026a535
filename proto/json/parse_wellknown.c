/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include <string.h>

#include "proto/json/parser.h"
#include "proto/json/time_text.h"

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessage *message, unsigned index)
{
    return &message->descriptor->fields[index];
}

static void *member_of(ProtobufCMessage *message, unsigned index)
{
    return parser_member(message, field_of(message, index)->offset);
}

/* Timestamp and Duration have the same fields. */
static int parse_time(struct parser *p, ProtobufCMessage *message,
                      bool (*read)(struct lexer_span text, struct time_text *out),
                      const char *expected)
{
    struct lexer_span text;
    struct time_text t;

    if (!lexer_string(&p->lexer, &text)) {
        return parser_refuse_text(p);
    }
    if (!read(text, &t)) {
        return parser_refuse(p, ERROR_INVALID_ARGUMENT, "not %s", expected);
    }
    *(int64_t *)member_of(message, 0) = t.seconds;
    *(int32_t *)member_of(message, 1) = t.nanoseconds;
    return 0;
}

/* Which of the alternatives of google.protobuf.Value, by how its text begins. */
static enum value_kind kind_of(char first)
{
    switch (first) {
    case 'n': return VALUE_NULL;
    case '"': return VALUE_STRING;
    case 't':
    case 'f': return VALUE_BOOL;
    case '{': return VALUE_STRUCT;
    case '[': return VALUE_LIST;
    default: return VALUE_NUMBER;
    }
}

static int parse_json_value(struct parser *p, ProtobufCMessage *message)
{
    enum value_kind kind = kind_of(lexer_peek(&p->lexer));
    const ProtobufCFieldDescriptor *field = field_of(message, kind);
    int result = parser_value(p, field, parser_member(message, field->offset));

    if (result == 0) {
        *(uint32_t *)parser_member(message, field->quantifier_offset) = field->id;
    }
    return result;
}

/* `fooBar.baz` → foo_bar.baz, NUL-ended, into room for twice the length. False: no such path. */
static bool read_path(struct lexer_span text, char *out)
{
    bool is_begin = true; /* of a name */

    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool is_upper = c >= 'A' && c <= 'Z';

        if (c == '.' ? is_begin : !is_upper && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9')) {
            return false;
        }
        is_begin = c == '.';
        if (is_upper) {
            *out++ = '_';
        }
        *out++ = is_upper ? (char)(c - 'A' + 'a') : c;
    }
    *out = '\0';
    return !is_begin;
}

static struct lexer_span take_path(struct lexer_span *rest)
{
    const char *comma = memchr(rest->at, ',', rest->len);
    size_t len = comma != NULL ? (size_t)(comma - rest->at) : rest->len;
    struct lexer_span path = { .at = rest->at, .len = len };

    rest->at += len + (comma != NULL ? 1 : 0);
    rest->len -= len + (comma != NULL ? 1 : 0);
    return path;
}

static size_t count_paths(struct lexer_span text)
{
    size_t count = 1;

    for (size_t i = 0; i < text.len; i++) {
        count += text.at[i] == ',' ? 1 : 0;
    }
    return count;
}

static int parse_field_mask(struct parser *p, ProtobufCMessage *message)
{
    struct lexer_span text;

    if (!lexer_string(&p->lexer, &text)) {
        return parser_refuse_text(p);
    }
    if (text.len == 0) {
        return 0;
    }
    size_t count = count_paths(text);
    size_t *filled = parser_member(message, field_of(message, 0)->quantifier_offset);

    if (count > p->lexer.elements_max - p->lexer.elements) {
        return parser_refuse(p, ERROR_RESOURCE_EXHAUSTED, "too many paths");
    }
    p->lexer.elements += (uint32_t)count;
    char **paths = budget_alloc(&p->budget, count * sizeof(char *));

    *(char ***)member_of(message, 0) = paths;
    while (paths != NULL && *filled < count) {
        struct lexer_span path = take_path(&text);
        char *out = budget_alloc(&p->budget, 2 * path.len + 1);

        if (out == NULL) {
            return parser_refuse_memory(p);
        }
        paths[(*filled)++] = out;
        if (!read_path(path, out)) {
            return parser_refuse(p, ERROR_INVALID_ARGUMENT,
                                 "not paths to fields in lowerCamelCase, with commas between");
        }
    }
    return paths != NULL ? 0 : parser_refuse_memory(p);
}

int parser_wellknown(struct parser *p, enum wellknown kind, ProtobufCMessage *message)
{
    switch (kind) {
    case WELLKNOWN_TIMESTAMP:
        return parse_time(p, message, time_text_read_timestamp,
                          "a time as in RFC 3339, of the years 1 to 9999");
    case WELLKNOWN_DURATION:
        return parse_time(p, message, time_text_read_duration,
                          "seconds with at most nine decimals and an s behind them, of at most "
                          "10,000 years");
    case WELLKNOWN_FIELD_MASK: return parse_field_mask(p, message);
    case WELLKNOWN_STRUCT: return parser_map(p, message, field_of(message, 0));
    case WELLKNOWN_LIST_VALUE: return parser_list(p, message, field_of(message, 0));
    case WELLKNOWN_VALUE: return parse_json_value(p, message);
    case WELLKNOWN_ANY: return parser_any(p, message);
    case WELLKNOWN_WRAPPER: return parser_value(p, field_of(message, 0), member_of(message, 0));
    default: return parser_members(p, message, NULL);
    }
}
