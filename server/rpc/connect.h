/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The Connect protocol over HTTP/1.1, as far as it can be told from headers and bodies: what a
 * unary request's head has to be, and what an error looks like. Pure, any thread.
 */
#ifndef XENRES_RPC_CONNECT_H
#define XENRES_RPC_CONNECT_H

#include "common/buffer.h"
#include "common/error.h"
#include "server/rpc/exchange.h"

#define CONNECT_CONTENT_TYPE_PROTO "application/proto"
#define CONNECT_CONTENT_TYPE_ERROR "application/json"

enum { CONNECT_ERROR_MAX_BYTES = 8192, CONNECT_STATUS_UNSUPPORTED_TYPE = 415 };

/*
 * Checks the head of a unary POST. *timeout_ms: what the client allows, 0 where it says nothing.
 * Failures: -ERROR_UNIMPLEMENTED for codecs and encodings that are not supported (naming those that
 * are; *http_status is 415 for a codec), -ERROR_INVALID_ARGUMENT for the rest.
 */
int connect_check_head(const struct exchange_head *head, uint64_t *timeout_ms, int *http_status,
                       struct failure *f);

/* A failure as the body of an error, with its XenFailure. A cause and a next step are there always:
 * where `f` has none, the usual ones of its code. False: `out` is full, or memory ran out. */
bool connect_error(const struct failure *f, struct buffer *out);

#endif
