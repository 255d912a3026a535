/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A progress line on standard error, when that is a terminal and the work takes longer than half a
 * second: bytes done, of how many, and the rate. */
#ifndef XENRES_CLI_PROGRESS_H
#define XENRES_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool wanted;
    bool shown;
    uint64_t start_ns, last_ns;
};

void progress_begin(struct progress *p);
void progress_update(struct progress *p, uint64_t done_bytes, uint64_t total_bytes);
/* Removes the line. */
void progress_end(struct progress *p);

#endif
