/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "proto/wire/budget.h"

#include <assert.h>
#include <stdlib.h>

void *budget_grow(struct budget *budget, void *memory, size_t old_bytes, size_t size_bytes)
{
    assert(size_bytes >= old_bytes);
    size_t more_bytes = size_bytes - old_bytes;
    bool fits = !budget->is_exceeded && more_bytes <= budget->left_bytes;
    void *grown = fits ? realloc(memory, size_bytes > 0 ? size_bytes : 1) : NULL;

    if (grown == NULL) {
        budget->is_exceeded = true;
        return NULL;
    }
    budget->left_bytes -= more_bytes;
    return grown;
}

void *budget_alloc(struct budget *budget, size_t size_bytes)
{
    return budget_grow(budget, NULL, 0, size_bytes);
}

static void *alloc(void *budget, size_t size_bytes)
{
    return budget_alloc(budget, size_bytes);
}

static void release(void *budget, void *memory)
{
    (void)budget;
    free(memory);
}

ProtobufCAllocator budget_allocator(struct budget *budget)
{
    return (ProtobufCAllocator){ .alloc = alloc, .free = release, .allocator_data = budget };
}
