/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What printing and parsing both know: which message types the JSON mapping treats in their own way
 * (protobuf's well-known types), which lists are maps, and how names are spelled. Types are found by
 * name and shape, so that this is linked without their generated code. Pure, any thread.
 */
#ifndef XENRES_PROTO_JSON_WELLKNOWN_H
#define XENRES_PROTO_JSON_WELLKNOWN_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "common/buffer.h"
#include "proto/json/lexer.h"

enum wellknown {
    WELLKNOWN_NONE, /* an object of its fields */
    WELLKNOWN_TIMESTAMP,
    WELLKNOWN_DURATION,
    WELLKNOWN_FIELD_MASK,
    WELLKNOWN_STRUCT,
    WELLKNOWN_VALUE,
    WELLKNOWN_LIST_VALUE,
    WELLKNOWN_ANY,
    WELLKNOWN_WRAPPER, /* google.protobuf.BoolValue and so on */
    WELLKNOWN_EMPTY,
};

/* The fields of google.protobuf.Value, all of one oneof, in the order of their numbers. */
enum value_kind { VALUE_NULL, VALUE_NUMBER, VALUE_STRING, VALUE_BOOL, VALUE_STRUCT, VALUE_LIST };

/* Which types google.protobuf.Any may hold: the caller's, who is asked by full name. */
struct json_types {
    const ProtobufCMessageDescriptor *(*find)(void *context, const char *full_name); /* or NULL */
    void *context;
};

enum wellknown wellknown_of(const ProtobufCMessageDescriptor *type);
/* In Any, such a type stands as "value" beside "@type", not with its fields. */
bool wellknown_has_own_form(enum wellknown kind);
bool wellknown_is_null_value(const ProtobufCFieldDescriptor *field); /* google.protobuf.NullValue */

/*
 * protobuf-c's descriptors do not say that a list was declared as a map. It is taken for one where
 * it looks as protoc makes them: `map<K, V> some_name` is a list of messages `SomeNameEntry`, nested
 * in this one, with exactly the fields `key` and `value`, and a key of a type that keys may have.
 */
bool wellknown_is_map(const ProtobufCMessageDescriptor *type,
                      const ProtobufCFieldDescriptor *field);

/* The type's name in a type URL: behind the last slash; NULL where there is none. `types` may be
 * NULL: NULL. */
const ProtobufCMessageDescriptor *wellknown_find(const struct json_types *types,
                                                 const char *type_url);

/* `sub_page` → subPage, as protoc makes the JSON names (a `json_name` of its own is not in
 * protobuf-c's descriptors). */
void wellknown_append_name(struct buffer *out, const char *name);
/* `text` is that name, or the original. */
bool wellknown_is_name(const char *name, struct lexer_span text);

#endif
