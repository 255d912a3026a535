/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The memory that all feeds together may have, spools and images. Any thread; nothing waits. */
#ifndef XENRES_MAPPER_ALLOWANCE_H
#define XENRES_MAPPER_ALLOWANCE_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/error.h"

struct allowance {
    _Atomic uint64_t used_bytes;
    uint64_t most_bytes;
};

void allowance_init(struct allowance *a, uint64_t most_bytes);
/* -ERROR_RESOURCE_EXHAUSTED: not so much is left. */
int allowance_take(struct allowance *a, uint64_t bytes, struct failure *f);
void allowance_give(struct allowance *a, uint64_t bytes);
uint64_t allowance_used(const struct allowance *a);

#endif
