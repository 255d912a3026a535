/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Memory of one message that is made from a peer's bytes or text: malloc() with a maximum. What is
 * freed is not given back to it: it bounds the work as well. One owner, one thread.
 */
#ifndef XENRES_PROTO_BUDGET_H
#define XENRES_PROTO_BUDGET_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

struct budget {
    size_t left_bytes;
    bool is_exceeded; /* or the machine's memory ran out */
};

/* Free with free(). NULL where it is exceeded, now or before. */
void *budget_alloc(struct budget *budget, size_t size_bytes);
/* `memory` (may be NULL) with `size_bytes` now instead of fewer, `old_bytes`; the difference is
 * taken. NULL: it is exceeded, and `memory` is as it was. */
void *budget_grow(struct budget *budget, void *memory, size_t old_bytes, size_t size_bytes);

/* The same for protobuf-c; what is unpacked with it may be freed with its default allocator. */
ProtobufCAllocator budget_allocator(struct budget *budget);

#endif
