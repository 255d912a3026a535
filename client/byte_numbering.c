/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/byte_numbering.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/reconnect.h"

/* --- places --- */

static bool is_place(const struct byte_place *p)
{
    return p->position <= BYTE_NUMBERING_MAX && p->offset <= p->position && p->epoch <= p->segment;
}

static bool is_same(const struct byte_place *a, const struct byte_place *b)
{
    return a->position == b->position && a->offset == b->offset && a->segment == b->segment &&
           a->epoch == b->epoch;
}

/* Is one at `a` further than one at `b`? */
static bool is_further(const struct byte_place *a, enum byte_step a_step,
                       const struct byte_place *b, enum byte_step b_step)
{
    if (a->position != b->position) {
        return a->position > b->position;
    }
    return a->segment != b->segment ? a->segment > b->segment : a_step > b_step;
}

/*
 * Can bytes from `from` to `to` be missing? Within a segment both numbers go up together. Others begin
 * behind a reset, which is an epoch each, or an open loss: *opens, unless the one is known already.
 */
static bool is_way(const struct byte_place *from, enum byte_step step, const struct byte_place *to,
                   bool *opens)
{
    if (to->position < from->position || to->segment < from->segment || to->epoch < from->epoch) {
        return false;
    }
    uint64_t length = to->position - from->position;
    uint32_t segments = to->segment - from->segment, epochs = to->epoch - from->epoch;

    *opens = segments - epochs > (step == BYTE_STEP_OPEN ? 1 : 0);
    if (segments == 0) {
        return epochs == 0 && to->offset == from->offset + length &&
               (step != BYTE_STEP_OPEN || length == 0);
    }
    return epochs <= segments && to->offset <= length;
}

static int lie_of_place(const char *what, const struct byte_place *p, const struct byte_place *at,
                        struct fault *fault)
{
    return reconnect_lie(fault,
                         "%s at byte %" PRIu64 " (segment %u, epoch %u, offset %" PRIu64
                         "), where byte %" PRIu64 " (segment %u, epoch %u, offset %" PRIu64
                         ") is next",
                         what, p->position, p->segment, p->epoch, p->offset, at->position,
                         at->segment, at->epoch, at->offset);
}

static int lie_of_position(const char *what, uint64_t position, const struct byte_numbering *n,
                           struct fault *fault)
{
    return reconnect_lie(fault, "%s at byte %" PRIu64 ", where byte %" PRIu64 " is next", what,
                         position, n->at.position);
}

/* --- the caller's place --- */

void byte_numbering_know(struct byte_numbering *n, const char *feed, uint64_t position)
{
    (void)snprintf(n->feed, sizeof(n->feed), "%s", feed);
    n->is_known = true;
    n->has_segment = false;
    n->had = (struct byte_place){ .position = position };
    n->had_step = BYTE_STEP_BEFORE;
}

bool byte_numbering_know_place(struct byte_numbering *n, const char *feed,
                               const struct byte_place *place, bool is_open)
{
    if (!is_place(place)) {
        return false;
    }
    byte_numbering_know(n, feed, place->position);
    n->has_segment = true;
    n->had = *place;
    n->had_step = is_open             ? BYTE_STEP_OPEN
                  : place->offset > 0 ? BYTE_STEP_WITHIN
                                      : BYTE_STEP_BEFORE;
    return true;
}

/* Has the stream come further? */
static bool is_news(const struct byte_numbering *n)
{
    return n->has_segment ? is_further(&n->at, n->step, &n->had, n->had_step)
                          : n->at.position >= n->had.position;
}

/* The stream has come further than the caller: so has he now. */
static void catch_up(struct byte_numbering *n)
{
    if (!n->is_known || is_news(n)) {
        n->had = n->at;
        n->had_step = n->step;
        n->is_known = n->has_segment = true;
    }
}

/* The stream's way is the one that led to the caller's place, or leads on from there. */
static int check_way(const struct byte_numbering *n, struct fault *fault)
{
    bool ignored;
    bool is_right = !n->has_segment || (is_news(n) ? is_way(&n->had, n->had_step, &n->at, &ignored)
                                                   : is_way(&n->at, n->step, &n->had, &ignored));

    return is_right ? 0 : lie_of_place("leads elsewhere than before:", &n->at, &n->had, fault);
}

/* --- begin --- */

static int check_resumed(const struct byte_numbering *n, const struct byte_begin *b, bool from_kept,
                         struct fault *fault)
{
    if (from_kept && (!n->has_kept || !is_same(&b->at, &n->kept))) {
        return lie_of_place("was asked to go on elsewhere, and goes on", &b->at, &n->kept, fault);
    }
    return n->is_known && b->at.position > n->had.position
               ? lie_of_place("goes on", &b->at, &n->had, fault)
               : 0;
}

/* It begins behind what the caller has had: the rest is lost. A reset, too, may have been behind an open
 * loss. */
