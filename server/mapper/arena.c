/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Slots in use hang in a list in the order of their extents; a new one takes the first gap that is
 * large enough, so that a lightly used arena stays in its first pages. Free indices hang in another.
 */
#include "server/mapper/arena.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010 /* Linux 5.1; glibc's <fcntl.h> may lack it */
#endif

enum { NONE = ARENA_SLOTS_MAX }; /* no slot: the head of both lists */

struct slot {
    uint32_t generation; /* of the use that is, or of the last one; 0: never used */
    bool in_use;
    bool is_handed_over; /* while in use */
    uint32_t next;       /* by offset while in use, else the next free index */
    uint32_t previous;   /* while in use */
    uint64_t offset_bytes, extent_bytes;
};

struct arena {
    int fd;
    uint8_t *base;
    uint64_t bytes, slot_max_bytes, used_bytes;
    uint64_t false_releases;
    uint32_t slot_count;
    uint32_t free_head;
    struct slot slots[ARENA_SLOTS_MAX + 1]; /* the last: head of the ring of those in use */
};

static int arena_failure(struct failure *f, const char *call)
{
    int errnum = errno;
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot make the shared arena");
    failure_call(f, result, call, errnum);
    failure_cause(f, result, "no memory, no descriptors, or a kernel older than 5.1");
    return failure_next(f, result, "free memory, or start the mapper with a smaller --arena-mib");
}

int arena_new(uint64_t bytes, uint64_t slot_max_bytes, struct arena **out, struct failure *f)
{
    struct arena *a = calloc(1, sizeof(*a));
    if (!a) {
        return arena_failure(f, "calloc");
    }
    a->base = MAP_FAILED;
    a->bytes = bytes;
    a->slot_max_bytes = slot_max_bytes < bytes ? slot_max_bytes : bytes;
    for (uint32_t i = 0; i < ARENA_SLOTS_MAX; i++) {
        a->slots[i].next = i + 1;
    }
    a->slots[NONE].next = a->slots[NONE].previous = NONE;

    const char *call = NULL;
    a->fd = memfd_create("xenres-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (a->fd < 0) {
        call = "memfd_create";
    } else if (ftruncate(a->fd, (off_t)bytes) < 0) {
        call = "ftruncate";
    } else if ((a->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0)) ==
               MAP_FAILED) {
        call = "mmap";
    } else if (fcntl(a->fd, F_ADD_SEALS,
                     F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) {
        /* Without the seals the peer could shrink the arena under our stores, or write into it. */
        call = "fcntl(F_ADD_SEALS)";
    }
    if (call) {
        int result = arena_failure(f, call);
        arena_free(a);
        return result;
    }
    *out = a;
    return 0;
}

void arena_free(struct arena *a)
{
    if (!a) {
        return;
    }
    if (a->base != MAP_FAILED) {
        munmap(a->base, a->bytes);
    }
    if (a->fd >= 0) {
        close(a->fd);
    }
    free(a);
}

int arena_fd(const struct arena *a)
{
    return a->fd;
}

uint64_t arena_bytes(const struct arena *a)
{
    return a->bytes;
}

/* The slot (or head) behind which there is a gap of `extent_bytes`; false when there is none. */
static bool find_gap(const struct arena *a, uint64_t extent_bytes, uint32_t *after,
                     uint64_t *offset_bytes)
{
    uint64_t gap_start = 0;
    for (uint32_t at = NONE;;) {
        uint32_t next = a->slots[at].next;
        uint64_t gap_end = next == NONE ? a->bytes : a->slots[next].offset_bytes;
        if (gap_end - gap_start >= extent_bytes) {
            *after = at;
            *offset_bytes = gap_start;
            return true;
        }
        if (next == NONE) {
            return false;
        }
        gap_start = a->slots[next].offset_bytes + a->slots[next].extent_bytes;
        at = next;
    }
}

