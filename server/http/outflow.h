/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How the TLS records of a reply leave, in two ways that the daemon has no option for:
 *
 * The header waits for the body, so that a short reply is one record, one segment, one system call
 * and one wake-up of its reader. The daemon writes the body right behind the header, and again when
 * the socket has room; a header that no body follows must not be announced as one.
 *
 * A body goes in bursts. The daemon asks for one record (16 KiB) in each round of its loop, and a
 * round is a poll() over all connections of its thread: a fifth of the CPU of a large reply. So it
 * sends until the socket is full or the burst is over.
 *
 * For both, this module defines gnutls_record_send(), in front of the library's own (the dynamic
 * linker takes the executable's first). Where that does not take effect, replies are dearer, and the
 * same.
 *
 * On the connection's thread only.
 */
#ifndef XENRES_HTTP_OUTFLOW_H
#define XENRES_HTTP_OUTFLOW_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    OUTFLOW_HEADER_MAX_BYTES = 2048,  /* longer ones do not wait */
    OUTFLOW_BURST_BYTES = 256 * 1024, /* then the thread's other connections have their turn */
};

struct outflow {
    int fd;              /* the connection's; not owned */
    bool header_waits;   /* the next that is sent is a header, and a body follows it */
    uint16_t held_bytes; /* of a header, not encrypted yet */
    uint8_t held[OUTFLOW_HEADER_MAX_BYTES];
};

/* Makes the session send through `o`, which lives as long as it. */
void outflow_begin(struct outflow *o, int fd, gnutls_session_t session);
/* What the session sends next is one header; does a body follow it? */
void outflow_expect_header(struct outflow *o, bool with_body);

#endif
