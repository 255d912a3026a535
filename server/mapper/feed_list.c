/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See feed_list.h. */
#include "server/mapper/feed_list.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/scope.h"

int feed_list_init(struct feed_list *l, const struct feed_list_options *options, struct failure *f)
{
    memset(l, 0, sizeof(*l));
    l->spool_most_bytes = options->spool_most_bytes;
    allowance_init(&l->memory, options->memory_most_bytes);
    l->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->told_fd < 0) {
        int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no descriptor for feeds");
        return failure_call(f, result, "eventfd", errno);
    }
    const struct sampler_options sampler = { .ops = options->ops,
                                             .parent = options->backend,
                                             .memory = &l->memory,
                                             .spool_most_bytes = options->spool_most_bytes,
                                             .told_fd = l->told_fd };
    assert(options->samplers > 0 && options->samplers <= FEED_LIST_SAMPLERS_MAX);
    while (l->sampler_count < options->samplers) {
        int result = sampler_new(&sampler, &l->samplers[l->sampler_count], f);
        if (result < 0) {
            return result;
        }
        l->sampler_count++;
    }
    return 0;
}

void feed_list_done(struct feed_list *l)
{
    for (uint32_t i = 0; i < FEED_LIST_MAX; i++) {
        if (l->feeds[i]) {
            feed_list_end(l->feeds[i], FEED_END_STOPPED);
        }
    }
    for (uint32_t i = 0; i < FEED_LIST_MAX; i++) {
        if (l->feeds[i]) {
            while (!feed_list_wait(l->feeds[i], CLOCK_NS_PER_S)) {
            }
            feed_list_remove(l, i);
        }
    }
    for (uint32_t i = 0; i < l->sampler_count; i++) {
        sampler_free(l->samplers[i]);
    }
    scope_close_fd(&l->told_fd);
}

/* The one that has the fewest. */
static struct sampler *least_busy(struct feed_list *l)
{
    struct sampler *least = NULL;
    uint32_t least_jobs = UINT32_MAX;
    for (uint32_t i = 0; i < l->sampler_count; i++) {
        struct sampler_counts counts = { 0 };
        sampler_count(l->samplers[i], &counts);
        if (counts.jobs < least_jobs) {
            least_jobs = counts.jobs;
            least = l->samplers[i];
        }
    }
    return least;
}

static void begin(struct feed_list *l, struct feed *feed, struct source *source)
{
    feed->job.period_ns = feed->period_ns;
    feed->sampler = least_busy(l);
    uint64_t least_bytes = feed->spool_least_bytes;
    sampling_init(&feed->job.sampling, source,
                  least_bytes > l->spool_most_bytes ? least_bytes : l->spool_most_bytes,
                  &l->memory);
    if (least_bytes > 0) {
        /* Once it is traced a ring lasts for milliseconds, and so does making a spool; nor has the loop the
         * time for that. */
        sampling_prepare_first(&feed->job.sampling);
    }
    sampler_add(feed->sampler, &feed->job);
}

int feed_list_add(struct feed_list *l, const struct message_snapshot *wanted, struct source *source,
                  uint64_t period_ns, uint64_t spool_least_bytes, uint32_t *number,
                  struct failure *f)
{
    struct feed *feed = calloc(1, sizeof(*feed));
    if (!feed) {
        source->ops->free(source);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a feed");
    }
    ssize_t drawn = getrandom(feed->id, sizeof(feed->id), 0);
    assert(drawn == sizeof(feed->id)); /* so few bytes are never cut or interrupted */
    feed->wanted = *wanted;
    feed->period_ns = period_ns;
    feed->spool_least_bytes = spool_least_bytes;
    *number = 0;
    while (l->feeds[*number]) {
        (*number)++;
    }
    l->feeds[*number] = feed;
    l->count++;
    begin(l, feed, source);
    return 0;
}

void feed_list_begin_again(struct feed_list *l, uint32_t number, struct source *source)
{
    struct feed *feed = l->feeds[number];
    sampler_remove(feed->sampler, &feed->job);
    sampling_done(&feed->job.sampling);
    memset(&feed->job, 0, sizeof(feed->job));
    feed->is_ending = false;
    begin(l, feed, source);
}

bool feed_list_is_of(const struct feed *feed, const uint8_t incarnation[16])
{
    return memcmp(feed->wanted.domain.incarnation, incarnation, 16) == 0;
}

static bool is_same_source(const struct message_snapshot *a, const struct message_snapshot *b)
{
    return a->type == b->type && a->id == b->id && a->first_frame == b->first_frame &&
           a->frame_count == b->frame_count && a->flags == b->flags &&
           memcmp(a->domain.incarnation, b->domain.incarnation, sizeof(a->domain.incarnation)) == 0;
}

struct feed *feed_list_find(struct feed_list *l, const struct message_snapshot *wanted,
                            uint32_t *number)
{
    for (uint32_t i = 0; i < FEED_LIST_MAX && l->count > 0; i++) {
        struct feed *feed = l->feeds[i];
        if (feed && !feed->is_ending && is_same_source(&feed->wanted, wanted)) {
            *number = i;
            return feed;
        }
    }
    return NULL;
}

struct feed *feed_list_named(struct feed_list *l, uint32_t number, const uint8_t *id)
{
    struct feed *feed = number < FEED_LIST_MAX ? l->feeds[number] : NULL;
    return feed && memcmp(feed->id, id, FEED_ID_BYTES) == 0 ? feed : NULL;
}

void feed_list_end(struct feed *feed, enum feed_end_reason reason)
{
    feed->is_ending = true;
    sampler_end(feed->sampler, &feed->job, reason);
}

bool feed_list_wait(const struct feed *feed, uint64_t most_ns)
{
    return sampler_wait(feed->sampler, &feed->job, most_ns);
}

void feed_list_remove(struct feed_list *l, uint32_t number)
{
    struct feed *feed = l->feeds[number];
    sampler_remove(feed->sampler, &feed->job);
    sampling_done(&feed->job.sampling);
    free(feed);
    l->feeds[number] = NULL;
    l->count--;
}
