/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Positions of bytes for tests: places, messages, and what becomes of them, in `verdict`. */
#ifndef XENRES_TESTS_BYTE_CALLS_H
#define XENRES_TESTS_BYTE_CALLS_H

#include "client/byte_numbering.h"

#define FEED "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static inline struct byte_place place(uint64_t position, uint32_t segment, uint32_t epoch,
                                      uint64_t offset)
{
    return (struct byte_place){
        .position = position, .segment = segment, .epoch = epoch, .offset = offset
    };
}

static struct byte_verdict verdict;

static inline int begin(struct byte_numbering *n, bool resumed, bool from_kept,
                        struct byte_place at)
{
    struct fault fault = { 0 };
    const struct byte_begin b = { .feed = FEED, .resumed = resumed, .at = at };

    return byte_numbering_begin(n, &b, from_kept, &verdict, &fault);
}

static inline int take(struct byte_numbering *n, struct byte_item item)
{
    struct fault fault = { 0 };

    return byte_numbering_take(n, &item, &verdict, &fault);
}

static inline struct byte_item data(struct byte_place at, uint64_t length)
{
    return (struct byte_item){ .kind = BYTE_DATA, .at = at, .length = length };
}

static inline struct byte_item gap(uint64_t position, uint64_t length, bool at_least,
                                   struct byte_place to)
{
    return (struct byte_item){
        .kind = BYTE_GAP, .at.position = position, .length = length, .at_least = at_least, .to = to
    };
}

static inline struct byte_item segment(struct byte_place at, uint32_t reason)
{
    return (struct byte_item){ .kind = BYTE_SEGMENT, .at = at, .reason = reason };
}

static inline struct byte_item mark(enum byte_kind kind, uint64_t position)
{
    return (struct byte_item){ .kind = kind, .at.position = position };
}

#endif
