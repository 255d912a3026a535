/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What an error looks like in the Connect protocol: the body of a unary one, and the message that
 * ends a stream. Pure, any thread.
 */
#ifndef XENRES_RPC_CONNECT_ERROR_H
#define XENRES_RPC_CONNECT_ERROR_H

#include <protobuf-c/protobuf-c.h>

#include "common/buffer.h"
#include "common/error.h"
#include "server/rpc/metadata.h"

#define CONNECT_ERROR_CONTENT_TYPE "application/json"

enum { CONNECT_ERROR_MAX_BYTES = 65536, CONNECT_DETAILS_MAX = 16 };

/* One detail of an error: a message, by its full name and its bytes. */
struct connect_detail {
    const char *type; /* "xenres.v1.XenFailure" */
    const void *bytes;
    size_t len_bytes;
};
struct connect_details {
    const char *message; /* with the characters that a failure's has not; NULL: the failure's */
    size_t count;
    struct connect_detail details[CONNECT_DETAILS_MAX];
};

/*
 * Appends {"code":…,"message":…,"details":[…]}. `details`: NULL for those that describe the failure
 * itself: xenres.v1.XenFailure always (a cause and a next step are there always: where `f` has
 * none, the usual ones of its code), google.rpc.RetryInfo where trying again helps,
 * google.rpc.BadRequest where a field is at fault. False: `out` is full, or memory ran out.
 */
bool connect_error(const struct failure *f, const struct connect_details *details,
                   struct buffer *out);

/* Appends the JSON of the message that ends a stream: {"error":…,"metadata":…}. `f` NULL: it ends
 * well. */
bool connect_end(const struct failure *f, const struct connect_details *details,
                 const struct metadata *trailers, struct buffer *out);

#endif
