/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The request of a watch as a recording keeps it, and as it is compared with one that goes on. Pure. */
#ifndef XENRES_CLI_REQUEST_H
#define XENRES_CLI_REQUEST_H

#include <xenres.h>

#include "common/buffer.h"
#include "common/error.h"

/* A WatchRequest, a WatchDomainsRequest. -ERROR_RESOURCE_EXHAUSTED: no memory. */
int request_pack(const xenres_watch_query *query, struct buffer *out);
int request_pack_domains(const char *cursor, struct buffer *out);

/* Whether a watch of `query` may go on with the recording at `path`, whose last request was
 * `recorded` (empty: none is known): resource, frames and decoding are the same.
 * -ERROR_FAILED_PRECONDITION: they are not. */
int request_check(const struct buffer *recorded, const xenres_watch_query *query, const char *path,
                  struct failure *f);

#endif
