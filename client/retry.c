/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/retry.h"

#include <sys/random.h>

#include "common/clock.h"

struct retry retry_begin(bool is_allowed, uint32_t timeout_ms)
{
    return (struct retry){
        .is_allowed = is_allowed,
        .deadline_ns =
            timeout_ms > 0 ? clock_monotonic_ns() + timeout_ms * CLOCK_NS_PER_MS : UINT64_MAX,
    };
}

uint32_t retry_next_ms(struct retry *r)
{
    uint64_t now_ns = clock_monotonic_ns();

    r->tries++;
    if (r->deadline_ns == UINT64_MAX) {
        return 0;
    }
    /* At least 1: 0 would be no limit at all. */
    return now_ns + CLOCK_NS_PER_MS < r->deadline_ns
               ? (uint32_t)((r->deadline_ns - now_ns) / CLOCK_NS_PER_MS)
               : 1;
}

uint32_t retry_wait_ms(uint32_t first_ms, uint32_t tries, uint32_t chance)
{
    uint64_t wait_ms = first_ms;

    for (uint32_t i = 1; i < tries && wait_ms < RETRY_WAIT_MAX_MS; i++) {
        wait_ms *= 2;
    }
    if (wait_ms > RETRY_WAIT_MAX_MS && wait_ms > first_ms) {
        wait_ms = first_ms > RETRY_WAIT_MAX_MS ? first_ms : RETRY_WAIT_MAX_MS;
    }
    return (uint32_t)(wait_ms - chance % (wait_ms / 2 + 1));
}

bool retry_wait(const struct retry *r, xenres *handle, int *result, struct fault *fault)
{
    uint32_t chance = 0;

    if (!r->is_allowed || !fault->may_pass || r->tries > handle->retries) {
        return false;
    }
    (void)!getrandom(&chance, sizeof(chance), GRND_NONBLOCK);
    uint64_t wait_ms = retry_wait_ms(handle->retry_wait_ms, r->tries, chance);

    if (wait_ms < fault->failure.retry_after_ms) {
        wait_ms = fault->failure.retry_after_ms;
    }
    uint64_t until_ns = clock_monotonic_ns() + wait_ms * CLOCK_NS_PER_MS;

    if (until_ns >= r->deadline_ns || wait_ms >= handle->timeout_ms) {
        return false;
    }
    bool is_cancelled = cancel_sleep(&handle->cancel, until_ns);

    details_clear(&handle->details);
    *fault = (struct fault){ .tries = r->tries };
    if (is_cancelled) {
        *result = cancel_fail(fault);
    }
    return !is_cancelled;
}
