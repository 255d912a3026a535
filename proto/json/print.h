/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The printing half of the proto3 JSON mapping, generic over protobuf-c's descriptors.
 *
 * lowerCamelCase names; 64-bit integers as strings; bytes in padded standard base64; enums by name,
 * unknown numbers as numbers; google.protobuf.Timestamp as RFC 3339 with 0, 3, 6 or 9 digits;
 * floating point with the fewest digits that read back the same, NaN and infinities as strings.
 * Characters that steer a terminal or deceive a reader are written as \u escapes, so that a
 * document may be shown as it is.
 *
 * Refused: a string that is not UTF-8, a Timestamp outside the years 1 to 9999, messages nested
 * deeper than JSON_PRINT_DEPTH_MAX. protobuf-c's descriptors do not tell a map from a list of
 * entries: it is printed as a list of entries (the API has none). Pure, any thread.
 */
#ifndef XENRES_PROTO_JSON_PRINT_H
#define XENRES_PROTO_JSON_PRINT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "common/buffer.h"
#include "common/error.h"

enum { JSON_PRINT_DEPTH_MAX = 64 };

struct json_print_options {
    bool pretty; /* a line a value, two spaces a level; else no white space at all */
    /* Also the fields that hold their default value: scalars, and lists that are empty; not
     * messages that are not there, nor the alternatives of a oneof. */
    bool with_defaults;
};

/*
 * Appends one JSON object, no newline behind it. `message` must be as protobuf-c unpacks it.
 * -ERROR_INVALID_ARGUMENT with the path to the field where it cannot be printed,
 * -ERROR_RESOURCE_EXHAUSTED where `out` reached its maximum; then `out` holds a part.
 */
int json_print(const ProtobufCMessage *message, const struct json_print_options *options,
               struct buffer *out, struct failure *f);

#endif
