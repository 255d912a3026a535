/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Cross-origin requests (the Fetch standard): pages of which origins may read what this gateway
 * answers in a browser. Off with no origins. It is the browser that this protects, with the user's
 * rights in it; it lets nobody in who is not let in without it. A preflight carries no client
 * certificate, so it arrives only where certificates are not required. Immutable, any thread.
 */
#ifndef XENRES_RPC_CORS_H
#define XENRES_RPC_CORS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum { CORS_ORIGINS_MAX = 16, CORS_ORIGIN_MAX_BYTES = 256 };

#define CORS_REQUEST_HEADERS                                                                       \
    "Content-Type, Content-Encoding, Connect-Protocol-Version, Connect-Timeout-Ms, "               \
    "Connect-Accept-Encoding, Connect-Content-Encoding, Authorization, If-None-Match"
#define CORS_METHODS          "GET, POST"
#define CORS_RESPONSE_HEADERS "*, ETag" /* `*` is all but where credentials go along */
#define CORS_MAX_AGE_S        "7200"    /* how long a browser may remember it */

struct cors;

/* From a list with spaces between: "https://dash.example https://other:8443". NULL and 0 for an
 * empty one. -ERROR_INVALID_ARGUMENT for what is no origin (scheme, host and perhaps a port,
 * nothing behind it; `*` is none: it would be every page of the Internet). */
int cors_parse(const char *list, struct cors **out, struct failure *f);
void cors_free(struct cors *c); /* NULL is fine */

/* Is `origin`, as the browser sent it, one of them? NULL `c`: no. */
bool cors_allows(const struct cors *c, const char *origin);

#endif
