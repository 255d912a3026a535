/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See source.h. */
#include "server/mapper/source.h"

#include "common/clock.h"
#include "server/mapper/directory.h"

bool source_is_stopped(const struct source_sample *now)
{
    return atomic_load_explicit(now->stop, memory_order_relaxed);
}

struct feed_stamp source_stamp(const struct source_sample *now)
{
    uint64_t passed_ns = clock_monotonic_ns() - now->started_ns;
    return (struct feed_stamp){ .wall_ns = now->wall_ns + passed_ns,
                                .monotonic_ns = now->monotonic_ns + passed_ns };
}

void source_stamp_end(const struct source_sample *now, struct feed_stamp *stamp)
{
    stamp->duration_ns =
        now->monotonic_ns + (clock_monotonic_ns() - now->started_ns) - stamp->monotonic_ns;
}

int source_check_domain(struct source_tools *t, struct source_sample *now,
                        struct backend_domain *known, struct failure *f)
{
    struct backend_domain fresh;
    int result = t->ops->find(t->backend, known->domid, &fresh, f);
    if (result < 0) {
        now->over = result == -ERROR_NOT_FOUND ? FEED_END_INCARNATION : now->over;
        return result;
    }
    if (fresh.dying || directory_is_another(known, &fresh)) {
        now->over = FEED_END_INCARNATION;
        result = failure_set(f, ERROR_ABORTED, "domain %u is %s", known->domid,
                             fresh.dying ? "dying" : "another one by now");
        return failure_next(f, result, "see the list of domains, and watch the one meant");
    }
    *known = fresh;
    return 0;
}
