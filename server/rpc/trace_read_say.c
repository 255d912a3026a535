/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ReadTrace: what a stream says. */
#include "common/clock.h"
#include "common/text.h"
#include "server/rpc/present_trace.h"
#include "server/rpc/present_watch.h"
#include "server/rpc/trace_read.h"
#include "server/rpc/watch_cursor.h"

static Xenres__V1__ReadTraceResponse *response(struct pool *p,
                                               Xenres__V1__ReadTraceResponse__ContentCase content)
{
    Xenres__V1__ReadTraceResponse *m =
        PRESENT_NEW(p, Xenres__V1__ReadTraceResponse, xenres__v1__read_trace_response);

    if (m != NULL) {
        m->content_case = content;
    }
    return m;
}

static int say(struct call *c, Xenres__V1__ReadTraceResponse *m, struct failure *f)
{
    struct trace_read *r = c->state;

    if (m == NULL) {
        return call_no_memory(f);
    }
    watch_pulse_said(&r->pulse);
    c->response = &m->base;
    return HANDLER_MESSAGE;
}

int trace_say_begin(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;
    const struct subscription_offset *at = &r->item.begun.at;
    Xenres__V1__ReadTraceResponse *m = response(p, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_BEGIN);
    Xenres__V1__TraceBegin *begin = PRESENT_NEW(p, Xenres__V1__TraceBegin, xenres__v1__trace_begin);
    char feed[HEX128_TEXT_BYTES];

    if (m == NULL || begin == NULL) {
        return call_no_memory(f);
    }
    text_from_hex(r->item.begun.feed_id, FEED_ID_BYTES, feed);
    m->begin = begin;
    begin->trace = present_trace(p, &r->trace);
    begin->vcpu = r->vcpu;
    begin->resumed = r->item.begun.resumed;
    begin->position = at->bytes_before;
    begin->offset = at->offset;
    begin->segment = at->segment;
    begin->epoch = at->epoch;
    begin->silence_max = present_duration(p, c->heartbeat_ns * WATCH_SILENCE_FACTOR);
    begin->feed = pool_string(p, feed);
    r->position = at->bytes_before;
    return say(c, m, f);
}

/* --- content ------------------------------------------------------------------------------------ */

static int say_segment(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;
    Xenres__V1__ReadTraceResponse *m =
        response(p, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_SEGMENT);

    if (m != NULL) {
        m->segment = present_trace_segment(p, r->item.record.record.begin);
    }
    watch_pulse_news(&r->pulse, false);
    return say(c, m, f);
}

/* The same for all whose clients take the same. */
static int share_data(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;
    unsigned variant = call_variant(c);
    BUFFER_AUTO(bytes, 0);

    r->shared = subscription_shared(r->subscription, variant);
    if (r->shared != NULL) {
        return 0;
    }
    Xenres__V1__ReadTraceResponse *m = response(p, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_DATA);

    if (m != NULL) {
        m->data = present_trace_data(p, &r->item.record.record);
    }
    int result = m != NULL && !p->failed ? call_encode(c, &m->base, &bytes, f) : call_no_memory(f);

    if (result != 0) {
        return result;
    }
    r->shared = subscription_share(r->subscription, variant, bytes.data, bytes.len_bytes);
    return r->shared != NULL ? 0 : call_no_memory(f);
}

static int say_data(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;
    const struct feed_bytes *b = r->item.record.record.bytes;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t sampled_ns = b->stamp.monotonic_ns + b->stamp.duration_ns;
    int result = share_data(c, p, f);

    if (result != 0) {
        return result;
    }
    watch_meter_lag(c->watch_meter, now_ns > sampled_ns ? now_ns - sampled_ns : 0);
    r->sampled = b->stamp;
    r->position = b->bytes_before + b->len_bytes;
    watch_pulse_news(&r->pulse, false);
    watch_pulse_said(&r->pulse);
    c->bytes = shared_bytes_data(r->shared, &c->bytes_len);
    return HANDLER_BYTES;
}

