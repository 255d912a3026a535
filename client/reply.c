/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/reply.h"

#include <stdlib.h>
#include <string.h>

#include "proto/wire/wire.h"

enum {
    ELEMENTS_MAX = 4 * 1024 * 1024,
    UNPACKED_PER_BYTE = 3, /* a message takes at most so many times its largest size */
};

struct reply_block {
    struct reply_block *next;
    max_align_t content[];
};

xenres_reply *reply_new(size_t message_max_bytes, struct fault *fault)
{
    xenres_reply *reply = calloc(1, sizeof(*reply));

    if (reply == NULL) {
        failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory for an answer");
        return NULL;
    }
    buffer_init(&reply->bytes, message_max_bytes);
    return reply;
}

void xenres_reply_free(xenres_reply *reply)
{
    if (reply == NULL) {
        return;
    }
    while (reply->blocks != NULL) {
        struct reply_block *next = reply->blocks->next;

        free(reply->blocks);
        reply->blocks = next;
    }
    wire_free(reply->message);
    buffer_done(&reply->bytes);
    free(reply);
}

void reply_free_at(xenres_reply **reply)
{
    xenres_reply_free(*reply);
}

void *reply_array(xenres_reply *reply, size_t count, size_t element_bytes, struct fault *fault)
{
    struct reply_block *block = NULL;
    size_t bytes;

    if (!__builtin_mul_overflow(count, element_bytes, &bytes) &&
        bytes < SIZE_MAX / 2 - sizeof(*block)) {
        block = calloc(1, sizeof(*block) + bytes);
    }
    if (block == NULL) {
        failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory for an answer");
        return NULL;
    }
    block->next = reply->blocks;
    reply->blocks = block;
    return block->content;
}

int reply_unpack(xenres_reply *reply, const ProtobufCMessageDescriptor *type, struct fault *fault)
{
    const struct wire_limits limits = {
        .len_max_bytes = reply->bytes.max_bytes,
        .elements_max = ELEMENTS_MAX,
        .memory_max_bytes = reply->bytes.max_bytes * UNPACKED_PER_BYTE,
    };
    struct failure why = { 0 };
    int result = wire_unpack(type, reply->bytes.data, reply->bytes.len_bytes, &limits,
                             &reply->message, &why);

    if (result == -ERROR_RESOURCE_EXHAUSTED) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "the answer is too large: %s",
                           why.message);
    }
    if (result != 0) {
        result = failure_set(&fault->failure, ERROR_INTERNAL,
                             "the answer is no message of the type that it should be");
        failure_cause(&fault->failure, result, "%s", why.message);
        return failure_next(&fault->failure, result,
                            "check that the address is xenresd's own; report it");
    }
    reply->type = type;
    reply->has_message = true;
    return 0;
}

int reply_accept(xenres_reply *reply, const ProtobufCMessageDescriptor *type, struct fault *fault)
{
    if (type != NULL) {
        return reply_unpack(reply, type, fault);
    }
    reply->has_message = true;
    return 0;
}

int reply_repack(xenres_reply *reply, struct fault *fault)
{
    size_t len = protobuf_c_message_get_packed_size(reply->message);

    buffer_reset(&reply->bytes);
    uint8_t *room = buffer_extend(&reply->bytes, len);

    if (room == NULL) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED,
                           "all pages together are more than %zu bytes", reply->bytes.max_bytes);
    }
    protobuf_c_message_pack(reply->message, room);
    return 0;
}

const void *xenres_reply_message(const xenres_reply *reply, size_t *len_bytes,
                                 const char **type_name)
{
    bool there = reply->has_message;

    if (len_bytes != NULL) {
        *len_bytes = there ? reply->bytes.len_bytes : 0;
    }
    if (type_name != NULL) {
        *type_name = there && reply->type != NULL ? reply->type->name : "";
    }
    if (!there) {
        return NULL;
    }
    return reply->bytes.data != NULL ? (const void *)reply->bytes.data : "";
}
