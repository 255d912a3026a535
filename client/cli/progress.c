/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"

enum { BAR_CELLS = 30 };

static const uint64_t first_after_ns = 500 * CLOCK_NS_PER_MS;
static const uint64_t every_ns = 100 * CLOCK_NS_PER_MS;

void progress_begin(struct progress *p)
{
    *p = (struct progress){
        .wanted = isatty(STDERR_FILENO) == 1,
        .start_ns = clock_monotonic_ns(),
    };
    p->last_ns = p->start_ns;
}

void progress_update(struct progress *p, uint64_t done_bytes, uint64_t total_bytes)
{
    uint64_t now_ns = clock_monotonic_ns();

    uint64_t pause_ns = p->shown ? every_ns : first_after_ns;

    if (!p->wanted || total_bytes == 0 || now_ns - p->last_ns < pause_ns) {
        return;
    }
    p->last_ns = now_ns;
    p->shown = true;
    double done = (double)done_bytes / (double)total_bytes;
    double seconds = (double)(now_ns - p->start_ns) / 1e9;
    int cells = (int)(done * BAR_CELLS);
    char bar[BAR_CELLS + 1];

    for (int i = 0; i < BAR_CELLS; i++) {
        bar[i] = i < cells ? '#' : '.';
    }
    bar[BAR_CELLS] = '\0';
    (void)fprintf(stderr, "\r[%s] %3d%%  %.1f of %.1f MiB  %.1f MiB/s ", bar, (int)(done * 100),
                  (double)done_bytes / 1048576, (double)total_bytes / 1048576,
                  (double)done_bytes / 1048576 / seconds);
}

void progress_end(struct progress *p)
{
    if (p->shown) {
        (void)fprintf(stderr, "\r\033[K");
    }
    p->shown = false;
}
