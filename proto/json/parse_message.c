/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Objects that are messages: which member is which field, and that each comes once. */
#include <assert.h>
#include <string.h>

#include "proto/json/parser.h"

/* The fields of one message that were given. */
struct seen {
    uint64_t bits[JSON_PARSE_FIELDS_MAX / 64];
    unsigned next; /* the field behind the last one: most texts have them in order */
};

int parser_begin_message(struct parser *p, const ProtobufCMessageDescriptor *type,
                         ProtobufCMessage **out)
{
    assert(type->message_init != NULL); /* all that protoc-c makes have it */
    if (p->depth >= WIRE_DEPTH_MAX) {
        return parser_refuse(p, ERROR_RESOURCE_EXHAUSTED, "nested deeper than %d messages",
                             WIRE_DEPTH_MAX);
    }
    ProtobufCMessage *message = budget_alloc(&p->budget, type->sizeof_message);

    if (message == NULL) {
        return parser_refuse_memory(p);
    }
    protobuf_c_message_init(type, message);
    p->depth++;
    *out = message;
    return 0;
}

int parser_end_message(struct parser *p, int result, ProtobufCMessage *message)
{
    p->depth--;
    if (result != 0) {
        wire_free(message);
    }
    return result;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
                                                  struct lexer_span name, struct seen *seen)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        unsigned at = (seen->next + i) % type->n_fields;

        if (wellknown_is_name(type->fields[at].name, name)) {
            seen->next = at + 1;
            return &type->fields[at];
        }
    }
    return NULL;
}

int parser_unknown(struct parser *p, const ProtobufCMessageDescriptor *type, struct lexer_span name)
{
    if (p->options->refuse_unknown) {
        struct parser_place place = { .outer = p->place, .name = name };

        p->place = &place;
        int result = parser_refuse(p, ERROR_INVALID_ARGUMENT, "%s has no such field", type->name);

        p->place = place.outer;
        return result;
    }
    return lexer_skip(&p->lexer) ? 0 : parser_refuse_text(p);
}

static bool is_in_oneof(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

static int parse_singular(struct parser *p, ProtobufCMessage *message,
                          const ProtobufCFieldDescriptor *field)
{
    if (lexer_peek(&p->lexer) == 'n' && !parser_takes_null(field)) {
        return lexer_literal(&p->lexer, "null") ? 0 : parser_refuse_text(p);
    }
    uint32_t *chosen = parser_member(message, field->quantifier_offset);

    if (is_in_oneof(field) && *chosen != 0) {
        return parser_refuse(p, ERROR_INVALID_ARGUMENT,
                             "another alternative of the same oneof is given as well");
    }
    int result = parser_value(p, field, parser_member(message, field->offset));

    if (result != 0) {
        return result;
    }
    if (is_in_oneof(field)) {
        *chosen = field->id;
    } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL &&
               field->type != PROTOBUF_C_TYPE_MESSAGE && field->type != PROTOBUF_C_TYPE_STRING) {
        *(protobuf_c_boolean *)parser_member(message, field->quantifier_offset) = 1;
    }
    return 0;
}

static int parse_repeated(struct parser *p, ProtobufCMessage *message,
                          const ProtobufCFieldDescriptor *field)
{
    if (lexer_peek(&p->lexer) == 'n') {
        return lexer_literal(&p->lexer, "null") ? 0 : parser_refuse_text(p);
    }
    return wellknown_is_map(message->descriptor, field) ? parser_map(p, message, field)
                                                        : parser_list(p, message, field);
}

static int parse_field(struct parser *p, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field, struct seen *seen)
{
    struct parser_place place = { .outer = p->place,
                                  .name = { .at = field->name, .len = strlen(field->name) } };
    size_t index = (size_t)(field - message->descriptor->fields);
    uint64_t bit = UINT64_C(1) << index % 64;
    int result;

    p->place = &place;
    if ((seen->bits[index / 64] & bit) != 0) {
        result = parser_refuse(p, ERROR_INVALID_ARGUMENT, "given twice");
    } else {
        seen->bits[index / 64] |= bit;
        result = field->label == PROTOBUF_C_LABEL_REPEATED ? parse_repeated(p, message, field)
                                                           : parse_singular(p, message, field);
    }
    p->place = place.outer;
    return result;
}

static int skip_once(struct parser *p, const char *name, bool *was_skipped)
{
    if (*was_skipped) {
        return parser_refuse(p, ERROR_INVALID_ARGUMENT, "\"%s\" is given twice", name);
    }
    *was_skipped = true;
    return lexer_skip(&p->lexer) ? 0 : parser_refuse_text(p);
}

int parser_members(struct parser *p, ProtobufCMessage *message, const char *skipped)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    struct seen seen = { 0 };
    struct lexer_span name;
    bool is_first = true;
    bool was_skipped = false;

    assert(type->n_fields <= JSON_PARSE_FIELDS_MAX);
    if (!lexer_take(&p->lexer, '{')) {
        return parser_refuse_text(p);
    }
    while (lexer_more(&p->lexer, '}', &is_first)) {
        if (!lexer_key(&p->lexer, &name)) {
            break;
        }
        const ProtobufCFieldDescriptor *field = find_field(type, name, &seen);
        int result;

        if (field != NULL) {
            result = parse_field(p, message, field, &seen);
        } else if (skipped != NULL && lexer_span_is(name, skipped)) {
            result = skip_once(p, skipped, &was_skipped);
        } else {
            result = parser_unknown(p, type, name);
        }
        if (result != 0) {
            return result;
        }
    }
    return p->lexer.error == NULL ? 0 : parser_refuse_text(p);
}

int parser_message(struct parser *p, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out)
{
    enum wellknown kind = wellknown_of(type);
    ProtobufCMessage *message;
    int result = parser_begin_message(p, type, &message);

    if (result != 0) {
        return result;
    }
    result = wellknown_has_own_form(kind) ? parser_wellknown(p, kind, message)
                                          : parser_members(p, message, NULL);
    result = parser_end_message(p, result, message);
    if (result == 0) {
        *out = message;
    }
    return result;
}
