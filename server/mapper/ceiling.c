/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See ceiling.h. */
#include "server/mapper/ceiling.h"

#include "common/clock.h"

enum { BURSTS_PER_SECOND = 4 };
/* Times the largest ceiling (10^7) it still fits 64 bits; and it pays for any debt. */
#define ELAPSED_MAX_NS (1000 * CLOCK_NS_PER_S)

static int64_t burst(const struct ceiling *c)
{
    int64_t tokens = (int64_t)(c->per_second / BURSTS_PER_SECOND);
    return tokens > 0 ? tokens : 1;
}

void ceiling_init(struct ceiling *c, uint64_t per_second, uint64_t now_ns, uint64_t hypercalls)
{
    *c = (struct ceiling){ .per_second = per_second, .filled_ns = now_ns, .seen = hypercalls };
    c->tokens = burst(c);
}

int ceiling_admit(struct ceiling *c, uint64_t now_ns, uint64_t hypercalls, struct failure *f)
{
    c->tokens -= (int64_t)(hypercalls - c->seen);
    c->seen = hypercalls;

    uint64_t elapsed_ns = now_ns - c->filled_ns;
    if (elapsed_ns > ELAPSED_MAX_NS) {
        c->filled_ns = now_ns - ELAPSED_MAX_NS;
        elapsed_ns = ELAPSED_MAX_NS;
    }
    uint64_t tokens = elapsed_ns * c->per_second / CLOCK_NS_PER_S;
    if (tokens > 0) { /* the remainder stays in the time not yet counted */
        c->tokens += (int64_t)tokens;
        c->filled_ns += tokens * CLOCK_NS_PER_S / c->per_second;
    }
    if (c->tokens > burst(c)) {
        c->tokens = burst(c);
    }
    if (c->tokens > 0) {
        return 0;
    }

    c->refusals++;
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                             "the mapper is at its ceiling of %llu hypercalls per second",
                             (unsigned long long)c->per_second);
    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    failure_cause(f, result, "more is asked for than this host is to be disturbed by");
    return failure_next(f, result,
                        "ask again in a moment and less often, or raise the mapper's"
                        " --hypercalls-per-second");
}
