/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a watching process was told, written down in memory that outlives it: an entry counts once it is
 * whole, so that one that was being written when the process was killed was never told. Written by one
 * process at a time, read by its parent.
 */
#ifndef XENRES_TESTS_CHAOS_JOURNAL_H
#define XENRES_TESTS_CHAOS_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { JOURNAL_BYTES = 64 << 20, JOURNAL_HEX_BYTES = 33 };

enum journal_kind {
    JOURNAL_STARTED = 1, /* a process begins to watch */
    JOURNAL_BEGIN,
    JOURNAL_PIECE,   /* of an image: bytes */
    JOURNAL_CHANGES, /* numbers of blocks, padded to 8 bytes, then the blocks */
    JOURNAL_DECODED, /* struct xenres_grant_change each */
    JOURNAL_LIST,    /* struct journal_domain each */
    JOURNAL_DOMAIN,  /* one */
    JOURNAL_GAP,
    JOURNAL_CHECKPOINT, /* the cursor, with its NUL */
    JOURNAL_HEARTBEAT,
    JOURNAL_CUT,
    JOURNAL_END,    /* text */
    JOURNAL_FAILED, /* the call failed: text; reason: the code */
    JOURNAL_SEGMENT,
    JOURNAL_DATA, /* of a trace: bytes; first: their position */
};

struct journal_entry {
    uint32_t kind;
    uint32_t len_bytes; /* of what follows it */
    uint64_t first, sequence, offset;
    uint32_t segment, reason, count;
    bool more, exact, resumed, whole;
    char feed[JOURNAL_HEX_BYTES], life[JOURNAL_HEX_BYTES];
};

/* A domain as both the list and the watch know it. */
struct journal_domain {
    uint32_t domid, kind; /* of a change: enum xenres_domain_change_kind */
    char life[JOURNAL_HEX_BYTES], name[64];
};

_Static_assert(sizeof(struct journal_entry) % 8 == 0, "entries and parts are aligned");

struct journal {
    _Atomic size_t len_bytes;
    int event_fd; /* readable when there is more */
    uint8_t bytes[] __attribute__((aligned(8)));
};

static inline struct journal *journal_new(void)
{
    struct journal *j = mmap(NULL, sizeof(*j) + JOURNAL_BYTES, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (j == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    j->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return j;
}

static inline void journal_clear(struct journal *j)
{
    atomic_store(&j->len_bytes, 0);
}

static inline size_t journal_padded(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

/* An entry with one or two parts behind it. A full journal ends the process: the run is too long. */
static inline void journal_add2(struct journal *j, struct journal_entry e, const void *a,
                                size_t a_len, const void *b, size_t b_len)
{
    size_t at = atomic_load(&j->len_bytes), a_padded = journal_padded(a_len);
    uint64_t one = 1;

    e.len_bytes = (uint32_t)(a_padded + journal_padded(b_len));
    if (at + sizeof(e) + e.len_bytes > JOURNAL_BYTES) {
        fprintf(stderr, "the journal is full\n");
        abort();
    }
    memcpy(j->bytes + at, &e, sizeof(e));
    memcpy(j->bytes + at + sizeof(e), a, a_len);
    if (b_len > 0) {
        memcpy(j->bytes + at + sizeof(e) + a_padded, b, b_len);
    }
    atomic_store(&j->len_bytes, at + sizeof(e) + e.len_bytes);
    (void)!write(j->event_fd, &one, sizeof(one));
}

static inline void journal_add(struct journal *j, struct journal_entry e, const void *bytes,
                               size_t len)
{
    journal_add2(j, e, bytes, len, NULL, 0);
}

/* The entry at *at, which moves behind it; NULL: there is none yet. */
static inline const struct journal_entry *journal_next(const struct journal *j, size_t *at)
{
    const struct journal_entry *e = (const struct journal_entry *)(const void *)(j->bytes + *at);

    if (*at >= atomic_load(&j->len_bytes)) {
        return NULL;
    }
    *at += sizeof(*e) + e->len_bytes;
    return e;
}

#endif