static int say_loss(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;
    const struct feed_loss *l = r->item.record.record.loss;
    Xenres__V1__ReadTraceResponse *m = response(p, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_GAP);

    if (m != NULL) {
        m->gap = present_trace_loss(p, l);
    }
    c->lost += l->len_bytes;
    watch_meter_lost(c->watch_meter, present_trace_loss_kind(l->reason), l->len_bytes);
    r->sampled = l->stamp;
    r->position = l->bytes_before + l->len_bytes;
    watch_pulse_news(&r->pulse, false);
    return say(c, m, f);
}

int trace_say_record(struct call *c, struct pool *p, struct failure *f)
{
    const struct trace_read *r = c->state;

    switch (r->item.record.record.kind) {
    case FEED_RECORD_BEGIN: return say_segment(c, p, f);
    case FEED_RECORD_BYTES: return say_data(c, p, f);
    case FEED_RECORD_LOSS: return say_loss(c, p, f);
    default: break;
    }
    int result = failure_set(f, ERROR_DATA_LOSS, "the trace's feed has a record of another kind");

    return failure_next(f, result, "read anew, and report this with the gateway's log");
}

int trace_say_gap(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;
    Xenres__V1__ReadTraceResponse *m = response(p, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_GAP);

    if (m != NULL) {
        m->gap = present_trace_gap(p, &r->item, r->position);
    }
    c->lost += r->item.gap.blocks;
    watch_meter_lost(c->watch_meter, WATCH_LOSS_TOO_SLOW, r->item.gap.blocks);
    r->position = r->item.gap.at.bytes_before;
    watch_pulse_news(&r->pulse, false);
    return say(c, m, f);
}

/* --- of itself ---------------------------------------------------------------------------------- */

char *trace_cursor_now(struct call *c, struct pool *p)
{
    const struct trace_read *r = c->state;
    struct feed_cursor cursor;

    return subscription_cursor(r->subscription, &cursor) ? watch_cursor_make(c, p, &cursor, NULL)
                                                         : pool_string(p, "");
}

int trace_say_checkpoint(struct call *c, struct pool *p, char *cursor, struct failure *f)
{
    struct trace_read *r = c->state;
    Xenres__V1__ReadTraceResponse *m =
        response(p, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_CHECKPOINT);
    Xenres__V1__TraceCheckpoint *checkpoint =
        PRESENT_NEW(p, Xenres__V1__TraceCheckpoint, xenres__v1__trace_checkpoint);

    if (m == NULL || checkpoint == NULL) {
        return call_no_memory(f);
    }
    m->checkpoint = checkpoint;
    checkpoint->cursor = cursor;
    checkpoint->position = r->position;
    watch_pulse_sealed(&r->pulse);
    return say(c, m, f);
}

int trace_say_heartbeat(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;
    Xenres__V1__ReadTraceResponse *m =
        response(p, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_HEARTBEAT);
    Xenres__V1__TraceHeartbeat *heartbeat =
        PRESENT_NEW(p, Xenres__V1__TraceHeartbeat, xenres__v1__trace_heartbeat);

    if (m == NULL || heartbeat == NULL) {
        return call_no_memory(f);
    }
    m->heartbeat = heartbeat;
    heartbeat->time = present_time(p, clock_wall_ns());
    heartbeat->position = r->position;
    if (r->sampled.monotonic_ns != 0) {
        heartbeat->sampled = present_sample(p, &r->sampled);
    }
    watch_meter_heartbeat(c->watch_meter);
    return say(c, m, f);
}

int trace_say_end(struct call *c, struct pool *p, enum watch_end why, const struct failure *told,
                  const struct failure *why_failed, struct failure *f)
{
    struct trace_read *r = c->state;
    Xenres__V1__ReadTraceResponse *m = response(p, XENRES__V1__READ_TRACE_RESPONSE__CONTENT_END);
    bool is_over = r->item.kind == SUBSCRIPTION_ENDED;
    uint64_t position =
        is_over && r->item.ended.bytes > r->position ? r->item.ended.bytes : r->position;
    char *cursor = trace_cursor_now(c, p);

    r->over = true;
    r->end = why;
    r->failure = *why_failed;
    if (m != NULL) {
        m->end = present_trace_end(p, why, told, cursor, position,
                                   is_over ? r->item.ended.end.detail : 0);
    }
    return say(c, m, f);
}
