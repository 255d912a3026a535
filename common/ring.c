/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/ring_layout.h"

struct ring {
    int fd;
    struct ring_control *control;
    _Atomic uint64_t *words;
    uint64_t capacity_bytes, mask;
    uint64_t oldest;
    struct ring_place next;
};

static int cannot_make(struct failure *f, const char *call)
{
    int errnum = errno;
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot make a ring in shared memory");

    failure_call(f, result, call, errnum);
    failure_cause(f, result, "no memory, no descriptors, or a kernel older than 5.1");
    return failure_next(f, result, "free memory, or configure fewer or smaller spools");
}

/* NULL, or the call that failed. */
static const char *share(struct ring *r)
{
    size_t bytes = RING_CONTROL_BYTES + (size_t)r->capacity_bytes;

    r->fd = memfd_create("xenres-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (r->fd < 0) {
        return "memfd_create";
    }
    /* Allocated now: for want of a page a store would end the process by SIGBUS. */
    if (ftruncate(r->fd, (off_t)bytes) < 0 || fallocate(r->fd, 0, 0, (off_t)bytes) < 0) {
        return "fallocate";
    }
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);

    if (base == MAP_FAILED) {
        return "mmap";
    }
    r->control = base;
    r->words = (_Atomic uint64_t *)((char *)base + RING_CONTROL_BYTES);
    /* Else whoever has the descriptor could write into it, or cut it under our stores. */
    return fcntl(r->fd, F_ADD_SEALS, RING_SEALS) < 0 ? "fcntl(F_ADD_SEALS)" : NULL;
}

static void publish_empty(struct ring *r)
{
    struct ring_control *c = r->control;

    RING_STORE(&c->capacity_bytes, r->capacity_bytes, memory_order_relaxed);
    RING_STORE(&c->mask, r->mask, memory_order_relaxed);
    RING_STORE(&c->first_position, r->next.position, memory_order_relaxed);
    RING_STORE(&c->first_sequence, r->next.sequence, memory_order_relaxed);
    RING_STORE(&c->first_bytes, r->next.bytes, memory_order_relaxed);
    RING_STORE(&c->oldest, r->next.position, memory_order_relaxed);
    RING_STORE(&c->last, RING_NO_RECORD, memory_order_relaxed);
    RING_STORE(&c->reserved, r->next.position, memory_order_relaxed);
    RING_STORE(&c->committed, r->next.position, memory_order_relaxed);
    RING_STORE(&c->magic, RING_MAGIC, memory_order_release);
}

int ring_new(uint64_t capacity_bytes, const struct ring_place *first, struct ring **out,
             struct failure *f)
{
    if (!ring_capacity_can_be(capacity_bytes)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT,
                           "a ring has 256 bytes to 1 GiB, a power of two, not %llu",
                           (unsigned long long)capacity_bytes);
    }
    struct ring *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return cannot_make(f, "calloc");
    }
    r->fd = -1;
    r->capacity_bytes = capacity_bytes;
    if (first != NULL) {
        assert(first->position % 8 == 0 && first->position <= RING_POSITION_MAX);
        r->next = *first;
    }
    r->oldest = r->next.position;
    const char *call =
        getrandom(&r->mask, sizeof(r->mask), 0) != sizeof(r->mask) ? "getrandom" : share(r);

    if (call != NULL) {
        int result = cannot_make(f, call);

        ring_free(r);
        return result;
    }
    publish_empty(r);
    *out = r;
    return 0;
}

void ring_free(struct ring *r)
{
    if (r == NULL) {
        return;
    }
    if (r->control != NULL) {
        (void)munmap(r->control, RING_CONTROL_BYTES + (size_t)r->capacity_bytes);
    }
    if (r->fd >= 0) {
        (void)close(r->fd);
    }
    free(r);
}

int ring_fd(const struct ring *r)
{
    return r->fd;
}

struct ring_place ring_next(const struct ring *r)
{
    return r->next;
}

/* Before a record that ends at `end` is written: who looks for the oldest one is to find one that
 * stays. At most a quarter of the ring is given up, so that there is one. */
static void give_up_until(struct ring *r, uint64_t end)
{
    uint64_t oldest = r->oldest;

    while (end - oldest > r->capacity_bytes) {
        const _Atomic uint64_t *shape = &r->words[ring_word_of(oldest, r->capacity_bytes)];

        oldest += ring_whole_bytes((uint32_t)RING_LOAD(shape, memory_order_relaxed));
        assert(oldest < r->next.position); /* nobody else can have written that */
    }
    if (oldest != r->oldest) {
        r->oldest = oldest;
        RING_STORE(&r->control->oldest, oldest, memory_order_release);
    }
}

static void store_words(_Atomic uint64_t *to, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t word;

        memcpy(&word, bytes + 8 * i, 8);
        RING_STORE(&to[i], word, memory_order_relaxed);
    }
}

static void put(struct ring *r, uint64_t position, const void *bytes, size_t count)
{
    size_t start = ring_word_of(position, r->capacity_bytes);
    size_t left = (size_t)r->capacity_bytes / 8 - start, first = count < left ? count : left;

    store_words(r->words + start, bytes, first);
    store_words(r->words, (const uint8_t *)bytes + 8 * first, count - first);
}

static void write_record(struct ring *r, uint64_t shape, const struct ring_part *parts,
                         size_t part_count)
{
    const uint64_t header[RING_HEADER_WORDS] = {
        [RING_WORD_SHAPE] = shape,
        [RING_WORD_SEQUENCE] = r->next.sequence,
        [RING_WORD_BYTES] = r->next.bytes,
        [RING_WORD_MARK] = r->next.position ^ r->mask,
    };
    uint64_t at = r->next.position;

    put(r, at, header, RING_HEADER_WORDS);
    at += RING_HEADER_BYTES;
    for (size_t i = 0; i < part_count; i++) {
        size_t words = parts[i].len_bytes / 8, rest = parts[i].len_bytes % 8;
        const uint8_t *bytes = parts[i].bytes;

        put(r, at, bytes, words);
        at += 8 * words;
        if (rest > 0) {
            uint64_t last = 0; /* no padding tells what was there before */

            assert(i + 1 == part_count);
            memcpy(&last, bytes + 8 * words, rest);
            put(r, at, &last, 1);
        }
    }
}

int ring_append(struct ring *r, uint32_t kind, const struct ring_part *parts, size_t part_count,
                struct failure *f)
{
    uint64_t max = ring_record_max(r->capacity_bytes), len = 0;

    for (size_t i = 0; i < part_count; i++) {
        len += parts[i].len_bytes <= max ? parts[i].len_bytes : max + 1;
        if (len > max) {
            return failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                               "a record of this ring has at most %llu bytes",
                               (unsigned long long)max);
        }
    }
    uint64_t start = r->next.position, end = start + ring_whole_bytes(len);

    if (end > RING_POSITION_MAX) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "the ring is at the end of its positions");
    }
    give_up_until(r, end);
    RING_STORE(&r->control->reserved, end, memory_order_release);
    RING_FENCE(memory_order_release);
    write_record(r, len | (uint64_t)kind << 32, parts, part_count);
    RING_STORE(&r->control->last, start, memory_order_release);
    RING_STORE(&r->control->committed, end, memory_order_release);
    r->next.position = end;
    r->next.sequence++;
    r->next.bytes += len;
    return 0;
}
