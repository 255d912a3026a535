/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Memory of one exchange, given back all at once: the parts of an answer are made in it one by one,
 * and nobody frees them one by one. It has a maximum; an allocation that would cross it fails, and
 * `failed` stays set, so that a builder may look once at the end. One owner, one thread at a time.
 */
#ifndef XENRES_RPC_POOL_H
#define XENRES_RPC_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool_chunk;
struct pool {
    struct pool_chunk *chunks;
    unsigned char *at; /* what is free of the newest chunk */
    size_t left_bytes;
    size_t taken_bytes, max_bytes;
    bool failed;
};

/* `first` (aligned for anything) is used before any is taken from the heap. */
void pool_init(struct pool *p, void *first, size_t first_bytes, size_t max_bytes);
void pool_done(struct pool *p);

/* Zeroed, aligned for anything. NULL when it failed. */
void *pool_alloc(struct pool *p, size_t size_bytes);
void *pool_array(struct pool *p, size_t count, size_t size_bytes);
/* "" when it failed, so that a pointer to text is never NULL. */
char *pool_string(struct pool *p, const char *text);
char *pool_number(struct pool *p, uint64_t number); /* decimal */
char *pool_printf(struct pool *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
