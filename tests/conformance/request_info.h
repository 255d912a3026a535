/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What the service tells of a request: its headers, its timeout, its message, its query. */
#ifndef XENRES_TESTS_CONFORMANCE_REQUEST_INFO_H
#define XENRES_TESTS_CONFORMANCE_REQUEST_INFO_H

#include "server/rpc/call.h"

struct Connectrpc__Conformance__V1__ConformancePayload__RequestInfo;
struct Google__Protobuf__Any;

/* In c->pool; NULL where that has no more. */
struct Connectrpc__Conformance__V1__ConformancePayload__RequestInfo *request_info(struct call *c);
/* A message in a google.protobuf.Any. */
struct Google__Protobuf__Any *request_info_any(struct pool *p, const ProtobufCMessage *message);

#endif
