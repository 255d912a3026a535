/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Pages of a list: their size, and the token that says where the next one begins. A token is sealed
 * and good for the caller, the list and the arguments that it was made for: anything else is
 * -ERROR_INVALID_ARGUMENT. It grants nothing: each page is decided on anew.
 */
#ifndef XENRES_RPC_PAGE_H
#define XENRES_RPC_PAGE_H

#include <xxhash.h>

#include "server/rpc/call.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000, PAGE_PLACE_MAX_BYTES = 128 };

/* -ERROR_INVALID_ARGUMENT for a negative one. */
int page_size(int32_t asked, uint32_t *out, struct failure *f);

/* Names a caller in a token. */
XXH128_canonical_t page_caller_digest(const struct identity *who);

/* `list`: "page.domains". `place`: the list's own, of one fixed size. In the pool. */
int page_token_make(struct call *c, const char *list, const void *place, size_t place_bytes,
                    char **token, struct failure *f);
/* What to say where a token is the caller's, but its place is of other arguments. */
int page_token_of_another(struct failure *f);
/* `place` is not touched for an empty token: the beginning. */
int page_token_open(struct call *c, const char *list, const char *token, void *place,
                    size_t place_bytes, struct failure *f);

#endif
