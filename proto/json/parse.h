/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The parsing half of the proto3 JSON mapping, generic over protobuf-c's descriptors: text from a
 * peer → a protobuf-c message, in one pass, without a tree of the text in between.
 *
 * Taken: lowerCamelCase and original names; integers as numbers or strings, in any spelling of an
 * integral value (`1e3`, "5"); floating point as numbers or strings, "NaN", "Infinity",
 * "-Infinity"; bytes in base64 of either alphabet, padded or not; enums by name or number; `null`
 * for a field's default (the null value where the field is a google.protobuf.Value); maps
 * (proto/json/wellknown.h) as objects; Timestamp, Duration, FieldMask, Struct, Value, ListValue,
 * Any, the wrapper types and Empty of google.protobuf in their own forms.
 *
 * Refused: what is not JSON; a field given twice, in either spelling; two alternatives of one oneof;
 * a name twice in a map; a wrong kind of value; a number outside its type's range; a name that the
 * enum has not (its meaning cannot be kept, as a number's can); a string that is not UTF-8, has half
 * a surrogate pair or a NUL. One exception to the mapping: a bare integer beyond 2^63-1 for a 64-bit
 * field is refused, its string form is taken: many a JSON library has changed it before it came here.
 *
 * proto3 only: that a required field is missing is not noticed. Pure, any thread.
 */
#ifndef XENRES_PROTO_JSON_PARSE_H
#define XENRES_PROTO_JSON_PARSE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "common/error.h"
#include "proto/json/wellknown.h"
#include "proto/wire/wire.h"

enum { JSON_PARSE_FIELDS_MAX = 512 }; /* of one message type */

struct json_parse_options {
    /* Fields that the type has not are refused; else they are ignored, and only their form is
     * looked at (nested at most LEXER_SKIP_DEPTH_MAX). */
    bool refuse_unknown;
    const struct json_types *types; /* that Any may hold; NULL: none */
};

/*
 * `*out` changes only on success; release it with wire_free(). `options`: NULL is all zero.
 *
 * The limits are those of proto/wire, so that what is taken here is taken there once packed: at most
 * WIRE_DEPTH_MAX messages within each other (a map's entries are messages, and so are the values
 * within a google.protobuf.Value), `len_max_bytes` of text, `elements_max` members of objects and
 * elements of lists, `memory_max_bytes` for the message. Beside that, at most twice the text's length
 * is allocated, and given back. -ERROR_RESOURCE_EXHAUSTED beyond one of them.
 *
 * -ERROR_INVALID_ARGUMENT where the text is refused. Then the failure's `field` is the path to the
 * place, from the message's fields by their original names ("filter.states[3]", cut at the end where
 * it is longer than the failure has room for), "" for the outermost value; the message has it too.
 */
int json_parse(const ProtobufCMessageDescriptor *type, const void *text, size_t len_bytes,
               const struct wire_limits *limits, const struct json_parse_options *options,
               ProtobufCMessage **out, struct failure *f);

#endif
