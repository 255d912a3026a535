/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A ReadTraceResponse as a view, and what can be wrong about one by itself. Strings and bytes stay the
 * message's, all else is the reply's. Pure. */
#ifndef XENRES_CLIENT_TRACE_MESSAGE_H
#define XENRES_CLIENT_TRACE_MESSAGE_H

#include "client/byte_numbering.h"
#include "client/reply.h"

enum { TRACE_PSB_BYTES = 16 };

struct trace_message {
    struct byte_item item; /* its kind decides which of the following is set */
    struct byte_begin place;
    union {
        xenres_trace_begin begin;
        xenres_trace_segment segment;
        xenres_trace_data data;
        xenres_trace_gap gap;
        xenres_trace_checkpoint checkpoint;
        xenres_trace_heartbeat heartbeat;
        xenres_trace_end end;
    };
};

int trace_message_read(xenres_reply *reply, struct trace_message *out, struct fault *fault);

#endif
