/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Pages that the simulated hypervisor shares: a memfd that the simulation writes, and that map()
 * maps read-only and anew each time, so that a reader's faults are real ones (a cut memfd gives a
 * SIGBUS). What is mapped stays readable until it is unmapped, whatever becomes of the pages here.
 *
 * Written by whoever holds the simulation's lock, read by anybody at any time: once somebody may map
 * them, every write is made of aligned 64-bit atomic stores, by pages_store().
 */
#ifndef XENRES_SIM_PAGES_H
#define XENRES_SIM_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct pages;

/* Told of each aligned word that a store has changed. */
struct pages_observer {
    void (*changed)(void *arg, const struct pages *p, size_t offset_bytes, uint64_t before,
                    uint64_t after);
    void *arg;
};

struct pages {
    int fd;          /* -1: none */
    uint8_t *memory; /* for the simulation; NULL: none */
    uint32_t frame_count;
    bool lost;         /* cut: touching them faults, the simulation's own memory too */
    uint32_t type, id; /* which resource they are */
    const struct pages_observer *observer;
};

#define PAGES_NONE ((struct pages){ .fd = -1 })

int pages_new(uint32_t frame_count, struct pages *out, struct failure *f);
void pages_done(struct pages *p);
/* Takes the memory away from under all who map it. */
void pages_lose(struct pages *p);
/* A read-only mapping; NULL with errno. The caller unmaps. */
void *pages_map(const struct pages *p, uint32_t first_frame, uint32_t frame_count);

/* Within the pages. True if it changed anything; of lost pages nothing ever changes. */
bool pages_store(struct pages *p, size_t offset_bytes, const void *bytes, size_t len_bytes);
/* The same, zeros. */
bool pages_clear(struct pages *p, size_t offset_bytes, size_t len_bytes);

#endif
