/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ResourceService.Watch, followed. */
#include <string.h>
#include <strings.h>

#include "client/call.h"
#include "client/follow.h"
#include "client/resource.h"
#include "client/target.h"
#include "client/watch_read.h"
#include "xenres/v1/resource.pb-c.h"

enum { PERIOD_MAX_MS = 3600 * 1000 };

/* What the follower knows as its `arg`. */
struct watch {
    xenres_watch_query query;
    xenres_watch_sink sink;
    char incarnation[33]; /* that is watched; "" until the first begin, where none was asked for */
    uint64_t next_offset; /* within an image whose pieces come */
    uint64_t next_block;  /* within a batch whose parts come */
};

static bool pack(const struct follow *f, const char *cursor, struct buffer *out)
{
    const struct watch *w = f->arg;
    const xenres_watch_query *q = &w->query;
    Xenres__V1__WatchRequest request;
    Google__Protobuf__Duration period;

    xenres__v1__watch_request__init(&request);
    google__protobuf__duration__init(&period);
    request.domain = call_string(q->domain);
    request.incarnation = call_string(w->incarnation);
    request.type = (Xenres__V1__ResourceType)q->type;
    request.id = q->id;
    request.first_frame = q->first_frame;
    if (q->frame_count != XENRES_ALL) {
        request.frame_count_choice_case = XENRES__V1__WATCH_REQUEST__FRAME_COUNT_CHOICE_FRAME_COUNT;
        request.frame_count = q->frame_count;
    }
    if (q->period_ms > 0) {
        period.seconds = q->period_ms / 1000;
        period.nanos = (int32_t)(q->period_ms % 1000) * 1000000;
        request.period = &period;
    }
    request.mode = (Xenres__V1__WatchMode)q->mode;
    request.decode = q->decode;
    request.cursor = call_string(cursor);
    return call_pack(&request.base, out);
}

static int admit(struct follow *f, const struct follow_message *m, bool *is_other_life,
                 struct fault *fault)
{
    struct watch *w = f->arg;
    const xenres_watch_query *q = &w->query;
    const xenres_watch_begin *b = &((const struct watch_view *)m->view)->begin;

    int result =
        target_match(q->domain, f->stream.has_begun ? NULL : w->incarnation, &b->domain, fault);

    *is_other_life = f->stream.has_begun && strcasecmp(w->incarnation, b->domain.incarnation) != 0;
    if (result != 0 || *is_other_life) {
        return result;
    }
    if (b->type != q->type || b->id != q->id || b->first_frame != q->first_frame) {
        return failure_set(&fault->failure, ERROR_INTERNAL,
                           "asked for %s %u from frame %u, answered with %s %u from frame %u",
                           xenres_resource_type_name(q->type), q->id, q->first_frame,
                           xenres_resource_type_name(b->type), b->id, b->first_frame);
    }
    if (b->mode != q->mode || b->decode != q->decode) {
        return reconnect_lie(fault, "has another mode than was asked for");
    }
    memcpy(w->incarnation, b->domain.incarnation, sizeof(w->incarnation));
    return 0;
}

/* --- do the bytes fit to each other? --- */

static int check_first_piece(struct follow *f, const xenres_watch_image *image, struct fault *fault)
{
    const struct watch *w = f->arg;
    const xenres_observation *o = image->observation;
    uint64_t total_bytes = o != NULL ? (uint64_t)o->frame_count * o->frame_bytes : 0;

    if (o == NULL || o->first_frame != w->query.first_frame ||
        (w->query.frame_count != XENRES_ALL && o->frame_count != w->query.frame_count)) {
        return reconnect_lie(fault, "has an image of other frames than were asked for");
    }
    f->content_bytes = total_bytes;
    return 0;
}

static int check_piece(struct follow *f, const xenres_watch_image *image, struct fault *fault)
{
    struct watch *w = f->arg;
    /* That it is of the same image as the piece before, its numbers say. */
    int result = w->next_offset == 0 ? check_first_piece(f, image, fault) : 0;

    if (result != 0) {
        return result;
    }
    if (image->offset_bytes != w->next_offset ||
        image->len_bytes > f->content_bytes - w->next_offset) {
        return reconnect_lie(fault, "has a piece of an image that is not where it should be");
    }
    w->next_offset += image->len_bytes;
    w->next_block = 0; /* the rest of a batch may have been lost */
    if (image->complete != (w->next_offset == f->content_bytes)) {
        return reconnect_lie(fault, image->complete ? "has an image that is not all there"
                                                    : "has an image that does not end");
    }
    if (image->complete) {
        w->next_offset = 0;
    }
    return 0;
}

static int check_blocks(struct follow *f, const xenres_watch_changes *c, struct fault *fault)
{
    struct watch *w = f->arg;

    if (c->block_count > 0) {
        uint64_t last = c->blocks[c->block_count - 1];

        if (c->blocks[0] < w->next_block) {
            return reconnect_lie(fault, "has block %u twice, or out of order", c->blocks[0]);
        }
        /* Behind a cursor from elsewhere, nobody knows how large it is. */
        if (f->content_bytes > 0 && last >= f->content_bytes / WATCH_BLOCK_BYTES) {
            return reconnect_lie(fault, "has block %u, which is beyond the image",
                                 c->blocks[c->block_count - 1]);
        }
        w->next_block = last + 1;
    }
    if (!c->more) {
        w->next_block = 0;
    }
    return 0;
}

