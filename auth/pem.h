/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * PEM texts of blocks of one kind, and nothing skipped: what else is in one was put there by mistake,
 * and what is in it and cannot be honoured must not seem to be. Any thread.
 */
#ifndef XENRES_AUTH_PEM_H
#define XENRES_AUTH_PEM_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct pem_kind {
    const char *label; /* "CERTIFICATE" */
    const char *noun;  /* "certificate" */
    unsigned max;      /* blocks */
    size_t max_bytes;
};

/* A block's content, which is the `number`th. 0, or the negative of an enum error_code. */
typedef int pem_take(void *arg, const uint8_t *der, size_t len_bytes, unsigned number,
                     struct failure *f);

/* Calls `take` for each block of `name`'s text, until one fails. -ERROR_INVALID_ARGUMENT: no block,
 * too many, one of another kind, or one that cannot be read. */
int pem_read(const struct pem_kind *kind, const char *name, const void *text, size_t len_bytes,
             pem_take *take, void *arg, struct failure *f);

/* -ERROR_INVALID_ARGUMENT: behind and between its blocks stands something but blank lines and lines
 * that begin with #. A block whose first line is damaged would be skipped else. */
int pem_check_rest(const char *name, const char *text, size_t len_bytes, struct failure *f);

#endif
