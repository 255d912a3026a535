/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* TraceService.ReadTrace, followed across cuts. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "client/call.h"
#include "client/reconnect.h"
#include "client/target.h"
#include "client/trace_message.h"
#include "client/trace_view.h"
#include "common/text.h"

struct trace_read {
    struct reconnect stream; /* first: its ops find us by it */
    xenres_trace_query query;
    xenres_trace_sink to;
    struct byte_numbering numbering;
    char incarnation[33]; /* that is read; "" until the first begin, where none was asked for */
    char trace_id[TRACE_ID_CHARS + 1];
};

static struct trace_read *of_stream(const struct reconnect *r)
{
    return (struct trace_read *)(uintptr_t)r;
}

/* --- callbacks --- */

#define TELL(r, callback, value)                                                                   \
    ((r)->to.callback == NULL || (r)->to.callback((r)->to.arg, (value)) == 0)

static int answer(bool goes_on, struct fault *fault)
{
    return goes_on ? 0 : reconnect_ended_by_callback(fault);
}

static int tell_loss(const struct trace_read *r, uint32_t reason, uint64_t position,
                     uint64_t length, bool at_least, const struct byte_place *to,
                     struct fault *fault)
{
    const xenres_trace_gap gap = { .reason = reason,
                                   .position = position,
                                   .length = length,
                                   .at_least = at_least,
                                   .offset = to->offset,
                                   .segment = to->segment,
                                   .epoch = to->epoch };

    return answer(TELL(r, gap, &gap), fault);
}

/* What was produced and will not come: as far as `position`, and more where that is not all. */
static int tell_rest(const struct trace_read *r, uint64_t position, bool is_all,
                     struct fault *fault)
{
    const struct byte_numbering *n = &r->numbering;
    uint64_t length = byte_numbering_rest(n, position);
    struct byte_place to = byte_numbering_next(n);

    if (!n->is_known || (length == 0 && (is_all || n->had_step == BYTE_STEP_OPEN))) {
        return 0;
    }
    to.offset += length;
    return tell_loss(r, XENRES_TRACE_GAP_AT_END, to.position, length, !is_all, &to, fault);
}

/* An end that the gateway did not say: nobody knows what is lost. */
static int tell_end(struct reconnect *stream, uint32_t reason, const char *message,
                    struct fault *fault)
{
    struct trace_read *r = of_stream(stream);
    const xenres_trace_end end = {
        .reason = reason, .message = message, .cursor = "", .position = r->numbering.had.position
    };
    int result = tell_rest(r, 0, false, fault);

    stream->is_over = result == 0;
    return result == 0 ? answer(TELL(r, end, &end), fault) : result;
}

/* --- messages --- */

static int admit(const struct trace_read *r, const xenres_trace_begin *b, struct fault *fault)
{
    const xenres_trace_query *q = &r->query;
    int result = target_match(q->domain, r->stream.has_begun ? NULL : q->incarnation,
                              &b->trace->domain, fault);

    if (result == 0 && b->vcpu != q->vcpu) {
        result = failure_set(&fault->failure, ERROR_INTERNAL,
                             "asked for vCPU %u, answered with vCPU %u", q->vcpu, b->vcpu);
    }
    if (result == 0 && !r->stream.has_begun && r->trace_id[0] != '\0' &&
        strcasecmp(r->trace_id, b->trace->trace_id) != 0) {
        result = failure_set(&fault->failure, ERROR_INTERNAL,
                             "asked for trace %s, answered with trace %s", r->trace_id,
                             b->trace->trace_id);
    }
    return result;
}

