/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/follow_message.h"

#include <inttypes.h>
#include <string.h>

enum { MESSAGE_MAX_BYTES = 96 << 20 /* of one that is shown by itself */ };

/* --- callbacks --- */

#define TELL(f, callback, value)                                                                   \
    ((f)->to.callback == NULL || (f)->to.callback((f)->to.arg, (value)) == 0)

static int answer(bool goes_on, struct fault *fault)
{
    return goes_on ? 0 : reconnect_ended_by_callback(fault);
}

/* A message to its callback. */
static int deliver(const struct follow *f, const struct follow_message *m,
                   const struct numbering_verdict *v, struct fault *fault)
{
    switch (m->numbers.kind) {
    case NUMBERING_BEGIN:
    case NUMBERING_CONTENT:
    case NUMBERING_CHANGES: return answer(f->ops->deliver(f, m, v) == 0, fault);
    case NUMBERING_GAP: return answer(TELL(f, gap, &m->gap), fault);
    case NUMBERING_CHECKPOINT: return answer(TELL(f, checkpoint, &m->checkpoint), fault);
    case NUMBERING_HEARTBEAT: return answer(TELL(f, heartbeat, &m->heartbeat), fault);
    case NUMBERING_END: return answer(TELL(f, end, &m->end), fault);
    case NUMBERING_OTHER:
    default: return 0;
    }
}

static int tell_raw(const struct follow *f, const xenres_reply *reply, struct fault *fault)
{
    size_t len_bytes;
    const void *message = xenres_reply_message(reply, &len_bytes, NULL);

    return f->to.raw == NULL || f->to.raw(f->to.arg, message, len_bytes) == 0
               ? 0
               : reconnect_ended_by_callback(fault);
}

/* `last` 0: no number is known to be missing. */
static int tell_loss(const struct follow *f, uint32_t reason, uint64_t first, uint64_t last,
                     bool is_exact, struct fault *fault)
{
    const xenres_watch_gap gap = {
        .reason = reason, .first_sequence = first, .sequence = last, .exact = is_exact
    };

    return answer(TELL(f, gap, &gap), fault);
}

/* What was produced and will not come. */
static int tell_rest(const struct follow *f, bool is_all_known, struct fault *fault)
{
    uint64_t first, last;
    bool is_some = numbering_rest(&f->numbering, &first, &last);

    return f->numbering.is_known && (is_some || !is_all_known)
               ? tell_loss(f, XENRES_GAP_AT_END, first, is_some ? last : 0, is_all_known, fault)
               : 0;
}

int follow_tell_end(struct follow *f, uint32_t reason, const char *message, struct fault *fault)
{
    const xenres_watch_end end = { .reason = reason, .message = message, .cursor = "" };
    int result = tell_rest(f, false, fault);

    f->stream.is_over = result == 0;
    return result == 0 ? answer(TELL(f, end, &end), fault) : result;
}

/* --- messages --- */

static int tell_lost_place(struct follow *f, const struct numbering_verdict *v, bool resumed,
                           struct fault *fault)
{
    bool led_nowhere = f->stream.asked_to_go_on && !resumed && !f->numbering.is_known;
    int result = 0;

    if (v->is_other_feed) {
        result = tell_loss(f, XENRES_GAP_NEW_FEED, v->lost_first, v->lost, false, fault);
    } else if (led_nowhere) { /* the cursor was from elsewhere: of which feed is not known */
        result = tell_loss(f, XENRES_GAP_INTERRUPTED, 0, 0, false, fault);
    }
    return result;
}

/* It goes on from where it was asked to. */
static int check_place(const struct follow *f, uint64_t sequence, struct fault *fault)
{
    if (f->stream.place.cursor[0] == '\0') {
        return reconnect_lie(fault, "goes on where nobody asked it to");
    }
    return !f->stream.place.is_ours || sequence == f->place_sequence ||
                   (f->numbering.skips && sequence > f->place_sequence)
               ? 0
               : reconnect_lie(fault, "goes on behind %" PRIu64 ", asked to behind %" PRIu64,
                               sequence, f->place_sequence);
}

static int take_begin(struct follow *f, xenres_stream *stream, const xenres_reply *reply,
                      const struct follow_message *m, struct fault *fault)
{
    struct numbering_verdict verdict;
    bool is_other_life = false;
    int result = f->ops->admit != NULL ? f->ops->admit(f, m, &is_other_life, fault) : 0;

    if (result == 0 && is_other_life && f->stream.has_begun) {
        return follow_tell_end(f, XENRES_END_INCARNATION_ENDED, "the domain is another now", fault);
    }
    if (result == 0 && m->begin.resumed) {
        result = check_place(f, m->begin.sequence, fault);
    }
    if (result == 0) {
        result = numbering_begin(&f->numbering, &m->begin, &verdict, fault);
    }
    if (result == 0) {
        result = tell_lost_place(f, &verdict, m->begin.resumed, fault);
    }
    if (result != 0) {
        return result;
    }
    if (m->begin.resumed) {
        f->content_bytes = f->place_content_bytes;
    } else {
        f->stream.place.cursor[0] = '\0';
    }
    reconnect_begun(&f->stream, stream, m->silence_max_ms);
    result = tell_raw(f, reply, fault);
    return result == 0 ? deliver(f, m, &verdict, fault) : result;
}