static int skip_to(struct byte_numbering *n, struct byte_loss *lost, struct fault *fault)
{
    uint32_t segments = n->at.segment - n->had.segment;
    bool opens = segments > (n->had_step == BYTE_STEP_OPEN ? 1 : 0);

    if (check_way(n, fault) != 0) {
        return -ERROR_INTERNAL;
    }
    *lost = (struct byte_loss){
        .is_some = n->at.position > n->had.position || opens,
        .is_before_all = n->had.position == 0 && n->had_step == BYTE_STEP_BEFORE,
        .at_least = opens,
        .position = n->had.position,
        .length = n->at.position - n->had.position,
        .to = n->at,
    };
    n->had = n->at;
    n->had_step = n->step;
    n->is_known = n->has_segment = true;
    return 0;
}

/* Where the stream begins, and what of it the caller has had. */
static int settle(struct byte_numbering *n, const struct byte_begin *b, struct byte_verdict *out,
                  struct fault *fault)
{
    /* A cursor from elsewhere: what was before it is the affair of whoever had it. */
    if (!n->is_known && b->resumed) {
        catch_up(n);
        return 0;
    }
    bool is_anew = !n->is_known;

    if (is_anew) {
        n->is_known = true;
        n->had = (struct byte_place){ .position = 0 };
        n->had_step = BYTE_STEP_BEFORE;
        n->has_segment = true;
    }
    /* A segment that begins just there has a loss before it that the caller need not have heard of: a
     * position does not say. */
    bool may_open = n->at.segment > 0 && n->at.offset == 0;
    bool is_ahead = n->has_segment ? is_further(&n->at, BYTE_STEP_BEFORE, &n->had, n->had_step)
                                   : n->at.position > n->had.position ||
                                         (n->at.position == n->had.position && may_open);

    if (is_ahead) {
        return skip_to(n, &out->lost, fault);
    }
    if (!n->has_segment && n->at.position == n->had.position) {
        catch_up(n);
    }
    return check_way(n, fault);
}

int byte_numbering_begin(struct byte_numbering *n, const struct byte_begin *b, bool from_kept,
                         struct byte_verdict *out, struct fault *fault)
{
    *out = (struct byte_verdict){ .is_new = true };
    if (!is_place(&b->at)) {
        return reconnect_lie(fault, "begins at a place that is none");
    }
    if (n->feed[0] != '\0' && strcmp(n->feed, b->feed) != 0) {
        return reconnect_lie(fault, "is of another feed of the same trace");
    }
    int result = b->resumed ? check_resumed(n, b, from_kept, fault) : 0;

    if (result != 0) {
        return result;
    }
    (void)snprintf(n->feed, sizeof(n->feed), "%s", b->feed);
    n->at = b->at;
    n->step = b->resumed && from_kept ? n->kept_step
              : b->at.offset > 0      ? BYTE_STEP_WITHIN
                                      : BYTE_STEP_BEFORE;
    n->may_be_open = b->resumed && !from_kept;
    return settle(n, b, out, fault);
}

/* --- messages --- */

/* Which segment may be announced now. */
static bool is_next_segment(const struct byte_numbering *n, const struct byte_item *i)
{
    const struct byte_place *p = &i->at;
    bool is_reset = i->reason == XENRES_TRACE_SEGMENT_RESET;

    if (i->reason == XENRES_TRACE_SEGMENT_START) {
        return n->step == BYTE_STEP_BEFORE && p->position == 0 && p->segment == 0 &&
               n->at.segment == 0 && p->epoch == 0;
    }
    if (p->segment == n->at.segment) {
        return n->step == BYTE_STEP_BEFORE && p->epoch == n->at.epoch && p->segment > 0 &&
               (!is_reset || p->epoch > 0);
    }
    return n->at.segment != UINT32_MAX && p->segment == n->at.segment + 1 &&
           p->epoch == n->at.epoch + is_reset &&
           (is_reset || n->step == BYTE_STEP_OPEN || n->may_be_open);
}

static int take_segment(struct byte_numbering *n, const struct byte_item *i,
                        struct byte_verdict *out, struct fault *fault)
{
    if (i->at.position != n->at.position || !is_next_segment(n, i)) {
        return lie_of_place("begins a segment", &i->at, &n->at, fault);
    }
    n->at = i->at;
    n->step = BYTE_STEP_WITHIN;
    out->is_new = is_news(n);
    return check_way(n, fault);
}

/* Of bytes from the stream's place on: how many the caller has had. */
static uint64_t had_of(const struct byte_numbering *n, uint64_t length)
{
    uint64_t had = n->had.position > n->at.position ? n->had.position - n->at.position : 0;

    return had < length ? had : length;
}

static int take_data(struct byte_numbering *n, const struct byte_item *i, struct byte_verdict *out,
                     struct fault *fault)
{
    struct byte_place to = n->at;

