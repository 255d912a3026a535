/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The policy's file (xenresd-policy(5)). A file that its owner's group or others could write, or
 * that belongs to neither root nor this process's user, is refused. Syntax stops at the first
 * fault; a file that parses is read to its end, and all that is wrong in it is said. Any thread.
 */
#ifndef XENRES_AUTH_POLICY_FILE_H
#define XENRES_AUTH_POLICY_FILE_H

#include <stddef.h>

#include "auth/policy.h"
#include "common/buffer.h"

enum {
    POLICY_LIMITS_MAX = 256,    /* sections */
    POLICY_PATTERNS_MAX = 256,  /* in one list */
    POLICY_NAME_MAX_BYTES = 64, /* of a rule, of limits */
    POLICY_FILE_MAX_BYTES = 1 << 20,
};

/* -ERROR_INVALID_ARGUMENT: each fault is a line `file:line: what was expected` in `faults`. Where
 * the file cannot be read or must not be trusted, nothing is in `faults` and `f` says why. */
int policy_file_load(const char *path, struct policy **out, struct buffer *faults,
                     struct failure *f);

/* The same of a text that is NUL-ended behind its `len_bytes`; comments in it are made spaces. */
int policy_file_parse(const char *name, char *text, size_t len_bytes, struct policy **out,
                      struct buffer *faults, struct failure *f);

#endif
