/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A request's target (RFC 9112 origin form, RFC 3986 path and query) → decoded segments and
 * parameters. Strict: one spelling of a request is never two requests. Refused: anything but the
 * characters of path and query; incomplete escapes; what decodes to NUL or to no UTF-8; `.` and
 * `..` as segments; a parameter twice; more than the maxima. `+` is a plus. Pure, any thread.
 */
#ifndef XENRES_RPC_URI_H
#define XENRES_RPC_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum {
    URI_MAX_BYTES = 8192,
    URI_SEGMENTS_MAX = 16,
    URI_PARAMETERS_MAX = 16,
};

struct uri_parameter {
    const char *name;
    const char *value; /* "" without `=` */
};

struct uri {
    char *storage; /* what the others point into */
    size_t segment_count, parameter_count;
    const char *segments[URI_SEGMENTS_MAX]; /* "/" has one, which is empty */
    struct uri_parameter parameters[URI_PARAMETERS_MAX];
};

/* -ERROR_INVALID_ARGUMENT; -ERROR_RESOURCE_EXHAUSTED without memory. */
int uri_parse(const char *target, struct uri *out, struct failure *f);
void uri_done(struct uri *u); /* a zeroed one is fine */

/* NULL where it is not there. */
const char *uri_parameter(const struct uri *u, const char *name);

/* True where `pattern` ("/v1/domains/{domain}/frames") has the same segments; `{…}` is any that is
 * not empty. */
bool uri_matches(const struct uri *u, const char *pattern);

#endif
