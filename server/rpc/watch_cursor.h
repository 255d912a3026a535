/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Cursors of streams, as clients hold them: sealed, and good for the caller that they were given to, and
 * of domains for the filter. A cursor grants nothing: who goes on from it is decided on anew. Pure, any
 * thread.
 */
#ifndef XENRES_RPC_WATCH_CURSOR_H
#define XENRES_RPC_WATCH_CURSOR_H

#include <xxhash.h>

#include "server/resource/feeds.h"
#include "server/rpc/call.h"

/* In the pool. "" where that has no memory, or the machine has none: a cursor less. `filter`: of
 * domains; NULL: of a resource. */
char *watch_cursor_make(const struct call *c, struct pool *p, const struct feed_cursor *cursor,
                        const XXH128_canonical_t *filter);
/* -ERROR_INVALID_ARGUMENT: it is none of ours, or was not given to this caller, or for another filter.
 * Whether it is of the source that is asked for is not looked at. `same_policy`: what the caller saw then was
 * decided by the policy that is in force. */
int watch_cursor_open(const struct call *c, const char *token, const XXH128_canonical_t *filter,
                      struct feed_cursor *out, bool *same_policy, struct failure *f);
/* That it is of another source. */
int watch_cursor_of_another(struct failure *f);

#endif
