/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What replies of all kinds have: headers, metadata, details of a failure. */
#include <assert.h>

#include "server/rpc/cors.h"
#include "server/rpc/method.h"
#include "server/rpc/state.h"

const char reply_last_resort[] =
    "{\"code\":\"resource_exhausted\",\"message\":\"the answer's end is too "
    "large, or the gateway has no memory left\",\"details\":[]}";

void reply_add_header(struct exchange *x, const char *name, const char *value)
{
    struct exchange_reply *reply = &x->reply;

    assert(reply->header_count < EXCHANGE_HEADERS_MAX);
    reply->headers[reply->header_count++] =
        (struct exchange_header){ .name = name, .value = value };
}

void reply_add_cors(struct exchange *x)
{
    if (x->rpc->options.cors != NULL) {
        reply_add_header(x, "Vary", "Origin");
    }
    if (x->origin != NULL) {
        reply_add_header(x, "Access-Control-Allow-Origin", x->origin);
        reply_add_header(x, "Access-Control-Expose-Headers", CORS_RESPONSE_HEADERS);
    }
}

void reply_add_challenge(struct exchange *x)
{
    if (x->failure.code == ERROR_UNAUTHENTICATED && x->challenge != NULL) {
        reply_add_header(x, "WWW-Authenticate", x->challenge);
    }
}

void reply_add_metadata(struct exchange *x)
{
    struct call *c = &x->call;

    for (size_t i = 0; i < c->headers.count; i++) {
        reply_add_header(x, c->headers.names[i], c->headers.values[i]);
    }
    for (size_t i = 0; i < c->trailers.count && !x->connect.is_stream; i++) {
        const char *name = pool_printf(&c->pool, "Trailer-%s", c->trailers.names[i]);

        if (name[0] == '\0') { /* memory ran out: the answer says so, or fails by it */
            return;
        }
        reply_add_header(x, name, c->trailers.values[i]);
    }
}

const struct connect_details *reply_details(const struct exchange *x)
{
    static const struct connect_details none = { .count = 0 };

    return x->call.details != NULL                 ? x->call.details
           : x->rpc->options.methods->plain_errors ? &none
                                                   : NULL;
}
