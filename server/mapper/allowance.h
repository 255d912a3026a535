/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The memory that all feeds together may have, spools and images. Any thread; nothing waits. */
#ifndef XENRES_MAPPER_ALLOWANCE_H
#define XENRES_MAPPER_ALLOWANCE_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/error.h"

struct allowance {
    _Atomic uint64_t used_bytes, refused_bytes;
    uint64_t most_bytes;
};

void allowance_init(struct allowance *a, uint64_t most_bytes);
/* -ERROR_RESOURCE_EXHAUSTED, to be tried again later (FAILURE_RETRY_LATER_MS): not so much is left. */
int allowance_take(struct allowance *a, uint64_t bytes, struct failure *f);
void allowance_give(struct allowance *a, uint64_t bytes);
/* What has to be given back for what was refused last to be there; 0: nothing. */
uint64_t allowance_lacks(const struct allowance *a);
uint64_t allowance_used(const struct allowance *a);

#endif
