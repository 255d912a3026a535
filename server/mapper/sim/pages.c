/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See pages.h. */
#include "server/mapper/sim/pages.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/layout.h"

int pages_new(uint32_t frame_count, struct pages *out, struct failure *f)
{
    struct pages p = PAGES_NONE;
    size_t bytes = (size_t)frame_count * LAYOUT_FRAME_BYTES;
    p.frame_count = frame_count;
    p.fd = memfd_create("xenres-sim", MFD_CLOEXEC);
    void *memory = MAP_FAILED;
    if (p.fd >= 0 && ftruncate(p.fd, (off_t)bytes) == 0) {
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, 0);
    }
    if (memory == MAP_FAILED) {
        int errnum = errno;
        if (p.fd >= 0) {
            close(p.fd);
        }
        int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %u simulated frames",
                                 frame_count);
        return failure_call(f, result, "mmap", errnum);
    }
    p.memory = memory;
    *out = p;
    return 0;
}

void pages_done(struct pages *p)
{
    if (p->memory) {
        munmap(p->memory, (size_t)p->frame_count * LAYOUT_FRAME_BYTES);
    }
    if (p->fd >= 0) {
        close(p->fd);
    }
    *p = PAGES_NONE;
}

void pages_lose(struct pages *p)
{
    p->lost = true;
    if (p->fd >= 0 && ftruncate(p->fd, 0) < 0) {
        p->lost = false;
    }
}

void *pages_map(const struct pages *p, uint32_t first_frame, uint32_t frame_count)
{
    void *memory = mmap(NULL, (size_t)frame_count * LAYOUT_FRAME_BYTES, PROT_READ, MAP_SHARED,
                        p->fd, (off_t)first_frame * LAYOUT_FRAME_BYTES);
    return memory == MAP_FAILED ? NULL : memory;
}

enum { WORD_BYTES = 8 };

/* One word becomes another. */
static inline bool store_word(struct pages *p, size_t word, uint64_t after)
{
    uint64_t *to = (uint64_t *)(void *)p->memory + word;
    uint64_t before = *to; /* nobody else writes */
    if (after == before) {
        return false;
    }
    __atomic_store_n(to, after, __ATOMIC_RELEASE);
    if (p->observer) {
        p->observer->changed(p->observer->arg, p, word * WORD_BYTES, before, after);
    }
    return true;
}

/* `len` of a word's bytes from `at` on become those of `bytes`. */
static bool store_part(struct pages *p, size_t word, size_t at, const uint8_t *bytes, size_t len)
{
    uint64_t after = ((const uint64_t *)(const void *)p->memory)[word];
    memcpy((uint8_t *)&after + at, bytes, len);
    return store_word(p, word, after);
}

static bool store_whole(struct pages *p, size_t word, const uint8_t *bytes)
{
    uint64_t after;
    memcpy(&after, bytes, sizeof(after));
    return store_word(p, word, after);
}

bool pages_store(struct pages *p, size_t offset_bytes, const void *bytes, size_t len_bytes)
{
    size_t room = (size_t)p->frame_count * LAYOUT_FRAME_BYTES;
    bool changed = false;
    assert(offset_bytes <= room && len_bytes <= room - offset_bytes);
    if (p->lost) {
        return false;
    }
    for (size_t done = 0; done < len_bytes;) {
        size_t at = (offset_bytes + done) % WORD_BYTES;
        size_t len = len_bytes - done < WORD_BYTES - at ? len_bytes - done : WORD_BYTES - at;
        size_t word = (offset_bytes + done) / WORD_BYTES;
        const uint8_t *from = (const uint8_t *)bytes + done;
        changed |=
            len == WORD_BYTES ? store_whole(p, word, from) : store_part(p, word, at, from, len);
        done += len;
    }
    return changed;
}

bool pages_clear(struct pages *p, size_t offset_bytes, size_t len_bytes)
{
    static const uint8_t zeros[LAYOUT_FRAME_BYTES];
    bool changed = false;
    for (size_t done = 0; done < len_bytes; done += sizeof(zeros)) {
        size_t len = len_bytes - done < sizeof(zeros) ? len_bytes - done : sizeof(zeros);
        changed |= pages_store(p, offset_bytes + done, zeros, len);
    }
    return changed;
}
