/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Headers and trailers that a handler gives its answer: names and values in the order in which they
 * were added, a name as often as it likes. One exchange's, in its pool. */
#ifndef XENRES_RPC_METADATA_H
#define XENRES_RPC_METADATA_H

#include <stdbool.h>
#include <stddef.h>

#include "server/rpc/pool.h"

enum { METADATA_MAX = 16 };

struct metadata {
    size_t count;
    const char *names[METADATA_MAX], *values[METADATA_MAX];
};

/* A token (RFC 9110, section 5.6.2), as the name of every header has to be. */
bool metadata_is_name(const char *name);

/* Copies both. False, and nothing was added: one too many, memory ran out, a name that is no token
 * or that the protocols have for themselves (`connect-…`, `content-…`, `trailer…`, `connection`,
 * `transfer-encoding`), a value that no header can have. */
bool metadata_add(struct metadata *m, struct pool *p, const char *name, const char *value);

#endif
