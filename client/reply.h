/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What an answer is made of: the message's bytes, the message unpacked, and the view over it. The
 * view's strings and bytes are those of the unpacked message, its arrays are allocations of the
 * reply. All of it goes with reply_free(). One owner at a time, any thread.
 */
#ifndef XENRES_CLIENT_REPLY_H
#define XENRES_CLIENT_REPLY_H

#include <protobuf-c/protobuf-c.h>

#include "client/fault.h"
#include "common/buffer.h"

struct reply_block;

struct xenres_reply {
    struct buffer bytes; /* of the message; its maximum is the handle's */
    bool has_message;
    const ProtobufCMessageDescriptor *type; /* NULL: not known */
    ProtobufCMessage *message; /* NULL where the type is not known, or nobody unpacked it */
    struct reply_block *blocks;
};

#define REPLY_AUTO __attribute__((cleanup(reply_free_at))) xenres_reply *
void reply_free_at(xenres_reply **reply);

/* NULL when memory ran out, with the fault filled. */
xenres_reply *reply_new(size_t message_max_bytes, struct fault *fault);
/* `count` zeroed elements that live as long as the reply; NULL when memory ran out, with the fault
 * filled. Not NULL for a count of 0. */
void *reply_array(xenres_reply *reply, size_t count, size_t element_bytes, struct fault *fault);

/* Checks and unpacks `bytes` as `type`. A message that is none is an internal error of the server.
 * */
int reply_unpack(xenres_reply *reply, const ProtobufCMessageDescriptor *type, struct fault *fault);
/* The same where the type is known; else (NULL) the message is any bytes. */
int reply_accept(xenres_reply *reply, const ProtobufCMessageDescriptor *type, struct fault *fault);
/* Makes `bytes` anew from the message, which was changed. */
int reply_repack(xenres_reply *reply, struct fault *fault);

#endif
