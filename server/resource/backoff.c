/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/backoff.h"

#include <assert.h>
#include <sys/random.h>

void backoff_init(struct backoff *b, uint32_t min_ms, uint32_t max_ms)
{
    assert(min_ms > 0 && max_ms >= min_ms);
    *b = (struct backoff){ .min_ms = min_ms, .max_ms = max_ms, .next_ms = min_ms };
}

uint32_t backoff_next_ms(struct backoff *b)
{
    uint32_t random = 0;
    uint32_t wait_ms = b->next_ms;
    uint32_t half_ms = wait_ms / 2;

    (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK); /* without: no jitter, no harm */
    b->next_ms = wait_ms > b->max_ms / 2 ? b->max_ms : wait_ms * 2;
    return wait_ms - half_ms + (uint32_t)((uint64_t)random * (half_ms + UINT64_C(1)) >> 32);
}

void backoff_reset(struct backoff *b)
{
    b->next_ms = b->min_ms;
}