/* The reason of the end that it is where it is of another trace than before; 0: it is not. */
static uint32_t end_of_begin(const struct trace_read *r, const xenres_trace_begin *b)
{
    if (!r->stream.has_begun) {
        bool is_other = r->numbering.feed[0] != '\0' && strcmp(r->numbering.feed, b->feed) != 0;

        return is_other ? XENRES_TRACE_NOT_FOUND : 0;
    }
    return strcasecmp(r->incarnation, b->trace->domain.incarnation) != 0
               ? XENRES_TRACE_INCARNATION_ENDED
           : strcasecmp(r->trace_id, b->trace->trace_id) != 0 ? XENRES_TRACE_NOT_FOUND
                                                              : 0;
}

/* What nobody told of is told behind the beginning, which comes first. */
static int deliver_begin(const struct trace_read *r, xenres_trace_begin *b,
                         const struct byte_loss *lost, struct fault *fault)
{
    struct byte_place next = byte_numbering_next(&r->numbering);

    b->position = next.position;
    b->offset = next.offset;
    b->segment = next.segment;
    b->epoch = next.epoch;
    int result = answer(TELL(r, begin, b), fault);

    return result == 0 && lost->is_some
               ? tell_loss(r,
                           lost->is_before_all ? XENRES_TRACE_GAP_BEFORE
                                               : XENRES_TRACE_GAP_INTERRUPTED,
                           lost->position, lost->length, lost->at_least, &lost->to, fault)
               : result;
}

static int take_begin(struct trace_read *r, xenres_stream *stream, struct trace_message *m,
                      struct fault *fault)
{
    struct byte_verdict verdict;
    xenres_trace_begin *b = &m->begin;
    int result = admit(r, b, fault);

    if (result != 0) {
        return result;
    }
    if (end_of_begin(r, b) != 0) {
        return tell_end(&r->stream, end_of_begin(r, b),
                        "the trace that was read is over, and this is another", fault);
    }
    if (b->resumed && r->stream.place.cursor[0] == '\0') {
        return reconnect_lie(fault, "goes on where nobody asked it to");
    }
    result =
        byte_numbering_begin(&r->numbering, &m->place, r->stream.place.is_ours, &verdict, fault);
    if (result != 0) {
        return result;
    }
    if (!b->resumed) {
        r->stream.place.cursor[0] = '\0';
    }
    (void)snprintf(r->incarnation, sizeof(r->incarnation), "%s", b->trace->domain.incarnation);
    (void)snprintf(r->trace_id, sizeof(r->trace_id), "%s", b->trace->trace_id);
    reconnect_begun(&r->stream, stream, b->silence_max_ms);
    return deliver_begin(r, b, &verdict.lost, fault);
}

static void keep_place(struct trace_read *r, const char *cursor)
{
    byte_numbering_keep(&r->numbering);
    reconnect_keep(&r->stream, cursor);
}

/* Whether that is the end of the trace, known to the byte, or of the stream alone, behind which it may be
 * gone on. */
static bool is_all_known(uint32_t reason)
{
    return reason != XENRES_TRACE_MAPPER_GONE && reason != XENRES_TRACE_SAMPLING_FAILED;
}

static int take_end(struct trace_read *r, xenres_stream *stream, const xenres_trace_end *end,
                    struct fault *fault)
{
    int result = reconnect_last_words(&r->stream, stream, fault);

    if (result != 0) {
        return result;
    }
    if (end->cursor[0] != '\0') {
        keep_place(r, end->cursor);
    }
    bool may_come_back =
        end->reason == XENRES_TRACE_SHUTTING_DOWN ||
        (end->reason == XENRES_TRACE_FAILED && r->stream.may_pass) ||
        (end->reason == XENRES_TRACE_CREDENTIALS_EXPIRED && reconnect_is_renewed(&r->stream));
    if (may_come_back && r->stream.outage_max_ms != XENRES_NO_RECONNECT) {
        return reconnect_again(&r->stream, end->reason, end->message, fault);
    }
    result = tell_rest(r, end->position, is_all_known(end->reason), fault);
    r->stream.is_over = result == 0;
    return result == 0 ? answer(TELL(r, end, end), fault) : result;
}

