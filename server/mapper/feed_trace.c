/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See feed_trace.h. */
#include "server/mapper/feed_trace.h"

#include <assert.h>
#include <string.h>

#include "server/mapper/feed_room.h"

static const struct feed *feed_of(const struct feed_table *t, uint32_t number)
{
    const struct feed *feed = feed_table_feeds(t)[number];
    assert(feed && feed->is_of_trace);
    return feed;
}

int feed_trace_begin(struct feed_table *t, const struct message_trace *trace,
                     const struct source_trace_options *options, uint64_t buffer_bytes,
                     uint32_t *number, struct failure *f)
{
    const struct message_snapshot wanted = { .domain = trace->domain,
                                             .type = RESOURCE_VMTRACE_BUF,
                                             .id = options->vcpu,
                                             .frame_count = MESSAGE_FRAMES_ALL };
    struct source *source = NULL;
    int result = feed_room_make(t, 0, f);
    if (result == 0) {
        result = source_trace_new(options, &source, f);
    }
    if (result < 0) {
        return result;
    }
    struct feed_list *list = feed_table_list(t);
    result =
        feed_list_add(list, &wanted, source, options->period_max_ns, buffer_bytes / 2, number, f);
    if (result == 0) {
        list->feeds[*number]->is_of_trace = true;
        memcpy(list->feeds[*number]->trace_id, trace->trace_id, sizeof(trace->trace_id));
    }
    return result;
}

void feed_trace_look(const struct feed_table *t, uint32_t number, struct feed_trace_state *out)
{
    const struct feed *feed = feed_of(t, number);
    struct sampler_state state = sampler_look(feed->sampler, &feed->job);
    *out = (struct feed_trace_state){ .has_begun = state.has_begun, .is_over = state.is_over };
    if (state.is_over) {
        const struct sampling *sampling = &feed->job.sampling;
        out->end = sampling->end;
        out->end_detail = sampling->end_detail;
        out->failure = sampling->failure;
    }
}

void feed_trace_figures(const struct feed_table *t, uint32_t number,
                        struct source_trace_figures *out)
{
    source_trace_look(feed_of(t, number)->job.sampling.source, out);
}

void feed_trace_end(struct feed_table *t, uint32_t number, enum feed_end_reason reason)
{
    struct feed *feed = feed_table_list(t)->feeds[number];
    assert(feed && feed->is_of_trace);
    if (!feed->is_ending) {
        feed_list_end(feed, reason);
    }
}

void feed_trace_drop(struct feed_table *t, uint32_t number)
{
    struct feed *feed = feed_table_list(t)->feeds[number];
    assert(feed && feed->is_of_trace);
    feed->is_of_trace = false;
    feed->is_ending = true;
    feed_table_look_again(t);
}

static bool is_named(const struct message_watch *r)
{
    static const uint8_t any[16];
    return memcmp(r->trace_id, any, sizeof(any)) != 0;
}

/* Of the domain exactly as it was checked, and of that trace, or of any. */
static bool is_meant(const struct feed *feed, const struct message_watch *r)
{
    return feed->is_of_trace && feed->wanted.id == r->id &&
           domain_identity_equal(&feed->wanted.domain, &r->domain) &&
           (!is_named(r) || memcmp(r->trace_id, feed->trace_id, sizeof(feed->trace_id)) == 0);
}

static int is_missing(const struct message_watch *r, struct failure *f)
{
    int result;
    if (is_named(r)) {
        result = failure_set(f, ERROR_ABORTED,
                             "the trace is over, or is of another domain or of other vCPUs");
        failure_cause(f, result, "another one of the domain began, or it was held long enough");
        return failure_next(f, result, "see which one runs");
    }
    result = failure_set(f, ERROR_FAILED_PRECONDITION, "no trace runs of vCPU %u of domain %u",
                         r->id, r->domain.domid);
    failure_cause(f, result, "none was started, or it ended and is no longer held");
    return failure_next(f, result, "start one: xenres trace start");
}

int feed_trace_ask(struct feed_table *t, const struct message_watch *request,
                   struct feed_asked *out, struct failure *f)
{
    struct feed_list *list = feed_table_list(t);
    uint32_t found = FEED_LIST_MAX;
    for (uint32_t i = 0; i < FEED_LIST_MAX && list->count > 0; i++) {
        const struct feed *feed = list->feeds[i];
        if (feed && is_meant(feed, request) && (found == FEED_LIST_MAX || !feed->is_ending)) {
            found = i;
        }
    }
    if (found == FEED_LIST_MAX) {
        return is_missing(request, f);
    }
    list->feeds[found]->waiting++;
    *out = (struct feed_asked){ .feed = found, .joined = true };
    return 0;
}
