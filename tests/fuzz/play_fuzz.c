/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any bytes as a play file. What is taken keeps the promises of play.h: a whole image first, ascending
 * times, blocks within the frames; what is refused says where.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/layout.h"
#include "server/mapper/sim/play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_play(const struct play *p)
{
    size_t blocks = (size_t)p->frame_count * (LAYOUT_FRAME_BYTES / PLAY_BLOCK_BYTES);

    check(p->frame_count >= 1 && p->frame_count <= PLAY_FRAMES_MAX && p->grant_version <= 2);
    check(p->change_count >= blocks && p->changes[blocks - 1].at_ms == 0);
    for (size_t i = 0; i < p->change_count; i++) {
        check(p->changes[i].block < blocks);
        check(i == 0 || p->changes[i].at_ms >= p->changes[i - 1].at_ms);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play *p = NULL;
    struct failure f = { 0 };
    int result = play_parse((const char *)data, size, "file", &p, &f);

    if (result == 0) {
        check_play(p);
        free(p);
    } else {
        check(p == NULL && strncmp(f.message, "file:", 5) == 0 && f.next_step[0] != '\0');
    }
    return 0;
}
