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

void sampling_prepare_first(struct sampling *s)
{
    s->is_to_prepare = true;
}

void sampling_done(struct sampling *s)
{
    if (s->source) {
        s->source->ops->free(s->source);
    }
    s->source = NULL;
    spool_done(&s->spool);
}

static struct source_sample begin_sample(struct sampling *s, uint64_t wall_ns,
                                         uint64_t monotonic_ns, const atomic_bool *stop)
{
    return (struct source_sample){ .spool = &s->spool,
                                   .wall_ns = wall_ns,
                                   .monotonic_ns = monotonic_ns,
                                   .started_ns = clock_monotonic_ns(),
                                   .stop = stop };
}

static void finish(struct sampling *s, struct source_tools *t, struct source_sample *now,
                   struct source_end *end)
{
    struct failure f;
    if (s->source->ops->finish) {
        s->source->ops->finish(s->source, t, now, end);
    }
    s->source->ops->unmap(s->source, t);
    s->is_over = true;
    s->end = end->reason;
    s->end_detail = end->detail;
    s->failure = end->failure; /* not of a sample before, which was made good */
    const struct feed_end shape = { .wall_ns = now->wall_ns,
                                    .monotonic_ns = now->monotonic_ns,
                                    .reason = end->reason,
                                    .detail = end->detail,
                                    .failure = end->failure };
    if (spool_end(&s->spool, &shape, &f) < 0) {
        log_failure(LOG_LEVEL_ERROR, "writing the end of a feed", &f);
    }
}

/* What a sample that failed means. */
static void fail(struct sampling *s, struct source_tools *t, struct source_sample *sample,
                 const struct failure *why)
{
    s->failed++;
    s->failures++;
    s->failure = *why;
    struct source_end end = { .reason = sample->over, .detail = sample->detail, .failure = *why };
    if (end.reason == 0 && (!s->has_begun || s->failures == SAMPLING_FAILURES_MAX)) {
        end.reason = FEED_END_FAILED;
    }
    if (end.reason != 0) {
        finish(s, t, sample, &end);
        return;
    }
    struct failure f;
    if (spool_failed(&s->spool, sample->monotonic_ns, &f) < 0) {
        log_failure(LOG_LEVEL_ERROR, "writing to the spool of a feed", &f);
    }
}

/* What one that succeeded means: it was taken, or held back, or was the last. */
static void succeed(struct sampling *s, struct source_tools *t, struct source_sample *sample)
{
    if (sample->is_held_back) {
        s->held_back++;
        return;
    }
    s->taken++;
    s->failures = 0;
    s->has_begun = true;
    if (sample->over != 0) {
        struct source_end end = { .reason = sample->over, .detail = sample->detail };
        finish(s, t, sample, &end);
    }
}

void sampling_step(struct sampling *s, struct source_tools *t, uint64_t wall_ns,
                   uint64_t monotonic_ns, const atomic_bool *stop)
{
    if (s->is_over) {
        return;
    }
    if (s->is_to_prepare) {
        s->is_to_prepare = false;
        s->next_after_ns = CLOCK_NS_PER_MS;
        spool_prepare(&s->spool);
        return;
    }
    struct source_sample sample = begin_sample(s, wall_ns, monotonic_ns, stop);
    struct failure f = { 0 };
    sample.was_postponed = s->was_postponed;
    int result = s->source->ops->sample(s->source, t, &sample, &f);
    s->next_after_ns = sample.next_after_ns;
    s->was_postponed = sample.is_held_back;
    if (result == 0) {
        succeed(s, t, &sample);
    } else if (!source_is_stopped(&sample)) {
        assert(f.code == -result); /* who fails says why */
        fail(s, t, &sample, &f);
    }
}

void sampling_end(struct sampling *s, struct source_tools *t, uint64_t wall_ns,
                  uint64_t monotonic_ns, enum feed_end_reason reason)
{
    static const atomic_bool never;
    if (!s->is_over) {
        struct source_sample sample = begin_sample(s, wall_ns, monotonic_ns, &never);
        struct source_end end = { .reason = reason };
        finish(s, t, &sample, &end);
    }
}
