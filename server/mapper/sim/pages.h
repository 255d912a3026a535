/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Pages that the simulated hypervisor shares: a memfd that the simulation writes, and that map()
 * maps read-only and anew each time, so that a reader's faults are real ones (a cut memfd gives a
 * SIGBUS). Counted: pages of a dead domain live as long as somebody maps them.
 */
#ifndef XENRES_SIM_PAGES_H
#define XENRES_SIM_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct pages {
    int fd;          /* -1: none */
    uint8_t *memory; /* for the simulation; NULL: none */
    uint32_t frame_count;
    bool lost; /* cut: touching them faults, the simulation's own memory too */
};

#define PAGES_NONE ((struct pages){ .fd = -1 })

int pages_new(uint32_t frame_count, struct pages *out, struct failure *f);
void pages_done(struct pages *p);
/* Takes the memory away from under all who map it. */
void pages_lose(struct pages *p);
/* A read-only mapping; NULL with errno. The caller unmaps. */
void *pages_map(const struct pages *p, uint32_t first_frame, uint32_t frame_count);

#endif
