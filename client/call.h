/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Connect's unary call: POST, the bare message both ways, errors as JSON. */
#ifndef XENRES_CLIENT_CALL_H
#define XENRES_CLIENT_CALL_H

#include <protobuf-c/protobuf-c.h>

#include "client/handle.h"
#include "client/reply.h"

/* `method`: "xenres.v1.HostService/GetHost". The reply has its message unpacked as `answer`. The
 * handle must be entered. */
int call_method(xenres *handle, const char *method, const ProtobufCMessage *request,
                const ProtobufCMessageDescriptor *answer, xenres_reply **reply,
                struct fault *fault);

/* A string for a request's field: packing only reads it, but protobuf-c has no const. NULL is "".
 * */
static inline char *call_string(const char *text)
{
    return (char *)(uintptr_t)(text != NULL ? text : "");
}

/* A header's value is `type`, or `type` with parameters behind. Any case. */
bool call_is_content_type(const char *value, const char *type);

#endif
