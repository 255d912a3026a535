/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/codec.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "proto/json/parse.h"
#include "proto/json/print.h"

static const struct {
    const char *name, *unary, *stream;
} codecs[CODEC_COUNT] = {
    [CODEC_PROTO] = { "proto", "application/proto", "application/connect+proto" },
    [CODEC_JSON] = { "json", "application/json", "application/connect+json" },
};

const char *codec_content_type(enum codec codec, bool is_stream)
{
    return is_stream ? codecs[codec].stream : codecs[codec].unary;
}

/* True where `value` is this media type, parameters aside. */
static bool is_media_type(const char *value, const char *type)
{
    size_t len = strcspn(value, ";");

    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t')) {
        len--;
    }
    return len == strlen(type) && strncasecmp(value, type, len) == 0;
}

bool codec_find(const char *content_type, bool is_stream, enum codec *out)
{
    for (int i = 0; i < CODEC_COUNT; i++) {
        if (is_media_type(content_type, codec_content_type((enum codec)i, is_stream))) {
            *out = (enum codec)i;
            return true;
        }
    }
    return false;
}

bool codec_find_name(const char *name, enum codec *out)
{
    for (int i = 0; i < CODEC_COUNT; i++) {
        if (strcmp(name, codecs[i].name) == 0) {
            *out = (enum codec)i;
            return true;
        }
    }
    return false;
}

int codec_decode(enum codec codec, const ProtobufCMessageDescriptor *type, const void *bytes,
                 size_t len_bytes, const struct wire_limits *limits, const struct json_types *types,
                 ProtobufCMessage **out, struct failure *f)
{
    const struct json_parse_options options = { .types = types };

    if (codec == CODEC_PROTO || len_bytes == 0) {
        return wire_unpack(type, bytes, len_bytes, limits, out, f);
    }
    return json_parse(type, bytes, len_bytes, limits, &options, out, f);
}

static int encode_proto(const ProtobufCMessage *message, struct buffer *out, struct failure *f)
{
    size_t len_bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *body = len_bytes > 0 ? buffer_extend(out, len_bytes) : NULL;

    if (body == NULL && len_bytes > 0) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "the answer has %zu bytes, more than %zu",
                           len_bytes, out->max_bytes);
    }
    size_t packed = len_bytes > 0 ? protobuf_c_message_pack(message, body) : 0;

    assert(packed == len_bytes);
    return 0;
}

int codec_encode(enum codec codec, const ProtobufCMessage *message, const struct json_types *types,
                 struct buffer *out, struct failure *f)
{
    const struct json_print_options options = { .types = types };

    return codec == CODEC_PROTO ? encode_proto(message, out, f)
                                : json_print(message, &options, out, f);
}
