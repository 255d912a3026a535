/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One HTTP request and its answer over a handle's connections. Knows HTTP and TLS, nothing of
 * methods or messages. Whatever the server does, it ends: by an answer that is whole, at a bound,
 * at the timeout, or when the handle is cancelled; and it leaves the connection so that the next
 * request gets its own answer.
 *
 * transport_perform() is for answers that are taken whole. Those that are taken piece by piece are
 * begun, driven as often as more is wanted, and ended; between two drives nothing is read, so that a
 * caller that is slow slows the server down and not this process's memory up.
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

/* What on_data returns for a piece that it did not take: it comes again with the next drive. */
enum { TRANSPORT_HOLD = 1 };

struct transport_request {
    const char *target; /* "/xenres.v1.HostService/GetHost" */
    bool is_post;
    const void *body; /* lives until the end */
    size_t body_len_bytes;
    const char *headers[TRANSPORT_HEADERS_MAX]; /* "Name: value"; the rest NULL */
    uint32_t timeout_ms;                        /* of all of it; 0: none */
    uint32_t stall_ms; /* the longest wait for a byte within one drive; 0: `timeout_ms` */
    /* Called once with status 200, before any byte, and then for each piece. Negative: the request
     * ends with that result; the fault is filled. */
    int (*on_head)(void *arg, struct fault *fault);
    int (*on_data)(void *arg, const void *bytes, size_t len_bytes, struct fault *fault);
    /* Is what came enough for now? NULL: the end alone is. */
    bool (*is_enough)(const void *arg);
    void *arg;
};

/* A request that runs. Lies still from begin to end; zeroed before. */
struct transport {
    xenres *handle;
    struct transport_request request;
    struct buffer *refusal;
    struct fault *fault; /* of the drive that runs */
    struct curl_slist *headers;
    size_t head_bytes;
    uint64_t body_bytes;
    uint64_t progress_ns; /* when the last byte came */
    uint64_t deadline_ns; /* of a drive, where sooner than the timeouts; UINT64_MAX */
    bool head_whole;      /* its empty line came */
    bool head_told;       /* to on_head */
    bool head_too_long;
    bool is_held; /* on_data wants no more before the next drive */
    bool is_done; /* libcurl is at an end with it: `code` */
    CURLcode code;
    int result; /* of on_head and on_data; negative: the request was ended by it */
};

/* `refusal`, initialised by the caller, gets the body where the status is not 200; what is beyond
 * its maximum is dropped. Ended by transport_end() also where it fails. */
int transport_begin(struct transport *t, xenres *handle, const struct transport_request *request,
                    struct buffer *refusal, struct fault *fault);
/* Until is_enough(), or `is_done`: 0. Negative: no more will come. */
int transport_drive(struct transport *t, struct fault *fault);
/* Of the answer; 0 before it came. */
int transport_status(const struct transport *t);
/* The connection is kept where the answer came whole. A zeroed one is fine; twice too. */
void transport_end(struct transport *t);

/* All of that. 0: an HTTP answer came, whole, with any status. */
int transport_perform(xenres *handle, const struct transport_request *request, int *status,
                      struct buffer *refusal, struct fault *fault);

/* Value of a header of the answer, from on_head() until the next request; NULL where it is not
 * there or came more than once. */
const char *transport_header(xenres *handle, const char *name);

#endif
