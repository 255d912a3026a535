/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How the TLS records of a reply leave, in three ways that the daemon has no option for:
 *
 * The header waits for the body, so that a short reply is one record, one segment, one system call
 * and one wake-up of its reader. The daemon writes the body right behind the header, and again when
 * the socket has room; a header that no body follows must not be announced as one.
 *
 * A body goes in bursts. The daemon asks for one record (16 KiB) in each round of its loop, and a
 * round is a poll() over all connections of its thread: a fifth of the CPU of a large reply. So it
 * sends until the socket is full or the burst is over.
 *
 * The lines of a header that a body follows are put into it here. The daemon copies each of them
 * four times, into memory of its own each: a fifth of the CPU of a short reply.
 *
 * For all of them, this module defines gnutls_record_send(), in front of the library's own (the
 * dynamic linker takes the executable's first). Where that does not take effect, replies are dearer,
 * and the same: lines are taken only of sessions that were seen to send through here.
 *
 * On the connection's thread only.
 */
#ifndef XENRES_HTTP_OUTFLOW_H
#define XENRES_HTTP_OUTFLOW_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/rpc/exchange.h"

enum {
    OUTFLOW_HEADER_MAX_BYTES = 2048, /* longer ones do not wait */
    OUTFLOW_DAEMON_MAX_BYTES = 512,  /* of it, room for what the daemon writes itself */
    OUTFLOW_LINES_MAX_BYTES = OUTFLOW_HEADER_MAX_BYTES - OUTFLOW_DAEMON_MAX_BYTES,
    OUTFLOW_BURST_BYTES = 1 << 20, /* as a step of the mapper; then the thread's other
                                         connections have their turn */
};

struct outflow {
    int fd;              /* the connection's; not owned */
    bool is_in_effect;   /* the session has sent through here */
    bool header_waits;   /* the next that is sent is a header, and a body follows it */
    uint16_t line_bytes; /* in `held`, of the header that is to come */
    uint16_t held_bytes; /* of a header, not encrypted yet */
    uint8_t held[OUTFLOW_HEADER_MAX_BYTES];
};

/* Makes the session send through `o`, which lives as long as it, and has to be its sending transport
 * pointer; the receiving one is another. */
void outflow_begin(struct outflow *o, int fd, gnutls_session_t session);
/* What the session sends next is one header; does a body follow it? True: it will have `lines`.
 * False: the daemon has to be given them. */
bool outflow_expect_header(struct outflow *o, bool with_body, const struct exchange_header *lines,
                           size_t count);

#endif
