/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See allowance.h. */
#include "server/mapper/allowance.h"

#include <assert.h>

void allowance_init(struct allowance *a, uint64_t most_bytes)
{
    atomic_init(&a->used_bytes, 0);
    atomic_init(&a->refused_bytes, 0);
    a->most_bytes = most_bytes;
}

static int refuse(struct allowance *a, uint64_t used_bytes, uint64_t bytes, struct failure *f)
{
    atomic_store_explicit(&a->refused_bytes, bytes, memory_order_relaxed);
    int result = failure_set(
        f, ERROR_RESOURCE_EXHAUSTED, "feeds have %llu of %llu KiB, and %llu more are needed",
        (unsigned long long)(used_bytes >> 10), (unsigned long long)(a->most_bytes >> 10),
        (unsigned long long)(bytes >> 10));
    failure_cause(f, result, "more is watched than the mapper has memory for");
    failure_retry(f, result, FAILURE_RETRY_LATER_MS);
    return failure_next(f, result,
                        "watch less, wait until others do, or raise the mapper's --spools-mib");
}

int allowance_take(struct allowance *a, uint64_t bytes, struct failure *f)
{
    uint64_t used = atomic_load_explicit(&a->used_bytes, memory_order_relaxed);
    do {
        if (bytes > a->most_bytes - used) {
            return refuse(a, used, bytes, f);
        }
    } while (!atomic_compare_exchange_weak_explicit(&a->used_bytes, &used, used + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return 0;
}

void allowance_give(struct allowance *a, uint64_t bytes)
{
    uint64_t before = atomic_fetch_sub_explicit(&a->used_bytes, bytes, memory_order_relaxed);
    assert(before >= bytes);
}

uint64_t allowance_lacks(const struct allowance *a)
{
    uint64_t refused = atomic_load_explicit(&a->refused_bytes, memory_order_relaxed);
    uint64_t left = a->most_bytes - allowance_used(a);
    return refused > left ? refused - left : 0;
}

uint64_t allowance_used(const struct allowance *a)
{
    return atomic_load_explicit(&a->used_bytes, memory_order_relaxed);
}
