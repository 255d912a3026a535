/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Single values of the proto3 JSON mapping: numbers and strings. Pure, any thread. */
#ifndef XENRES_PROTO_JSON_SCALAR_H
#define XENRES_PROTO_JSON_SCALAR_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "common/buffer.h"

/* Bytes of an element of this type in a protobuf-c array. */
size_t scalar_size(ProtobufCType type);
/* True for what proto3 does not send: 0, false, "", no bytes. -0.0 is none of them. */
bool scalar_is_default(ProtobufCType type, const void *at);
/* A number or boolean at `at`. */
void scalar_print(struct buffer *out, ProtobufCType type, const void *at);
/* Quoted and escaped; false where `text` is not UTF-8. */
bool scalar_print_string(struct buffer *out, const char *text);

#endif
