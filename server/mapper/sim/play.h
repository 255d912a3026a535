/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A play file: what a resource's pages held and how they changed, as `xenres replay --to-scenario`
 * writes it from a recording (xenresd-scenario(5)). Text, a line ends with a line feed, fields are
 * parted by one space, numbers are decimal:
 *
 *      xenres-play 1 BLOCK_BYTES FRAMES GRANT_VERSION
 *      AT_MS BLOCK HEX
 *
 * BLOCK_BYTES is 64, GRANT_VERSION 0 for what is no grant table. Times never descend, and those of 0
 * give the whole image. A file is read once, with every number bounded; the first fault is told with
 * its line. A play is immutable after that, any thread; a place in it belongs to its pages.
 */
#ifndef XENRES_SIM_PLAY_H
#define XENRES_SIM_PLAY_H

#include "server/mapper/sim/pages.h"

enum {
    PLAY_BLOCK_BYTES = 64,
    PLAY_FRAMES_MAX = 4096,
    PLAY_FILE_BYTES_MAX = 64 << 20,
};
#define PLAY_AT_MS_MAX UINT32_MAX

struct play_change {
    uint32_t at_ms; /* of the domain's running time */
    uint32_t block;
    uint8_t bytes[PLAY_BLOCK_BYTES];
};

struct play {
    uint32_t frame_count, grant_version;
    size_t change_count;
    struct play_change changes[]; /* ascending by time */
};

/* -ERROR_INVALID_ARGUMENT with `name:line: what`. Freed with free(). */
int play_parse(const char *text, size_t len_bytes, const char *name, struct play **out,
               struct failure *f);
int play_load(const char *path, struct play **out, struct failure *f);

struct play_place {
    const struct play *play; /* NULL: none */
    size_t next;
};
/* Stores what is due by then into pages that have at least the play's frames. Returns how many
 * blocks that changed. At the play's end they stand still. */
uint64_t play_advance(struct play_place *at, struct pages *p, uint64_t ran_ns);

#endif
