/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See pages.h. */
#include "server/mapper/sim/pages.h"

#include <errno.h>
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
