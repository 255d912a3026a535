/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the head of a request says: single headers, and how its body is framed. Framing that two
 * readers could take differently is a fault (RFC 9112, 6.3): that is what request smuggling through
 * a proxy is made of. On the connection's thread, while the daemon has the request.
 */
#ifndef XENRES_HTTP_HEADING_H
#define XENRES_HTTP_HEADING_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

struct heading_search {
    const char *name;
    const char *value; /* of the first; NULL: there is none. The daemon's */
    unsigned count;
};
/* By name, any case. */
struct heading_search heading_find(struct MHD_Connection *mhd, const char *name);

struct framing {
    bool has_body;
    bool has_length; /* else chunked, where it has a body */
    uint64_t length_bytes;
    bool expects_continue;
    const char *fault; /* what is wrong with it: "the request has …"; NULL: nothing */
};
struct framing heading_framing(struct MHD_Connection *mhd, const char *version);

#endif
