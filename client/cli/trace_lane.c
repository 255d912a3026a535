/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/trace_lane.h"

#include "client/cli/report.h"

static int on_begin(void *arg, const xenres_trace_begin *begin)
{
    return trace_writer_begin(&((struct trace_lane *)arg)->writer, begin);
}

static int on_data(void *arg, const xenres_trace_data *data)
{
    return trace_writer_data(&((struct trace_lane *)arg)->writer, data);
}

static int on_gap(void *arg, const xenres_trace_gap *gap)
{
    return trace_writer_gap(&((struct trace_lane *)arg)->writer, gap);
}

static int on_checkpoint(void *arg, const xenres_trace_checkpoint *checkpoint)
{
    return trace_writer_checkpoint(&((struct trace_lane *)arg)->writer, checkpoint);
}

static int on_end(void *arg, const xenres_trace_end *end)
{
    return trace_writer_end(&((struct trace_lane *)arg)->writer, end);
}

static int on_interrupted(void *arg, const xenres_trace_interruption *i)
{
    struct trace_lane *lane = arg;

    if (!lane->is_quiet && i->tries == 0) {
        report_note("vCPU %u: cut: %s; it is tried again", lane->writer.vcpu.vcpu,
                    i->error->message);
    }
    return trace_writer_interrupted(&lane->writer);
}

static void *run(void *arg)
{
    struct trace_lane *lane = arg;
    xenres_trace_query query = XENRES_TRACE_QUERY_INIT(lane->domain, lane->writer.vcpu.vcpu);
    const xenres_trace_sink sink = { .size = sizeof(sink),
                                     .begin = on_begin,
                                     .data = on_data,
                                     .gap = on_gap,
                                     .checkpoint = on_checkpoint,
                                     .end = on_end,
                                     .interrupted = on_interrupted,
                                     .arg = lane };

    query.incarnation = lane->incarnation;
    query.trace_id = lane->trace_id;
    if (lane->feed[0] != '\0') {
        query.feed = lane->feed;
        query.cursor = lane->cursor;
        query.has_place = true;
        query.position = lane->place.position;
        query.offset = lane->place.offset;
        query.segment = lane->place.segment;
        query.epoch = lane->place.epoch;
        query.is_open = lane->place.is_open;
    }
    lane->result = xenres_trace_read(lane->handle, &query, &sink, &lane->error);
    atomic_store(&lane->is_over, true);
    (void)pthread_kill(lane->starter, TRACE_LANE_SIGNAL);
    return NULL;
}

int trace_lane_start(struct trace_lane *lane)
{
    lane->starter = pthread_self();
    atomic_init(&lane->is_over, false);
    int errnum = pthread_create(&lane->thread, NULL, run, lane);

    lane->is_started = errnum == 0;
    return errnum;
}

void trace_lane_join(struct trace_lane *lane)
{
    if (lane->is_started) {
        (void)pthread_join(lane->thread, NULL);
        lane->is_started = false;
    }
}
