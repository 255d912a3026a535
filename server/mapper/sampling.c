/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See sampling.h. */
#include "server/mapper/sampling.h"

#include <assert.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

void sampling_init(struct sampling *s, struct source *source, uint64_t spool_most_bytes,
                   struct allowance *memory)
{
    memset(s, 0, sizeof(*s));
    s->source = source;
    spool_init(&s->spool, spool_most_bytes, memory);
}

void sampling_done(struct sampling *s)
{
    if (s->source) {
        s->source->ops->free(s->source);
    }
    s->source = NULL;
    spool_done(&s->spool);
}

static void finish(struct sampling *s, struct source_tools *t, uint64_t wall_ns,
                   uint64_t monotonic_ns, enum feed_end_reason reason, const struct failure *why)
{
    struct failure f;
    s->source->ops->unmap(s->source, t);
    s->is_over = true;
    if (spool_end(&s->spool, wall_ns, monotonic_ns, reason, why, &f) < 0) {
        log_failure(LOG_LEVEL_ERROR, "writing the end of a feed", &f);
    }
}

/* What a sample that failed means. */
static void fail(struct sampling *s, struct source_tools *t, const struct source_sample *sample,
                 const struct failure *why)
{
    s->failed++;
    s->failures++;
    s->failure = *why;
    enum feed_end_reason reason = sample->over;
    if (reason == 0 && (!s->has_begun || s->failures == SAMPLING_FAILURES_MAX)) {
        reason = FEED_END_FAILED;
    }
    if (reason != 0) {
        finish(s, t, sample->wall_ns, sample->monotonic_ns, reason, why);
        return;
    }
    struct failure f;
    if (spool_failed(&s->spool, sample->monotonic_ns, &f) < 0) {
        log_failure(LOG_LEVEL_ERROR, "writing to the spool of a feed", &f);
    }
}

void sampling_step(struct sampling *s, struct source_tools *t, uint64_t wall_ns,
                   uint64_t monotonic_ns, const atomic_bool *stop)
{
    if (s->is_over) {
        return;
    }
    struct source_sample sample = { .spool = &s->spool,
                                    .wall_ns = wall_ns,
                                    .monotonic_ns = monotonic_ns,
                                    .started_ns = clock_monotonic_ns(),
                                    .stop = stop };
    struct failure f = { 0 };
    int result = s->source->ops->sample(s->source, t, &sample, &f);
    if (result == 0) {
        s->taken++;
        s->failures = 0;
        s->has_begun = true;
    } else if (!source_is_stopped(&sample)) {
        assert(f.code == -result); /* who fails says why */
        fail(s, t, &sample, &f);
    }
}

void sampling_end(struct sampling *s, struct source_tools *t, uint64_t wall_ns,
                  uint64_t monotonic_ns, enum feed_end_reason reason)
{
    if (!s->is_over) {
        finish(s, t, wall_ns, monotonic_ns, reason, NULL);
    }
}
