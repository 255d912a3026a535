/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The two forms of a message, protobuf and JSON: to and from bytes, with bounds. Pure, any thread. */
#ifndef XENRES_RPC_CODEC_H
#define XENRES_RPC_CODEC_H

#include <protobuf-c/protobuf-c.h>

#include "common/buffer.h"
#include "common/error.h"
#include "proto/wire/wire.h"

struct json_types;

enum codec { CODEC_PROTO, CODEC_JSON, CODEC_COUNT };

/* "application/proto", "application/connect+json". */
const char *codec_content_type(enum codec codec, bool is_stream);
/* By a header's value, parameters aside; false: it is none of them. */
bool codec_find(const char *content_type, bool is_stream, enum codec *out);
/* By the name in a query: "proto", "json". */
bool codec_find_name(const char *name, enum codec *out);

/* No bytes are an empty message in either. Release with wire_free(). `types`: those that may stand
 * in a google.protobuf.Any; NULL for none. Failures: as wire_unpack() and json_parse(). */
int codec_decode(enum codec codec, const ProtobufCMessageDescriptor *type, const void *bytes,
                 size_t len_bytes, const struct wire_limits *limits, const struct json_types *types,
                 ProtobufCMessage **out, struct failure *f);
/* Appends. -ERROR_RESOURCE_EXHAUSTED where `out` has no room for it. */
int codec_encode(enum codec codec, const ProtobufCMessage *message, const struct json_types *types,
                 struct buffer *out, struct failure *f);

#endif
