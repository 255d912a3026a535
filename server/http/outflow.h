/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * How the TLS records of a reply leave: the header's record waits for the first of the body, so that
 * a short reply is one segment and one wake-up of its reader; and the kernel is told where more of
 * the body follows, so that it makes large segments. Costs no copy but the header's.
 *
 * On the connection's thread only. Whatever this gets wrong about lengths costs time, never bytes: the
 * kernel holds back at most a segment, for 200 ms.
 */
#ifndef XENRES_HTTP_OUTFLOW_H
#define XENRES_HTTP_OUTFLOW_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>

enum { OUTFLOW_HEADER_MAX_BYTES = 2048 };   /* of a header's record; longer ones do not wait */

struct outflow {
    int fd;                     /* the connection's; not owned */
    bool header_waits;          /* the next record is a header, and a body follows it */
    uint64_t body_bytes;        /* of the reply's records that are still to come */
    uint16_t held_bytes;
    uint8_t held[OUTFLOW_HEADER_MAX_BYTES];
};

/* Makes the session send through `o`, which lives as long as it. */
void outflow_begin(struct outflow *o, int fd, gnutls_session_t session);
/* A header comes next, and `body_len_bytes` behind it; 0: the header is all. */
void outflow_expect(struct outflow *o, uint64_t body_len_bytes);

#endif
