/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The query of a Connect GET (`connect=v1&encoding=proto&base64=1&message=…`) → names and bytes.
 * Other than those of the raw endpoints (uri.h), its values may be any bytes, since a message is
 * one; and `+` is a space, as in forms, which is how some clients write it. Refused: an incomplete
 * escape, a name twice, a NUL in a name, more than the maxima. Pure, any thread.
 */
#ifndef XENRES_RPC_QUERY_H
#define XENRES_RPC_QUERY_H

#include <stddef.h>

#include "common/buffer.h"
#include "common/error.h"

enum { QUERY_PARAMETERS_MAX = 32, QUERY_MAX_BYTES = 16384 };

struct query_parameter {
    const char *name, *value; /* NUL-ended; a value may hold NULs */
    size_t name_len, value_len;
};

struct query {
    struct buffer storage; /* what the others point into */
    size_t count;
    struct query_parameter parameters[QUERY_PARAMETERS_MAX];
};

/* `query`: behind the target's `?`, "" for none. -ERROR_INVALID_ARGUMENT, -ERROR_RESOURCE_EXHAUSTED
 * without memory. */
int query_parse(const char *query, struct query *out, struct failure *f);
void query_done(struct query *q); /* a zeroed one is fine */

const struct query_parameter *query_find(const struct query *q, const char *name); /* or NULL */
/* The value of one that is text; NULL where it is not there. One that holds a NUL is not cut there:
 * it becomes one that no parameter has. */
const char *query_text(const struct query *q, const char *name);

#endif
