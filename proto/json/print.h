/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The printing half of the proto3 JSON mapping, generic over protobuf-c's descriptors.
 *
 * lowerCamelCase names; 64-bit integers as strings; bytes in padded standard base64; enums by name,
 * unknown numbers as numbers, NullValue as null; maps (proto/json/wellknown.h) as objects; Timestamp,
 * Duration, FieldMask, Struct, Value, ListValue, Any and the wrapper types of google.protobuf in
 * their own forms; floating point with the fewest digits that read back the same, NaN and infinities
 * as strings. Characters that steer a terminal or deceive a reader are written as \u escapes, so that
 * a document may be shown as it is.
 *
 * Refused: a string that is not UTF-8; a Timestamp outside the years 1 to 9999, a Duration beyond
 * 10,000 years or with two signs, a FieldMask's path that lowerCamelCase cannot spell, a Value of no
 * kind or that is not finite, an Any of a type that is not known, that does not hold what its type
 * says or takes more than JSON_PRINT_ANY_MAX_BYTES unpacked (a peer may have made it); messages
 * nested deeper than JSON_PRINT_DEPTH_MAX (a map's entries are not counted). Pure, any thread.
 */
#ifndef XENRES_PROTO_JSON_PRINT_H
#define XENRES_PROTO_JSON_PRINT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "common/buffer.h"
#include "common/error.h"
#include "proto/json/wellknown.h"

enum { JSON_PRINT_DEPTH_MAX = 64, JSON_PRINT_ANY_MAX_BYTES = 64 << 20 };

struct json_print_options {
    bool pretty; /* a line a value, two spaces a level; else no white space at all */
    /* Also the fields that hold their default value: scalars, and lists that are empty; not
     * messages that are not there, nor the alternatives of a oneof. */
    bool with_defaults;
    const struct json_types *types; /* that Any may hold; NULL: none */
};

/*
 * Appends one JSON object, no newline behind it. `message` must be as protobuf-c unpacks it.
 * -ERROR_INVALID_ARGUMENT with the path to the field where it cannot be printed,
 * -ERROR_RESOURCE_EXHAUSTED where `out` reached its maximum; then `out` holds a part.
 */
int json_print(const ProtobufCMessage *message, const struct json_print_options *options,
               struct buffer *out, struct failure *f);

#endif
