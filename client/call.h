/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Connect's unary call: POST, the bare message both ways, errors as JSON. */
#ifndef XENRES_CLIENT_CALL_H
#define XENRES_CLIENT_CALL_H

#include <protobuf-c/protobuf-c.h>

#include "client/handle.h"
#include "client/reply.h"

/* `method`: one of client/procedure.c's that is no stream. The reply has its message unpacked. Sent
 * again, as retry.h says, where that may be. The handle must be entered. */
int call_method(xenres *handle, const char *method, const ProtobufCMessage *request,
                xenres_reply **reply, struct fault *fault);

/* A string for a request's field: packing only reads it, but protobuf-c has no const. NULL is "".
 * */
static inline char *call_string(const char *text)
{
    return (char *)(uintptr_t)(text != NULL ? text : "");
}

/* Packs into an empty buffer; false where memory ran out. */
bool call_pack(const ProtobufCMessage *message, struct buffer *out);

#endif
