/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* google.protobuf.Any: an object whose "@type", which may stand anywhere in it, says what the others
 * mean. So it is read twice: first only for that. With nesting that is WIRE_DEPTH_MAX times at most. */
#include "proto/json/parser.h"

#define TYPE_NAME "@type"

static void free_message(ProtobufCMessage **message)
{
    wire_free(*message);
}

/* Goes to the value of "@type" in an object. False: it has none, or it is no object (an error). */
static bool go_to_type(struct lexer *lx, bool *is_empty)
{
    struct lexer_span name;
    bool is_first = true;

    *is_empty = true;
    if (!lexer_take(lx, '{')) {
        return false;
    }
    while (lexer_more(lx, '}', &is_first) && lexer_key(lx, &name)) {
        *is_empty = false;
        if (lexer_span_is(name, TYPE_NAME)) {
            return true;
        }
        if (!lexer_skip(lx)) {
            break;
        }
    }
    return false;
}

/* The value of "@type" as an allocated string; NULL where the object is empty. */
static int find_type_url(struct parser *p, char **out)
{
    struct lexer before = p->lexer;
    struct lexer_span url;
    bool is_empty;
    bool has_type = go_to_type(&p->lexer, &is_empty);

    if (p->lexer.error != NULL || (has_type && !lexer_string(&p->lexer, &url))) {
        return parser_refuse_text(p);
    }
    p->lexer = before;
    if (!has_type && !is_empty) {
        return parser_refuse(p, ERROR_INVALID_ARGUMENT, "has no \"" TYPE_NAME "\"");
    }
    return has_type ? parser_copy_string(p, url, out) : 0;
}

/* The member "value" beside "@type": such types have no members of their own. */
static int parse_value_member(struct parser *p, const ProtobufCMessageDescriptor *type,
                              ProtobufCMessage **out)
{
    struct lexer_span name;
    bool is_first = true;
    bool has_type = false;
    int result = lexer_take(&p->lexer, '{') ? 0 : parser_refuse_text(p);

    while (result == 0 && lexer_more(&p->lexer, '}', &is_first) && lexer_key(&p->lexer, &name)) {
        bool is_type = lexer_span_is(name, TYPE_NAME);

        if ((is_type && has_type) || (*out != NULL && lexer_span_is(name, "value"))) {
            result = parser_refuse(p, ERROR_INVALID_ARGUMENT, "\"%s\" is given twice",
                                   is_type ? TYPE_NAME : "value");
        } else if (is_type) {
            has_type = true;
            result = lexer_skip(&p->lexer) ? 0 : parser_refuse_text(p);
        } else if (lexer_span_is(name, "value")) {
            result = parser_message(p, type, out);
        } else {
            result = parser_unknown(p, type, name);
        }
    }
    if (result == 0 && p->lexer.error != NULL) {
        return parser_refuse_text(p);
    }
    return result != 0 || *out != NULL
               ? result
               : parser_refuse(p, ERROR_INVALID_ARGUMENT, "has no \"value\"");
}

static int parse_content(struct parser *p, const ProtobufCMessageDescriptor *type,
                         ProtobufCMessage **out)
{
    if (wellknown_has_own_form(wellknown_of(type))) {
        return parse_value_member(p, type, out);
    }
    int result = parser_begin_message(p, type, out);

    if (result != 0) {
        return result;
    }
    result = parser_members(p, *out, TYPE_NAME);
    if (parser_end_message(p, result, *out) != 0) {
        *out = NULL;
    }
    return result;
}

static int pack(struct parser *p, const ProtobufCMessage *content, ProtobufCBinaryData *out)
{
    size_t len = protobuf_c_message_get_packed_size(content);

    if (len == 0) {
        return 0;
    }
    uint8_t *data = budget_alloc(&p->budget, len);

    if (data == NULL) {
        return parser_refuse_memory(p);
    }
    protobuf_c_message_pack(content, data);
    *out = (ProtobufCBinaryData){ .len = len, .data = data };
    return 0;
}

int parser_any(struct parser *p, ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *fields = message->descriptor->fields;
    __attribute__((cleanup(free_message))) ProtobufCMessage *content = NULL;
    char *url = NULL;
    int result = find_type_url(p, &url);

    if (result != 0) {
        return result;
    }
    if (url == NULL) {
        return parser_members(p, message, NULL); /* {} */
    }
    *(char **)parser_member(message, fields[0].offset) = url; /* the message's from here on */
    const ProtobufCMessageDescriptor *type = wellknown_find(p->options->types, url);

    if (type == NULL) {
        return parser_refuse(p, ERROR_INVALID_ARGUMENT,
                             "\"" TYPE_NAME "\" is no type known here: %s", url);
    }
    result = parse_content(p, type, &content);
    return result != 0 ? result : pack(p, content, parser_member(message, fields[1].offset));
}
