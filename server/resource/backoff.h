/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How long to wait before the next try: doubled from try to try between two bounds, with jitter
 * over the upper half, so that many do not knock together. One owner, one thread. */
#ifndef XENRES_RESOURCE_BACKOFF_H
#define XENRES_RESOURCE_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t min_ms, max_ms; /* 0 < min_ms <= max_ms */
    uint32_t next_ms;
};

void backoff_init(struct backoff *b, uint32_t min_ms, uint32_t max_ms);
/* From half of the present wait to all of it; the next one is doubled. */
uint32_t backoff_next_ms(struct backoff *b);
/* The last try came to something. */
void backoff_reset(struct backoff *b);

#endif