    if (!is_same(&i->at, &n->at)) {
        return lie_of_place("has bytes", &i->at, &n->at, fault);
    }
    if (n->step == BYTE_STEP_OPEN || i->length == 0 ||
        i->length > BYTE_NUMBERING_MAX - n->at.position) {
        return reconnect_lie(
            fault, "has %" PRIu64 " bytes at %" PRIu64 "%s", i->length, n->at.position,
            n->step == BYTE_STEP_OPEN ? " without the segment that has to begin" : "");
    }
    to.position += i->length;
    to.offset += i->length;
    out->skip = had_of(n, i->length);
    out->is_new = out->skip < i->length;
    n->at = to;
    n->step = BYTE_STEP_WITHIN;
    return check_way(n, fault);
}

/* A cursor from elsewhere may be just behind an open loss, which is not told again: then one segment is. */
static bool may_lead_on(const struct byte_numbering *n, const struct byte_place *to)
{
    return n->may_be_open && to->segment - n->at.segment - (to->epoch - n->at.epoch) == 1;
}

static int take_gap(struct byte_numbering *n, const struct byte_item *i, struct byte_verdict *out,
                    struct fault *fault)
{
    struct byte_place to = i->to;
    bool opens;

    if (i->at.position != n->at.position) {
        return lie_of_position("has a gap", i->at.position, n, fault);
    }
    to.position = n->at.position + (i->length <= BYTE_NUMBERING_MAX ? i->length : 0);
    if (i->length > BYTE_NUMBERING_MAX || !is_place(&to) || !is_way(&n->at, n->step, &to, &opens) ||
        (opens && !i->at_least && !may_lead_on(n, &to)) ||
        (to.segment == n->at.segment && i->length == 0 && !i->at_least)) {
        return reconnect_lie(fault,
                             "has a gap of %" PRIu64 " bytes at %" PRIu64
                             " that cannot lead to segment %u, epoch %u, offset %" PRIu64,
                             i->length, n->at.position, i->to.segment, i->to.epoch, i->to.offset);
    }
    bool is_within = to.segment == n->at.segment;

    out->skip = had_of(n, i->length);
    n->step = is_within && i->at_least     ? BYTE_STEP_OPEN
              : is_within || to.offset > 0 ? BYTE_STEP_WITHIN
                                           : BYTE_STEP_BEFORE;
    n->at = to;
    out->is_new = is_news(n);
    return check_way(n, fault);
}

static int take_end(const struct byte_numbering *n, const struct byte_item *i,
                    struct byte_verdict *out, struct fault *fault)
{
    if (i->at.position < n->at.position || i->at.position > BYTE_NUMBERING_MAX) {
        return lie_of_position("ends", i->at.position, n, fault);
    }
    out->is_new = true;
    return 0;
}

static int take(struct byte_numbering *n, const struct byte_item *i, struct byte_verdict *out,
                struct fault *fault)
{
    switch (i->kind) {
    case BYTE_SEGMENT: return take_segment(n, i, out, fault);
    case BYTE_DATA: return take_data(n, i, out, fault);
    case BYTE_GAP: return take_gap(n, i, out, fault);
    case BYTE_CHECKPOINT:
    case BYTE_HEARTBEAT:
        out->is_new = n->at.position >= n->had.position;
        return i->at.position == n->at.position
                   ? 0
                   : lie_of_position(i->kind == BYTE_CHECKPOINT ? "has a checkpoint"
                                                                : "has a heartbeat",
                                     i->at.position, n, fault);
    case BYTE_END: return take_end(n, i, out, fault);
    case BYTE_OTHER:
    case BYTE_BEGIN:
    default: return reconnect_lie(fault, "begins twice");
    }
}

int byte_numbering_take(struct byte_numbering *n, const struct byte_item *i,
                        struct byte_verdict *out, struct fault *fault)
{
    bool moves = i->kind == BYTE_SEGMENT || i->kind == BYTE_DATA || i->kind == BYTE_GAP;

    *out = (struct byte_verdict){ .is_new = false };
    int result = take(n, i, out, fault);

    if (result == 0 && moves) {
        n->may_be_open = false;
        catch_up(n);
    }
    return result;
}

void byte_numbering_keep(struct byte_numbering *n)
{
    n->has_kept = true;
    n->kept = n->at;
    n->kept_step = n->step;
}

uint64_t byte_numbering_rest(const struct byte_numbering *n, uint64_t position)
{
    return n->is_known && position > n->had.position ? position - n->had.position : 0;
}

struct byte_place byte_numbering_next(const struct byte_numbering *n)
{
    return n->has_segment
               ? n->had
               : (struct byte_place){ .position = n->had.position,
                                      .offset = n->at.offset + n->had.position - n->at.position,
                                      .segment = n->at.segment,
                                      .epoch = n->at.epoch };
}