static int deliver_data(const struct trace_read *r, xenres_trace_data *d, uint64_t skip,
                        struct fault *fault)
{
    d->position += skip;
    d->offset += skip;
    d->bytes = (const uint8_t *)d->bytes + skip;
    d->len_bytes -= skip;
    d->has_sync = d->has_sync && d->sync_offset >= skip;
    d->sync_offset = d->has_sync ? d->sync_offset - (uint32_t)skip : 0;
    return answer(TELL(r, data, d), fault);
}

/* What is new of it. */
static int deliver(struct trace_read *r, struct trace_message *m, uint64_t skip,
                   struct fault *fault)
{
    switch (m->item.kind) {
    case BYTE_SEGMENT: return answer(TELL(r, segment, &m->segment), fault);
    case BYTE_DATA: return deliver_data(r, &m->data, skip, fault);
    case BYTE_GAP:
        m->gap.position += skip;
        m->gap.length -= skip;
        return answer(TELL(r, gap, &m->gap), fault);
    case BYTE_CHECKPOINT:
        m->checkpoint.feed = r->numbering.feed;
        return answer(TELL(r, checkpoint, &m->checkpoint), fault);
    case BYTE_HEARTBEAT: return answer(TELL(r, heartbeat, &m->heartbeat), fault);
    case BYTE_OTHER:
    case BYTE_BEGIN:
    case BYTE_END:
    default: return 0;
    }
}

static int take(struct reconnect *stream, xenres_stream *s, xenres_reply *reply,
                struct fault *fault)
{
    struct trace_read *r = of_stream(stream);
    struct trace_message m = { .item = { .kind = BYTE_OTHER } };
    struct byte_verdict verdict;
    int result = trace_message_read(reply, &m, fault);

    if (result != 0 || m.item.kind == BYTE_OTHER) {
        return result;
    }
    if (stream->is_begun == (m.item.kind == BYTE_BEGIN)) {
        return reconnect_lie(fault, stream->is_begun ? "begins twice"
                                                     : "does not say first what it is of");
    }
    if (m.item.kind == BYTE_BEGIN) {
        return take_begin(r, s, &m, fault);
    }
    result = byte_numbering_take(&r->numbering, &m.item, &verdict, fault);
    if (result != 0) {
        return result;
    }
    if (m.item.kind == BYTE_END) {
        return take_end(r, s, &m.end, fault);
    }
    if (m.item.kind == BYTE_CHECKPOINT) {
        keep_place(r, m.checkpoint.cursor);
    }
    if (verdict.is_new) {
        reconnect_alive(stream);
    }
    return verdict.is_new ? deliver(r, &m, verdict.skip, fault) : 0;
}

/* --- the stream's ops --- */

static bool pack(const struct reconnect *stream, const char *cursor, struct buffer *out)
{
    const struct trace_read *r = of_stream(stream);
    Xenres__V1__ReadTraceRequest request;

    xenres__v1__read_trace_request__init(&request);
    request.domain = call_string(r->query.domain);
    request.incarnation = call_string(r->incarnation);
    request.vcpu = r->query.vcpu;
    request.trace_id = call_string(r->trace_id);
    request.cursor = call_string(cursor);
    return call_pack(&request.base, out);
}

static void cut(struct reconnect *stream)
{
    (void)stream;
}

static bool tell_cut(const struct reconnect *stream, const struct reconnect_cut *c)
{
    const struct trace_read *r = of_stream(stream);
    const xenres_trace_interruption interruption = {
        .error = c->error,
        .end_reason = stream->end_reason,
        .tries = stream->tries,
        .wait_ms = c->wait_ms,
        .outage_ms = c->outage_ms,
        .feed = r->numbering.feed,
        .position = r->numbering.had.position,
        .cursor = stream->place.cursor,
    };

    return TELL(r, interrupted, &interruption);
}

