/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Records whose kind, length and bytes follow from their sequence number, so that a reader can tell
 * each of them, whole, from any mixture; and the books of a reader: what was delivered, and what was
 * declared missed. Any thread.
 */
#ifndef XENRES_TESTS_RING_RECORDS_H
#define XENRES_TESTS_RING_RECORDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ring_view.h"

#define RING_MUST(condition)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static inline uint64_t ring_records_mix(uint64_t x)
{
    x = (x + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 29) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 32;
}

/* 0 to `max_bytes`, both among them. */
static inline uint32_t ring_records_len(uint64_t sequence, uint32_t max_bytes)
{
    return (uint32_t)(ring_records_mix(sequence) % (max_bytes + 1));
}

static inline uint32_t ring_records_kind(uint64_t sequence)
{
    return (uint32_t)ring_records_mix(~sequence);
}

static inline void ring_records_fill(uint64_t sequence, uint8_t *bytes, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++) {
        bytes[i] = (uint8_t)(ring_records_mix(sequence) >> i % 8 * 8) ^ (uint8_t)(i * 7);
    }
}

/* The next one, in two parts where it is long enough. */
static inline void ring_records_append(struct ring *r, uint32_t max_bytes)
{
    uint64_t sequence = ring_next(r).sequence;
    uint32_t len = ring_records_len(sequence, max_bytes);
    uint8_t *bytes = malloc(len + 1U);

    ring_records_fill(sequence, bytes, len);
    uint32_t first = len >= 8 ? 8 : len;
    struct ring_part parts[] = { { bytes, first }, { bytes + first, len - first } };

    RING_MUST(ring_append(r, ring_records_kind(sequence), parts, len > first ? 2 : 1, NULL) == 0);
    free(bytes);
}

static inline bool ring_records_are(const struct ring_record *record, const uint8_t *bytes,
                                    uint32_t max_bytes)
{
    uint64_t sequence = record->place.sequence;
    uint8_t *wanted = malloc(record->len_bytes + 1U);

    ring_records_fill(sequence, wanted, record->len_bytes);
    bool same = record->len_bytes == ring_records_len(sequence, max_bytes) &&
                record->kind == ring_records_kind(sequence) &&
                memcmp(bytes, wanted, record->len_bytes) == 0;

    free(wanted);
    return same;
}

struct ring_books {
    struct ring_place at; /* where the reader is */
    uint64_t delivered_records, delivered_bytes;
    struct ring_missed missed;
    uint64_t gaps;
};

/* One step of a reader that goes on at `end` where it was overtaken. Checks what it gets; the
 * answer of ring_view_read(). */
static inline int ring_books_step(struct ring_books *b, const struct ring_view *v,
                                  enum ring_end end, uint32_t max_bytes, uint8_t *bytes)
{
    uint32_t room = ring_record_max(ring_view_capacity(v));
    struct ring_place before = b->at;
    struct ring_record record;
    struct ring_missed missed;
    int answer = ring_view_read(v, &b->at, bytes, room, &record, NULL);

    RING_MUST(answer == RING_NOTHING || answer == RING_RECORD || answer == RING_OVERTAKEN);
    if (answer == RING_RECORD) {
        RING_MUST(record.place.sequence == before.sequence);
        RING_MUST(b->at.sequence == before.sequence + 1);
        RING_MUST(ring_records_are(&record, bytes, max_bytes));
        b->delivered_records++;
        b->delivered_bytes += record.len_bytes;
    } else if (answer == RING_OVERTAKEN) {
        int skipped = ring_view_skip(v, end, &b->at, &missed, NULL);

        RING_MUST(skipped == 0 || skipped == -ERROR_UNAVAILABLE);
        if (skipped == 0) {
            RING_MUST(missed.records > 0);
            b->missed.records += missed.records;
            b->missed.bytes += missed.bytes;
            b->gaps++;
        }
    }
    return answer;
}

/* Until the end. The writer may run on meanwhile, but not so fast that it overtakes each look. */
static inline void ring_books_drain(struct ring_books *b, const struct ring_view *v,
                                    uint32_t max_bytes, uint8_t *bytes)
{
    struct ring_place before = b->at;

    while (ring_books_step(b, v, RING_OLDEST, max_bytes, bytes) != RING_NOTHING) {
        RING_MUST(b->at.position > before.position);
        before = b->at;
    }
}

/* The writer is done: what was produced since `from` is what is in the books. */
static inline void ring_books_close(struct ring_books *b, const struct ring_view *v,
                                    const struct ring *r, const struct ring_place *from,
                                    uint32_t max_bytes, uint8_t *bytes)
{
    struct ring_place end = ring_next(r);

    ring_books_drain(b, v, max_bytes, bytes);
    RING_MUST(memcmp(&b->at, &end, sizeof(end)) == 0);
    RING_MUST(b->delivered_records + b->missed.records == end.sequence - from->sequence);
    RING_MUST(b->delivered_bytes + b->missed.bytes == end.bytes - from->bytes);
}

#endif
