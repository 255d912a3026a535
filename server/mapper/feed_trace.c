/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See feed_trace.h. */
#include "server/mapper/feed_trace.h"

#include <assert.h>

static const struct feed *feed_of(const struct feed_table *t, uint32_t number)
{
    const struct feed *feed = feed_table_feeds(t)[number];
    assert(feed && feed->is_of_trace);
    return feed;
}

int feed_trace_begin(struct feed_table *t, const struct domain_identity *domain,
                     const struct source_trace_options *options, uint32_t *number,
                     struct failure *f)
{
    const struct message_snapshot wanted = { .domain = *domain,
                                             .type = RESOURCE_VMTRACE_BUF,
                                             .id = options->vcpu,
                                             .frame_count = MESSAGE_FRAMES_ALL };
    struct source *source = NULL;
    int result = feed_table_make_room(t, f);
    if (result == 0) {
        result = source_trace_new(options, &source, f);
    }
    if (result < 0) {
        return result;
    }
    struct feed_list *list = feed_table_list(t);
    result = feed_list_add(list, &wanted, source, options->period_max_ns, number, f);
    if (result == 0) {
        list->feeds[*number]->is_of_trace = true;
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

int feed_trace_ask(struct feed_table *t, const struct domain_identity *domain, uint32_t vcpu,
                   struct feed_asked *out, struct failure *f)
{
    struct feed_list *list = feed_table_list(t);
    uint32_t found = FEED_LIST_MAX;
    for (uint32_t i = 0; i < FEED_LIST_MAX && list->count > 0; i++) {
        const struct feed *feed = list->feeds[i];
        bool is_meant = feed && feed->is_of_trace && feed->wanted.id == vcpu &&
                        domain_identity_equal(&feed->wanted.domain, domain);
        if (is_meant && (found == FEED_LIST_MAX || !feed->is_ending)) {
            found = i;
        }
    }
    if (found == FEED_LIST_MAX) {
        int result = failure_set(f, ERROR_FAILED_PRECONDITION,
                                 "no trace runs of vCPU %u of domain %u", vcpu, domain->domid);
        failure_cause(f, result, "none was started, or it ended and is no longer held");
        return failure_next(f, result, "start one: xenres trace start");
    }
    list->feeds[found]->waiting++;
    *out = (struct feed_asked){ .feed = found, .joined = true };
    return 0;
}
