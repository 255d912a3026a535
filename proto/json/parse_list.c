/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Lists, and maps, which protobuf-c holds as lists of entries. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/scope.h"
#include "proto/json/parser.h"
#include "proto/json/scalar.h"

enum { FIRST_CAPACITY = 4 };

/* A repeated field of a message that is being made. */
struct growing {
    uint8_t **elements;
    size_t *count;
    size_t capacity;
    size_t element_bytes;
};

static struct growing grow_field(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (struct growing){ .elements = parser_member(message, field->offset),
                             .count = parser_member(message, field->quantifier_offset),
                             .element_bytes = scalar_size(field->type) };
}

/* A place for one element more, not yet counted; NULL: the budget is exceeded. */
static void *room_for_element(struct parser *p, struct growing *list)
{
    if (*list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? list->capacity * 2 : FIRST_CAPACITY;
        uint8_t *elements =
            budget_grow(&p->budget, *list->elements, list->capacity * list->element_bytes,
                        capacity * list->element_bytes);

        if (elements == NULL) {
            return NULL;
        }
        *list->elements = elements;
        list->capacity = capacity;
    }
    return *list->elements + *list->count * list->element_bytes;
}

static int parse_element(struct parser *p, struct growing *list,
                         const ProtobufCFieldDescriptor *field)
{
    void *at = room_for_element(p, list);

    if (at == NULL) {
        return parser_refuse_memory(p);
    }
    if (lexer_peek(&p->lexer) == 'n' && !parser_takes_null(field)) {
        return parser_refuse(p, ERROR_INVALID_ARGUMENT, "null is no value of a list or map");
    }
    int result = parser_value(p, field, at);

    *list->count += result == 0 ? 1 : 0;
    return result;
}

int parser_list(struct parser *p, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    struct growing list = grow_field(message, field);
    struct parser_place place = { .outer = p->place };
    bool is_first = true;
    int result = 0;

    assert(*list.count == 0);
    if (!lexer_take(&p->lexer, '[')) {
        return parser_refuse_text(p);
    }
    while (result == 0 && lexer_more(&p->lexer, ']', &is_first)) {
        place.index = *list.count;
        p->place = &place;
        result = parse_element(p, &list, field);
        p->place = place.outer;
    }
    return result == 0 && p->lexer.error != NULL ? parser_refuse_text(p) : result;
}

/* Key and value; the key's text is in `*key`, and becomes the key where that is a string. */
static int fill_entry(struct parser *p, ProtobufCMessage *entry, char **key)
{
    const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
    void *key_at = parser_member(entry, fields[0].offset);
    int result = 0;

    if (fields[0].type == PROTOBUF_C_TYPE_STRING) {
        *(char **)key_at = scope_take_pointer(*key);
    } else {
        result = parser_map_key(p, &fields[0], *key, key_at);
    }
    if (result == 0 && lexer_peek(&p->lexer) == 'n' && !parser_takes_null(&fields[1])) {
        result = parser_refuse(p, ERROR_INVALID_ARGUMENT, "null is no value of a list or map");
    }
    return result != 0 ? result
                       : parser_value(p, &fields[1], parser_member(entry, fields[1].offset));
}

static int parse_entry(struct parser *p, const ProtobufCMessageDescriptor *type,
                       ProtobufCMessage **out)
{
    SCOPE_FREE char *key = NULL;
    struct lexer_span name;

    if (!lexer_key(&p->lexer, &name)) {
        return parser_refuse_text(p);
    }
    int result = parser_copy_string(p, name, &key);

    if (result != 0) {
        return result;
    }
    struct parser_place place = { .outer = p->place, .name = { .at = key, .len = name.len } };
    ProtobufCMessage *entry = NULL;

    p->place = &place;
    result = parser_begin_message(p, type, &entry);
    if (result == 0) {
        result = fill_entry(p, entry, &key);
        result = parser_end_message(p, result, entry);
    }
    p->place = place.outer;
    if (result == 0) {
        *out = entry;
    }
    return result;
}

static int compare_keys(const void *a, const void *b, void *key_field)
{
    const ProtobufCFieldDescriptor *field = key_field;
    const uint8_t *left = (const uint8_t *)*(ProtobufCMessage *const *)a + field->offset;
    const uint8_t *right = (const uint8_t *)*(ProtobufCMessage *const *)b + field->offset;

    if (field->type == PROTOBUF_C_TYPE_STRING) {
        return strcmp(*(char *const *)left, *(char *const *)right);
    }
    return memcmp(left, right, scalar_size(field->type));
}

/* Sorted, since a peer may send as many as the limits let it. */
static int refuse_key_given_twice(struct parser *p, ProtobufCMessage *const *entries, size_t count)
{
    if (count < 2) {
        return 0;
    }
    const ProtobufCFieldDescriptor *key = &entries[0]->descriptor->fields[0];
    SCOPE_FREE ProtobufCMessage **sorted =
        budget_alloc(&p->budget, count * sizeof(ProtobufCMessage *));

    if (sorted == NULL) {
        return parser_refuse_memory(p);
    }
    memcpy(sorted, entries, count * sizeof(ProtobufCMessage *));
    qsort_r(sorted, count, sizeof(ProtobufCMessage *), compare_keys, (void *)(uintptr_t)key);
    for (size_t i = 1; i < count; i++) {
        if (compare_keys(&sorted[i - 1], &sorted[i], (void *)(uintptr_t)key) == 0) {
            return parser_refuse(p, ERROR_INVALID_ARGUMENT, "the key%s%s is given twice",
                                 key->type == PROTOBUF_C_TYPE_STRING ? " " : "",
                                 key->type == PROTOBUF_C_TYPE_STRING
                                     ? *(char **)parser_member(sorted[i], key->offset)
                                     : "");
        }
    }
    return 0;
}

int parser_map(struct parser *p, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    struct growing list = grow_field(message, field);
    bool is_first = true;
    int result = 0;

    assert(*list.count == 0);
    if (!lexer_take(&p->lexer, '{')) {
        return parser_refuse_text(p);
    }
    while (result == 0 && lexer_more(&p->lexer, '}', &is_first)) {
        void *at = room_for_element(p, &list);

        result = at != NULL ? parse_entry(p, field->descriptor, at) : parser_refuse_memory(p);
        *list.count += result == 0 ? 1 : 0;
    }
    if (result == 0 && p->lexer.error != NULL) {
        result = parser_refuse_text(p);
    }
    return result != 0
               ? result
               : refuse_key_given_twice(p, *(ProtobufCMessage *const **)list.elements, *list.count);
}