static int full(const struct arena *a, uint64_t len_bytes, struct failure *f)
{
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                             "no room for %llu bytes in the arena: %llu of %llu bytes in %u slots"
                             " are in use",
                             (unsigned long long)len_bytes, (unsigned long long)a->used_bytes,
                             (unsigned long long)a->bytes, a->slot_count);
    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    failure_cause(f, result, "many snapshots are being sent at the same time");
    return failure_next(f, result,
                        "ask again in a moment; a larger --arena-mib of the mapper holds"
                        " more");
}

int arena_take(struct arena *a, uint64_t len_bytes, struct message_slot *out, struct failure *f)
{
    assert(len_bytes > 0); /* callers refuse empty ranges */
    if (len_bytes > a->slot_max_bytes) {
        int result = failure_set(
            f, ERROR_RESOURCE_EXHAUSTED, "%llu bytes are more than one answer may hold (%llu)",
            (unsigned long long)len_bytes, (unsigned long long)a->slot_max_bytes);
        return failure_next(f, result,
                            "ask for fewer frames at once, or raise the mapper's"
                            " --slot-max-mib");
    }
    uint64_t extent_bytes =
        (len_bytes + ARENA_PAGE_BYTES - 1) / ARENA_PAGE_BYTES * ARENA_PAGE_BYTES;
    uint32_t after;
    uint64_t offset_bytes;
    if (a->free_head == NONE || !find_gap(a, extent_bytes, &after, &offset_bytes)) {
        return full(a, len_bytes, f);
    }
    uint32_t index = a->free_head;
    struct slot *s = &a->slots[index];
    a->free_head = s->next;
    if (++s->generation == 0) {
        s->generation = 1;
    }
    s->in_use = true;
    s->is_handed_over = false;
    s->offset_bytes = offset_bytes;
    s->extent_bytes = extent_bytes;
    s->previous = after;
    s->next = a->slots[after].next;
    a->slots[s->next].previous = index;
    a->slots[after].next = index;
    a->used_bytes += extent_bytes;
    a->slot_count++;
    *out = (struct message_slot){ .index = index,
                                  .generation = s->generation,
                                  .offset_bytes = offset_bytes,
                                  .len_bytes = len_bytes };
    return 0;
}

static void free_slot(struct arena *a, uint32_t index)
{
    struct slot *s = &a->slots[index];
    a->slots[s->previous].next = s->next;
    a->slots[s->next].previous = s->previous;
    a->used_bytes -= s->extent_bytes;
    a->slot_count--;
    s->in_use = false;
    s->next = a->free_head;
    a->free_head = index;
}

/* One that is being written. */
static struct slot *open_slot(struct arena *a, const struct message_slot *slot)
{
    struct slot *s = &a->slots[slot->index];
    assert(slot->index < ARENA_SLOTS_MAX && s->in_use && !s->is_handed_over &&
           s->generation == slot->generation);
    return s;
}

void *arena_slot_bytes(struct arena *a, const struct message_slot *slot)
{
    return a->base + open_slot(a, slot)->offset_bytes;
}

void arena_hand_over(struct arena *a, const struct message_slot *slot)
{
    open_slot(a, slot)->is_handed_over = true;
}

void arena_take_back(struct arena *a, const struct message_slot *slot)
{
    (void)open_slot(a, slot);
    free_slot(a, slot->index);
}

bool arena_release(struct arena *a, uint32_t index, uint32_t generation)
{
    if (index >= ARENA_SLOTS_MAX || !a->slots[index].in_use || !a->slots[index].is_handed_over ||
        a->slots[index].generation != generation) {
        a->false_releases++;
        return false;
    }
    free_slot(a, index);
    return true;
}

struct arena_usage arena_usage(const struct arena *a)
{
    return (struct arena_usage){ .used_bytes = a->used_bytes,
                                 .slot_count = a->slot_count,
                                 .false_releases = a->false_releases };
}
