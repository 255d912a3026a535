/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One HTTP request and its answer over a handle's connections. Knows HTTP and TLS, nothing of
 * methods or messages. Whatever the server does, it ends: by an answer that is whole, at a bound,
 * or at the timeout; and it leaves the connection so that the next request gets its own answer.
 */
#ifndef XENRES_CLIENT_TRANSPORT_H
#define XENRES_CLIENT_TRANSPORT_H

#include <stdbool.h>

#include "client/handle.h"
#include "common/buffer.h"

enum {
    TRANSPORT_HEADERS_MAX = 6,
    TRANSPORT_HEADERS_MAX_BYTES = 64 * 1024, /* of an answer's head */
    TRANSPORT_REFUSAL_MAX_BYTES = 64 * 1024, /* of the body beside a status other than 200 */
};

struct transport_request {
    const char *target; /* "/xenres.v1.HostService/GetHost" */
    bool is_post;
    const void *body;
    size_t body_len_bytes;
    const char *headers[TRANSPORT_HEADERS_MAX]; /* "Name: value"; the rest NULL */
    uint32_t timeout_ms;                        /* of all of it */
    uint32_t stall_ms; /* the longest without a byte of progress; 0: `timeout_ms` */
    /* Called once with status 200, before any byte, and then for each piece. Not 0: the request
     * ends with that result; the fault is filled. */
    int (*on_head)(void *arg, struct fault *fault);
    int (*on_data)(void *arg, const void *bytes, size_t len_bytes, struct fault *fault);
    void *arg;
};

/* 0: an HTTP answer came, whole, with any status. `refusal`, initialised by the caller, gets the
 * body where the status is not 200; what is beyond its maximum is dropped. */
int transport_perform(xenres *handle, const struct transport_request *request, int *status,
                      struct buffer *refusal, struct fault *fault);

/* Value of a header of the answer, from on_head() until the next request; NULL where it is not
 * there or came more than once. */
const char *transport_header(xenres *handle, const char *name);

#endif
