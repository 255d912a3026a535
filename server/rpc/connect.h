/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The Connect protocol over HTTP/1.1, as far as it can be told from a request's head: which codec,
 * which encodings, how long, and where its message is. Pure, any thread.
 */
#ifndef XENRES_RPC_CONNECT_H
#define XENRES_RPC_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/rpc/codec.h"
#include "server/rpc/compress.h"
#include "server/rpc/exchange.h"
#include "server/rpc/query.h"

enum { CONNECT_STATUS_UNSUPPORTED_TYPE = 415 };

/* The content types that a method takes, for the Accept-Post header. */
const char *connect_accept_post(bool is_stream);

struct connect_request {
    enum codec codec;
    bool codec_known; /* so errors are told as the codec's kind of call tells them */
    bool is_stream;
    enum compress_encoding encoding;        /* of the request's message */
    enum compress_encoding answer_encoding; /* that the client likes best */
    uint64_t timeout_ms;                    /* that the client allows; 0: it says nothing */

    bool is_get; /* the message is in the query, as it follows; else in the body */
    bool is_base64;
    struct query *query; /* connect_request_done(); large, and so not within each request */
    const struct query_parameter *message;
};

/*
 * Checks the head of a POST, or of a GET. On failure `out` holds what was understood.
 * -ERROR_UNIMPLEMENTED for encodings and -ERROR_UNKNOWN for codecs that are not supported (naming
 * those that are; *http_status is 415 for a codec), -ERROR_INVALID_ARGUMENT for the rest.
 */
int connect_parse_head(const struct exchange_head *head, bool is_stream,
                       struct connect_request *out, int *http_status, struct failure *f);
void connect_request_done(struct connect_request *r); /* a zeroed one is fine */

#endif