static void keep_place(struct follow *f, const char *cursor, uint64_t sequence)
{
    f->place_sequence = sequence;
    f->place_content_bytes = f->content_bytes;
    reconnect_keep(&f->stream, cursor);
}

/* The gateway stops, or its mapper did: there will be another one. Or it could not go on for now. Or what was
 * shown has expired, and there is something else to show. */
static bool may_come_back(struct follow *f, uint32_t end_reason)
{
    if (end_reason == XENRES_END_CREDENTIALS_EXPIRED) {
        return reconnect_is_renewed(&f->stream);
    }
    return end_reason == XENRES_END_SHUTTING_DOWN || end_reason == XENRES_END_MAPPER_GONE ||
           (end_reason == XENRES_END_FAILED && f->stream.may_pass);
}

static int take_end(struct follow *f, xenres_stream *stream, const xenres_reply *reply,
                    const struct follow_message *m, struct fault *fault)
{
    int result = reconnect_last_words(&f->stream, stream, fault);

    if (result != 0) {
        return result;
    }
    if (m->end.cursor[0] != '\0' && !f->numbering.is_in_parts && !f->numbering.is_due) {
        keep_place(f, m->end.cursor, f->numbering.at);
    }
    if (may_come_back(f, m->end.reason) && f->stream.outage_max_ms != XENRES_NO_RECONNECT) {
        return reconnect_again(&f->stream, m->end.reason, m->end.message, fault);
    }
    result = tell_rest(f, m->end.sequence != 0 || f->numbering.delivered == 0, fault);
    if (result == 0) {
        result = tell_raw(f, reply, fault);
    }
    f->stream.is_over = result == 0;
    return result == 0 ? deliver(f, m, NULL, fault) : result;
}

/* What is new of it, to its callback. */
static int hand_on(struct follow *f, const xenres_reply *reply, struct follow_message *m,
                   const struct numbering_verdict *v, struct fault *fault)
{
    int result = 0;

    if (v->lost != 0) {
        result = tell_loss(f, XENRES_GAP_INTERRUPTED, v->lost_first, v->lost, true, fault);
    }
    if (m->numbers.kind == NUMBERING_GAP) {
        /* What was behind the gap was told as lost: it is not to come all the same. */
        f->stream.place.cursor[0] = '\0';
        m->gap.first_sequence = v->first;
        m->gap.blocks = v->is_cut_short ? 0 : m->gap.blocks;
    }
    m->checkpoint.feed = f->numbering.feed;
    reconnect_alive(&f->stream);
    if (result == 0) {
        result = tell_raw(f, reply, fault);
    }
    return result == 0 ? deliver(f, m, v, fault) : result;
}

static int take_other(struct follow *f, const xenres_reply *reply, struct follow_message *m,
                      struct fault *fault)
{
    struct numbering_verdict verdict;
    bool is_checked = m->numbers.kind == NUMBERING_CONTENT ||
                      m->numbers.kind == NUMBERING_CHANGES || m->numbers.kind == NUMBERING_GAP;
    int result = numbering_take(&f->numbering, &m->numbers, &verdict, fault);

    if (result == 0 && is_checked && f->ops->check != NULL) {
        result = f->ops->check(f, m, fault);
    }
    if (result != 0) {
        return result;
    }
    if (m->numbers.kind == NUMBERING_CHECKPOINT) {
        keep_place(f, m->checkpoint.cursor, m->numbers.sequence);
    }
    return verdict.is_new ? hand_on(f, reply, m, &verdict, fault) : 0;
}

int follow_take(struct follow *f, xenres_stream *stream, xenres_reply *reply, struct fault *fault)
{
    struct follow_message m = { .numbers = { .kind = NUMBERING_OTHER } };
    struct numbering_verdict verdict;
    int result = f->ops->read(reply, &m, fault);

    if (result != 0 || m.numbers.kind == NUMBERING_OTHER) {
        return result;
    }
    if (f->stream.is_begun == (m.numbers.kind == NUMBERING_BEGIN)) {
        return reconnect_lie(fault, f->stream.is_begun ? "begins twice"
                                                       : "does not say first what it is of");
    }
    if (m.numbers.kind == NUMBERING_BEGIN) {
        return take_begin(f, stream, reply, &m, fault);
    }
    if (m.numbers.kind == NUMBERING_END) {
        result = numbering_take(&f->numbering, &m.numbers, &verdict, fault);
        return result == 0 ? take_end(f, stream, reply, &m, fault) : result;
    }
    return take_other(f, reply, &m, fault);
}

/* --- one by itself --- */

int follow_show(const struct follow *f, const void *message, size_t len_bytes,
                const ProtobufCMessageDescriptor *type, struct fault *fault)
{
    struct follow_message m = { .numbers = { .kind = NUMBERING_OTHER } };
    REPLY_AUTO reply = reply_new(MESSAGE_MAX_BYTES, fault);

    if (reply == NULL || !buffer_append(&reply->bytes, message, len_bytes)) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED,
                           "the message has more than %d bytes", MESSAGE_MAX_BYTES);
    }
    int result = reply_unpack(reply, type, fault);

    if (result == 0) {
        result = f->ops->read(reply, &m, fault);
    }
    const struct numbering_verdict verdict = { .is_new = true, .first = m.numbers.first };

    m.checkpoint.feed = "";
    return result == 0 ? deliver(f, &m, &verdict, fault) : result;
}
