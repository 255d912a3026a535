/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * GET /schema/xenres.v1.binpb: the API as a google.protobuf.FileDescriptorSet, imports and comments
 * included, for clients that make their calls from it (`buf curl --schema`). Anybody who is known
 * may have it: it says nothing of this host.
 */
#include "server/rpc/schema.h"

#include "server/rpc/services.h"

static int prepare(struct call *c, struct failure *f)
{
    (void)c, (void)f;
    return 0;
}

static void add(struct exchange_reply *reply, const char *name, const char *value)
{
    reply->headers[reply->header_count++] = (struct exchange_header){ name, value };
}

static int respond(struct call *c, struct failure *f)
{
    struct exchange_reply *reply = c->reply;

    (void)f;
    reply->status = 200;
    add(reply, "Content-Type", "application/octet-stream");
    add(reply, "Cache-Control", "private, max-age=3600");
    reply->body = schema_bytes;
    reply->body_len_bytes = schema_len_bytes;
    return 0;
}

const struct handler schema_handler = { .prepare = prepare, .respond = respond };
