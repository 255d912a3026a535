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

void ceiling_init(struct ceiling *c, uint64_t per_second, uint64_t now_ns)
{
    *c = (struct ceiling){ .per_second = per_second, .filled_ns = now_ns };
    c->tokens = burst(c);
    pthread_mutex_init(&c->lock, NULL);
}

void ceiling_done(struct ceiling *c)
{
    pthread_mutex_destroy(&c->lock);
}

/* Threads look at the clock before they have the lock: time may seem to go back a little. */
static void fill(struct ceiling *c, uint64_t now_ns)
{
    uint64_t elapsed_ns = now_ns > c->filled_ns ? now_ns - c->filled_ns : 0;
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
}

static void charge(struct ceiling *c, struct ceiling_meter *meter, uint64_t hypercalls)
{
    c->tokens -= (int64_t)(hypercalls - meter->seen);
    meter->seen = hypercalls;
}

void ceiling_charge(struct ceiling *c, struct ceiling_meter *meter, uint64_t hypercalls)
{
    pthread_mutex_lock(&c->lock);
    charge(c, meter, hypercalls);
    pthread_mutex_unlock(&c->lock);
}

bool ceiling_has_room(struct ceiling *c, struct ceiling_meter *meter, uint64_t now_ns,
                      uint64_t hypercalls)
{
    pthread_mutex_lock(&c->lock);
    charge(c, meter, hypercalls);
    fill(c, now_ns);
    bool has_room = c->tokens > 0;
    pthread_mutex_unlock(&c->lock);
    return has_room;
}

int ceiling_admit(struct ceiling *c, struct ceiling_meter *meter, uint64_t now_ns,
                  uint64_t hypercalls, struct failure *f)
{
    if (ceiling_has_room(c, meter, now_ns, hypercalls)) {
        return 0;
    }
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                             "the mapper is at its ceiling of %llu hypercalls per second",
                             (unsigned long long)c->per_second);
    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    failure_cause(f, result, "more is asked for than this host is to be disturbed by");
    return failure_next(f, result,
                        "ask again in a moment and less often, or raise the mapper's"
                        " --hypercalls-per-second");
}
