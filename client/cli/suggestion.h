/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * "Did you mean": of the names that may stand somewhere, the one nearest to what was typed there, if
 * any is near: a beginning of it, its part behind a '/', or few letters away (added, left out,
 * changed, or swapped with their neighbour). Case does not count. Pure.
 */
#ifndef XENRES_CLI_SUGGESTION_H
#define XENRES_CLI_SUGGESTION_H

#include <stddef.h>

enum {
    SUGGESTION_NAME_MAX_BYTES = 63, /* longer ones are neither typed wrong nor offered */
    SUGGESTION_TEXT_BYTES = SUGGESTION_NAME_MAX_BYTES + 24,
};

struct suggestion {
    char given[SUGGESTION_NAME_MAX_BYTES + 1]; /* "": too long, nothing is near to it */
    char best[SUGGESTION_NAME_MAX_BYTES + 1];  /* "": none so far */
    unsigned distance;                         /* of `best` */
};

/* `given`: the first `len` bytes of it. */
void suggestion_begin(struct suggestion *s, const char *given, size_t len);
void suggestion_offer(struct suggestion *s, const char *name);
/* " (did you mean \"NAME\"?)", or "" where none is near. Returns `out`. */
const char *suggestion_text(const struct suggestion *s, char out[SUGGESTION_TEXT_BYTES]);

#endif
