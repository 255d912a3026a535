/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The policy's file (xenresd-policy(5)). Reads all of it, and says all that is wrong in it: each
 * fault is a line `file:line: what was expected` appended to `faults`.
 */
#ifndef XENRES_AUTH_POLICY_FILE_H
#define XENRES_AUTH_POLICY_FILE_H

#include "auth/policy.h"
#include "common/buffer.h"

enum { POLICY_RULES_MAX = 1024, POLICY_PATTERNS_MAX = 256, POLICY_FILE_MAX_BYTES = 1 << 20 };

/* -ERROR_INVALID_ARGUMENT with every fault in `faults`; nothing is loaded then. */
int policy_file_load(const char *path, struct policy **out, struct buffer *faults, struct failure *f);

#endif
