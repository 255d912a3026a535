/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How the TLS records of a request arrive: short ones with one system call instead of two. GnuTLS
 * reads the head of a record, and then what the head says. Here more is read with the head, and kept
 * until it is asked for: a twentieth of the CPU of a short request and its reply.
 *
 * The daemon waits for the socket, and would not know of what is kept. So nothing is, between its
 * calls: no more is read ahead in a call than the call has room for, all records that came with it
 * are given to that call, and during the handshake nothing is read ahead.
 *
 * While rpc has the request, nothing comes at all: a connection that is resumed is read from before
 * the daemon takes up its reply, and ended where the client has closed his half by then; he would not
 * get what he asked for. What he says meanwhile is read behind the reply.
 *
 * For this, the module defines gnutls_record_recv(), in front of the library's own, as outflow.h
 * says of sending. Where that does not take effect, nothing is read ahead.
 *
 * On the connection's thread only.
 */
#ifndef XENRES_HTTP_INFLOW_H
#define XENRES_HTTP_INFLOW_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INFLOW_AHEAD_MAX_BYTES = 1024 }; /* longer records take a second call */

struct inflow {
    int fd;              /* the connection's; not owned */
    bool held;           /* nothing comes; whoever owns the connection sets and clears it */
    uint16_t room_bytes; /* how much may be read ahead; 0 outside of gnutls_record_recv() */
    uint16_t ahead_at, ahead_end;
    uint8_t ahead[INFLOW_AHEAD_MAX_BYTES];
};

/* Makes the session receive through `i`, which lives as long as it, and has to be its receiving
 * transport pointer. */
void inflow_begin(struct inflow *i, int fd, gnutls_session_t session);

#endif
