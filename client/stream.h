/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Connect's server streaming: one message asked, many answered, each in an envelope, and one that
 * says how it ended. A stream that was cut is never taken for one that ended. It is asked for again,
 * as retry.h says, as long as nothing of it was handed on.
 */
#ifndef XENRES_CLIENT_STREAM_H
#define XENRES_CLIENT_STREAM_H

#include "client/procedure.h"
#include "client/reply.h"
#include "client/retry.h"
#include "client/stream_answer.h"

struct stream_request {
    const char *method;
    const void *message;
    size_t len_bytes;
    uint32_t timeout_ms; /* of all of it; 0: none */
    uint32_t idle_timeout_ms;
    bool is_once; /* not to be asked again by itself */
};

struct xenres_stream {
    atomic_flag busy;                       /* of the public functions */
    xenres *handle;                         /* entered */
    const ProtobufCMessageDescriptor *type; /* of its messages; NULL: not known */
    bool is_idempotent;
    struct buffer target; /* "/SERVICE/METHOD" */
    struct buffer body;   /* the request in its envelope */
    struct stream_question question;
    struct stream_answer answer; /* of the try that runs */
    struct retry retry;
    bool was_handed_on; /* a message was */
    bool is_over;       /* `result` and `fault` say how; they are given again */
    int result;
    struct fault fault;
};

/* Waits until the answer's head is there and right. */
int stream_open(xenres *handle, const struct stream_request *request, xenres_stream **out,
                struct fault *fault);
/* The next message, unpacked where the method is known; *reply NULL at the end. */
int stream_next(xenres_stream *stream, xenres_reply **reply, struct fault *fault);
/* From the next wait on. */
void stream_set_idle_timeout(xenres_stream *stream, uint32_t idle_timeout_ms);
void stream_free(xenres_stream *stream);

#define STREAM_AUTO __attribute__((cleanup(stream_free_at))) xenres_stream *
void stream_free_at(xenres_stream **stream);

#endif