static int check(struct follow *f, const struct follow_message *m, struct fault *fault)
{
    struct watch *w = f->arg;
    const struct watch_view *v = m->view;

    if (m->numbers.kind == NUMBERING_GAP) {
        w->next_block = 0; /* the parts before it are void */
        return 0;
    }
    if (v->is_decoded != w->query.decode) {
        return reconnect_lie(fault, v->is_decoded ? "is decoded, though nobody asked for that"
                                                  : "is not decoded");
    }
    if (v->is_decoded) {
        return 0;
    }
    return m->numbers.kind == NUMBERING_CONTENT ? check_piece(f, &v->content.image, fault)
                                                : check_blocks(f, &v->changes, fault);
}

/* --- to the callbacks --- */

static int deliver_begin(const struct follow *f, struct watch *w, xenres_watch_begin *b)
{
    w->next_offset = w->next_block = 0;
    b->sequence = b->resumed ? f->numbering.delivered : b->sequence;
    b->segment = b->resumed ? f->numbering.segment : b->segment;
    return w->sink.begin != NULL ? w->sink.begin(w->sink.arg, b) : 0;
}

static int deliver(const struct follow *f, const struct follow_message *m,
                   const struct numbering_verdict *verdict)
{
    struct watch *w = f->arg;
    struct watch_view *v = m->view;
    const xenres_watch_sink *to = &w->sink;

    if (m->numbers.kind == NUMBERING_BEGIN) {
        return deliver_begin(f, w, &v->begin);
    }
    if (v->is_decoded) {
        v->decoded.first_sequence = verdict->first;
        return to->decoded != NULL ? to->decoded(to->arg, &v->decoded) : 0;
    }
    if (m->numbers.kind == NUMBERING_CONTENT) {
        v->content.image.first_sequence = verdict->first;
        return to->image != NULL ? to->image(to->arg, &v->content.image) : 0;
    }
    v->changes.first_sequence = verdict->first;
    return to->changes != NULL ? to->changes(to->arg, &v->changes) : 0;
}

static const struct follow_ops watch_ops = {
    .method = "xenres.v1.ResourceService/Watch",
    .pack = pack,
    .read = watch_read,
    .admit = admit,
    .check = check,
    .deliver = deliver,
};

/* --- the interface --- */

static int take_query(struct watch *w, const xenres_watch_query *given, struct fault *fault)
{
    xenres_watch_query *q = &w->query;
    int result = fault_copy_sized(q, given, sizeof(*q), "xenres_watch_query", fault);
    const xenres_frames_query frames = { .size = sizeof(frames),
                                         .domain = q->domain,
                                         .incarnation = q->incarnation,
                                         .type = q->type,
                                         .id = q->id,
                                         .first_frame = q->first_frame,
                                         .frame_count = q->frame_count };
    xenres_frames_query ignored;

    if (result == 0) {
        result = resource_take_query(&frames, &ignored, fault);
    }
    if (result == 0 && q->period_ms > PERIOD_MAX_MS) {
        result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "period_ms is above %d",
                             PERIOD_MAX_MS);
        failure_field(&fault->failure, result, "period");
    }
    if (result == 0 && q->mode > XENRES_WATCH_LATEST) {
        result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "%u is no mode", q->mode);
        failure_field(&fault->failure, result, "mode");
    }
    if (result == 0) {
        q->mode = q->mode != 0 ? q->mode : XENRES_WATCH_DELTA;
        (void)snprintf(w->incarnation, sizeof(w->incarnation), "%s",
                       q->incarnation != NULL ? q->incarnation : "");
    }
    return result;
}

static int take_sink(struct watch *w, struct follow *f, const xenres_watch_sink *given,
                     struct fault *fault)
{
    const xenres_watch_sink *s = &w->sink;
    int result = fault_copy_sized(&w->sink, given, sizeof(*s), "xenres_watch_sink", fault);

    f->ops = &watch_ops;
    f->arg = w;
    f->to = (struct follow_sink){ s->raw, s->gap,         s->checkpoint, s->heartbeat,
                                  s->end, s->interrupted, s->arg };
    return result;
}

static int watch(xenres *handle, const xenres_watch_query *query, const xenres_watch_sink *sink,
                 struct fault *fault)
{
    struct watch w = { .next_offset = 0 };
    struct follow f = { .stream.handle = handle };
    int result = take_query(&w, query, fault);

    if (result == 0) {
        result = take_sink(&w, &f, sink, fault);
    }
    if (result == 0) {
        result = follow_take_options(&f, w.query.cursor, w.query.feed, w.query.sequence,
                                     w.query.outage_max_ms, fault);
    }
    if (result != 0) {
        return result;
    }
    f.numbering.content = w.query.decode ? "content" : "image";
    f.numbering.repeats = w.query.decode;
    f.numbering.merges = w.query.mode != XENRES_WATCH_DELTA;
    return follow_run(&f, fault);
}

int xenres_watch(xenres *handle, const xenres_watch_query *query, const xenres_watch_sink *sink,
                 xenres_error *error)
{
    struct fault fault = { 0 };
    int result = handle_enter(handle, &fault);

    if (result == 0) {
        result = watch(handle, query, sink, &fault);
        handle_leave(handle);
    }
    return fault_export(result, &fault, error);
}

int xenres_watch_message(const void *message, size_t len_bytes, const xenres_watch_sink *sink,
                         xenres_error *error)
{
    struct fault fault = { 0 };
    struct watch w = { .next_offset = 0 };
    struct follow f = { .arg = NULL };
    int result = take_sink(&w, &f, sink, &fault);

    if (result == 0) {
        result =
            follow_show(&f, message, len_bytes, &xenres__v1__watch_response__descriptor, &fault);
    }
    return fault_export(result, &fault, error);
}