/* The trace was named: it is not there any more, nor is perhaps the domain. */
static uint32_t end_of(int result)
{
    switch (-result) {
    case ERROR_ABORTED:
    case ERROR_NOT_FOUND:
    case ERROR_FAILED_PRECONDITION: return XENRES_TRACE_NOT_FOUND;
    default: return 0;
    }
}

static const struct reconnect_ops stream_ops = {
    .pack = pack,
    .take = take,
    .cut = cut,
    .tell_cut = tell_cut,
    .end_of = end_of,
    .tell_end = tell_end,
};

/* --- the interface --- */

static int refuse(struct fault *fault, const char *field, const char *what)
{
    int result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "%s", what);

    return failure_field(&fault->failure, result, "%s", field);
}

static int take_place(struct trace_read *r, const char *feed, struct fault *fault)
{
    const xenres_trace_query *q = &r->query;
    const struct byte_place place = {
        .position = q->position, .offset = q->offset, .segment = q->segment, .epoch = q->epoch
    };

    if (!q->has_place) {
        byte_numbering_know(&r->numbering, feed, q->position);
        return 0;
    }
    return byte_numbering_know_place(&r->numbering, feed, &place, q->is_open)
               ? 0
               : refuse(fault, "offset", "no byte has such a place");
}

static int take_feed(struct trace_read *r, struct fault *fault)
{
    uint8_t id[BYTE_NUMBERING_FEED_CHARS / 2];
    char feed[BYTE_NUMBERING_FEED_CHARS + 1];

    if (r->query.feed == NULL) {
        return 0;
    }
    if (!text_to_hex(r->query.feed, id, sizeof(id))) {
        return refuse(fault, "feed", "a feed has 32 hexadecimal digits");
    }
    if (r->query.position > BYTE_NUMBERING_MAX) {
        return refuse(fault, "position", "no byte has such a position");
    }
    text_from_hex(id, sizeof(id), feed);
    r->stream.may_drop_cursor = true;
    return take_place(r, feed, fault);
}

static int take_query(struct trace_read *r, const xenres_trace_query *given, struct fault *fault)
{
    xenres_trace_query *q = &r->query;
    int result = fault_copy_sized(q, given, sizeof(*q), "xenres_trace_query", fault);

    if (result == 0) {
        result = target_check(q->domain, q->incarnation, fault);
    }
    if (result == 0 && q->vcpu >= XENRES_TRACED_VCPUS_MAX) {
        result = refuse(fault, "vcpu", "vCPUs that are traced have numbers below 128");
    }
    if (result == 0 && q->trace_id != NULL && !trace_view_is_id(q->trace_id)) {
        result = refuse(fault, "trace_id", "a trace's id has 32 hexadecimal digits");
    }
    if (result == 0) {
        (void)snprintf(r->incarnation, sizeof(r->incarnation), "%s",
                       q->incarnation != NULL ? q->incarnation : "");
        (void)snprintf(r->trace_id, sizeof(r->trace_id), "%s",
                       q->trace_id != NULL ? q->trace_id : "");
        result = take_feed(r, fault);
    }
    return result == 0 ? reconnect_take_options(&r->stream, q->cursor, q->outage_max_ms, fault)
                       : result;
}

static int read_trace(xenres *handle, const xenres_trace_query *query,
                      const xenres_trace_sink *sink, struct fault *fault)
{
    struct trace_read r = { .stream = { .handle = handle,
                                        .method = "xenres.v1.TraceService/ReadTrace",
                                        .ops = &stream_ops } };
    int result = take_query(&r, query, fault);

    if (result == 0) {
        result = fault_copy_sized(&r.to, sink, sizeof(r.to), "xenres_trace_sink", fault);
    }
    return result == 0 ? reconnect_run(&r.stream, fault) : result;
}

int xenres_trace_read(xenres *handle, const xenres_trace_query *query,
                      const xenres_trace_sink *sink, xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = read_trace(handle, query, sink, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}
