/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Protobuf bytes from a peer → a protobuf-c message, for the server and the client alike.
 *
 * protobuf-c alone trusts too much: it recurses as deep as the bytes say, allocates what they say,
 * and cuts strings at an embedded NUL. So the bytes are scanned first, along the descriptor, with
 * bounds; then they are unpacked by an allocator with a maximum. Pure, any thread.
 */
#ifndef XENRES_PROTO_WIRE_H
#define XENRES_PROTO_WIRE_H

#include <protobuf-c/protobuf-c.h>

#include "common/error.h"

enum { WIRE_DEPTH_MAX = 32 }; /* messages within messages, the outermost counted */

struct wire_limits {
    size_t len_max_bytes;    /* of the bytes; exactly so many pass */
    uint32_t elements_max;   /* fields, and elements of packed ones, at all levels together */
    size_t memory_max_bytes; /* that unpacking may allocate, in all */
};

/*
 * -ERROR_RESOURCE_EXHAUSTED beyond a limit (memory that runs out too), -ERROR_INVALID_ARGUMENT
 * where the bytes are no message of this type: truncated, a wrong wire type, a group, a string that
 * is not UTF-8 or holds a NUL, field number 0. The message names the field, and the failure's `field`
 * is the path to it, without the numbers of elements ("filter.name_glob"). Unknown fields and unknown
 * enum numbers pass, and are kept.
 */
int wire_scan(const ProtobufCMessageDescriptor *type, const void *bytes, size_t len_bytes,
              const struct wire_limits *limits, struct failure *f);
/* Scans and unpacks. Release with wire_free(). */
int wire_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t len_bytes,
                const struct wire_limits *limits, ProtobufCMessage **out, struct failure *f);
void wire_free(ProtobufCMessage *message); /* NULL is fine */

#endif
