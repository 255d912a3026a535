/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How a reply that is streamed leaves. The daemon would make each message a round of its loop, which
 * begins with a walk over all connections that are suspended. So it sends the header, and what ends
 * the reply; between them the connection is suspended once, and the pump has its socket and its TLS:
 * each message is made where it is sent, into the record that carries it, and a stream that is silent
 * holds no buffer.
 *
 * A client that closes the connection has left, and its stream is cut at once. Who closes his half of
 * it may still read: the two look alike until something is sent, so new keys are (RFC 8446, 4.6.3: a
 * record that means nothing to its reader), where there is nothing else. Nobody reads where a reset
 * answers.
 *
 * On the connection's thread until streaming_read() has parked it, on the pump's until that has
 * resumed it, and on the connection's again.
 */
#ifndef XENRES_HTTP_STREAMING_H
#define XENRES_HTTP_STREAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/http/connection.h"
#include "server/http/pump.h"
#include "server/rpc/exchange.h"

enum {
    STREAMING_RECORD_BYTES = 16384, /* the most that TLS allows; a chunk with its frame */
    STREAMING_FRAME_BYTES = 8,      /* "3ff8", and twice the end of a line */
    STREAMING_PIECE_BYTES = STREAMING_RECORD_BYTES - STREAMING_FRAME_BYTES,
    STREAMING_BRIEF_BYTES =
        64 * 1024, /* a burst of who has other things to do; else OUTFLOW_BURST_BYTES */
};

struct streaming {
    struct pump *pump;
    struct connection *connection;
    struct exchange *exchange;
    bool is_chunked; /* else the end of the connection is its end */
    bool is_probed;  /* the client has closed its half, and was sent something since */
    struct pump_entry entry;
    enum {
        STREAMING_GOES_ON,
        STREAMING_ENDED,
        STREAMING_CUT
    } state; /* under the connection's lock */

    int leaves_as; /* one of those, when a helper has seen the end: whoever has the turn */

    /* Of a chunk that the socket had no room for: whoever has the turn. */
    uint8_t *rest;
    size_t rest_at, rest_bytes;
};

/* Zeroed before. All of them live until streaming_done(). */
void streaming_init(struct streaming *s, struct pump *pump, struct connection *connection,
                    struct exchange *exchange, bool is_chunked);
void streaming_done(struct streaming *s);

/* What the daemon's callback of a reply says: 0, and it is suspended, or the stream's end. */
ssize_t streaming_read(struct streaming *s);
/* The exchange has more to say. With the connection's lock; also before it is parked, and after. */
void streaming_wake(struct streaming *s);

/* The pump's. */
pump_turn streaming_turn;

#endif
