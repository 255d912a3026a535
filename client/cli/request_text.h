/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A request's JSON: given as an operand, or read from where that says. */
#ifndef XENRES_CLI_REQUEST_TEXT_H
#define XENRES_CLI_REQUEST_TEXT_H

#include "common/buffer.h"

enum { REQUEST_TEXT_MAX_BYTES = 1024 * 1024 }; /* more than any gateway takes */

/*
 * `operand`: NULL: "{}"; "-": standard input, to its end; "@FILE": that file; else the text itself.
 * Appends it to `out`, one byte more than the maximum at most: who parses it refuses that. Not 0:
 * reported; the exit status.
 */
int request_text_read(const char *operand, struct buffer *out);

#endif
