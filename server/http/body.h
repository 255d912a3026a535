/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Requests: from the daemon's callbacks to rpc's exchange, and the reply back.
 *
 * No thread of the daemon ever waits for an exchange: the connection is suspended, and resumed by
 * whoever completes it. Replies are sent from where rpc holds them, without a copy, and rpc's
 * exchange goes when the last byte is with the kernel. A reply that is streamed is the pump's to send
 * (streaming.h). A request outlives its connection where its exchange still runs: it is counted.
 */
#ifndef XENRES_HTTP_BODY_H
#define XENRES_HTTP_BODY_H

#include <microhttpd.h>

#include "server/http/connection.h"
#include "server/http/pump.h"
#include "server/http/tally.h"
#include "server/rpc/exchange.h"

enum {
    /* Of a body that is refused, so much is read and thrown away for the sake of a proper answer on
     * a connection that goes on; a longer one ends the connection. */
    BODY_DISCARD_MAX_BYTES = 64 * 1024,
    /* So many bearer tokens that are not accepted end a connection: the next ones cost a handshake. */
    BODY_TOKENS_REFUSED_MAX = 3,
};

/* What all requests of a listener share: the argument of the callbacks. */
struct body {
    struct rpc *rpc;
    struct connections *connections;
    struct pump *pump;
    struct tally *tally;
    struct handshakes *handshakes;
    struct credentials_place *credentials;
    const struct identity *everyone; /* see struct listener_options */
};

/* The daemon's callbacks: request line read; head, body and end; done or dropped. */
void *body_on_target(void *arg, const char *target, struct MHD_Connection *mhd);
enum MHD_Result body_on_request(void *arg, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *bytes,
                                size_t *len_bytes, void **request);
void body_on_completed(void *arg, struct MHD_Connection *mhd, void **request,
                       enum MHD_RequestTerminationCode how);

/* Resumes a connection whose exchange still runs; with `abandoning` set it closes without a reply,
 * or in the middle of its stream, as soon as the pump has let go of it. Any thread. */
void body_abandon(struct connection *c, void *arg);

#endif
