/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/numbering.h"

#include <inttypes.h>
#include <string.h>

#include "client/reconnect.h"

/* None is larger, so that one can be added. */
#define SEQUENCE_MAX (UINT64_MAX / 2)

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* --- begin --- */

/* The feed before is over: what it had produced, and nobody will deliver, is lost. */
static void leave_feed(struct numbering *n, struct numbering_verdict *out)
{
    out->is_other_feed = true;
    out->lost_first = n->is_known ? n->delivered + 1 : 0;
    out->lost = n->is_known && n->produced > n->delivered ? n->produced : 0;
    n->is_known = false;
    n->delivered = n->produced = 0;
    n->segment = 0;
    n->lacks_content = true;
}

static int resume(struct numbering *n, const struct numbering_begin *b, struct fault *fault)
{
    if (b->sequence > SEQUENCE_MAX) {
        return reconnect_lie(fault, "has a number that is none");
    }
    if (n->is_known && n->lacks_content) {
        return reconnect_lie(fault, "goes on where there was no %s", n->content);
    }
    /* Those that are passed over are of others: an end's cursor may be behind them already. */
    if (n->is_known && n->skips && b->sequence > n->delivered && b->sequence <= n->produced) {
        n->delivered = b->sequence;
    }
    if (n->is_known && b->sequence > n->delivered) {
        return reconnect_lie(fault,
                             "goes on behind %" PRIu64 ", though %" PRIu64 " was the last to come",
                             b->sequence, n->delivered);
    }
    if (!n->is_known) { /* a cursor from elsewhere */
        n->is_known = true;
        n->delivered = b->sequence;
    }
    n->segment = b->segment > n->segment ? b->segment : n->segment;
    n->produced = larger(n->produced, n->delivered);
    n->at = n->passed = b->sequence;
    n->at_segment = b->segment;
    return 0;
}

int numbering_begin(struct numbering *n, const struct numbering_begin *b,
                    struct numbering_verdict *out, struct fault *fault)
{
    bool is_other = n->feed[0] != '\0' && strcmp(n->feed, b->feed) != 0;

    *out = (struct numbering_verdict){ .is_new = true };
    if (is_other && b->resumed) {
        return reconnect_lie(fault, "goes on, but in another feed");
    }
    if (is_other) {
        leave_feed(n, out);
    }
    memcpy(n->feed, b->feed, sizeof(n->feed));
    n->at = n->passed = 0;
    n->at_segment = 0;
    n->has_place = b->resumed;
    n->is_due = !b->resumed;
    n->is_in_parts = false;
    n->may_repeat = b->resumed && n->repeats;
    return b->resumed ? resume(n, b, fault) : 0;
}

/* --- parts --- */

static bool continues(const struct numbering *n, const struct numbering_item *i)
{
    return n->is_in_parts && n->part.kind == i->kind;
}

static int check_part(const struct numbering *n, const struct numbering_item *i,
                      struct fault *fault)
{
    bool is_first_same =
        i->first == n->part.first || (i->kind == NUMBERING_CONTENT && i->first == 0);

    return i->sequence == n->part.sequence && i->segment == n->part.segment && is_first_same
               ? 0
               : reconnect_lie(fault, "begins with %" PRIu64 " before all of %" PRIu64 " came",
                               i->sequence, n->part.sequence);
}

/* --- content --- */

static int check_content(const struct numbering *n, const struct numbering_item *i,
                         struct fault *fault)
{
    if (!n->has_place) {
        if (i->first != 0) {
            return reconnect_lie(fault, "has numbers before its first %s", n->content);
        }
        return !n->is_known || i->sequence >= n->delivered
                   ? 0
                   : reconnect_lie(fault, "went back from %" PRIu64 " to %" PRIu64, n->delivered,
                                   i->sequence);
    }
    if (i->segment < n->at_segment) {
        return reconnect_lie(fault, "went back from segment %u to %u", n->at_segment, i->segment);
    }
    if (i->first == 0 ? i->sequence != n->at : i->first != n->at + 1 || i->sequence < i->first) {
        return reconnect_lie(
            fault, "comes from %" PRIu64 " to the %s of %" PRIu64 ": what became of those between?",
            n->at, n->content, i->first != 0 ? i->first : i->sequence);
    }
    return n->is_due || n->may_repeat || n->skips || i->sequence > n->at ||
                   i->segment > n->at_segment
               ? 0
               : reconnect_lie(fault, "has the %s of %" PRIu64 " twice", n->content, i->sequence);
}

/* The first piece decides for all of them. */
static int judge_content(struct numbering *n, const struct numbering_item *i,
                         struct numbering_verdict *out, struct fault *fault)
{
    if (n->is_known && n->lacks_content && i->sequence < n->delivered) {
        return reconnect_lie(fault,
                             "has the %s of %" PRIu64 ", though numbers up to %" PRIu64 " are lost",
                             n->content, i->sequence, n->delivered);
    }
    out->is_new = !n->has_place || n->lacks_content || i->sequence > n->delivered ||
                  (i->sequence == n->delivered && (n->skips || i->segment > n->segment));
    out->first = i->first != 0 ? larger(i->first, n->delivered + 1) : 0;
    if (!n->has_place && n->is_known && i->sequence > n->delivered) {
        if (n->merges) {
            out->first = n->delivered + 1;
        } else {
            out->lost_first = n->delivered + 1;
            out->lost = n->delivered = i->sequence;
            n->lacks_content = true;
        }
    }
    if (out->first > i->sequence) {
        out->first = 0;
    }
    return 0;
}

static void advance(struct numbering *n, const struct numbering_item *i, bool is_new)
{
    n->at = i->sequence;
    n->may_repeat = false;
    n->passed = larger(n->passed, i->sequence);
    if (is_new) {
        n->is_known = true;
        n->delivered = larger(n->delivered, i->sequence);
    }
}

static int take_content(struct numbering *n, const struct numbering_item *i,
                        struct numbering_verdict *out, struct fault *fault)
{
    int result = continues(n, i) ? check_part(n, i, fault) : check_content(n, i, fault);

    if (result == 0 && !continues(n, i)) {
        result = judge_content(n, i, &n->of_part, fault);
        n->part = *i;
    }
    if (result != 0) {
        return result;
    }
    *out = n->of_part;
    n->of_part.lost_first = n->of_part.lost = 0; /* told once */
    n->is_in_parts = i->more;
    n->produced = larger(n->produced, i->sequence);
    if (!i->more) {
        advance(n, i, out->is_new);
        n->has_place = true;
        n->is_due = n->may_repeat = false;
        n->at_segment = i->segment;
        if (out->is_new) {
            n->segment = i->segment;
            n->lacks_content = false;
        }
    }
    return 0;
}

/* --- changes and gaps --- */

/* From where the stream is on, without a hole. */
static int check_range(const struct numbering *n, const struct numbering_item *i,
                       struct fault *fault)
{
    if (!n->has_place) {
        return reconnect_lie(fault, "has %" PRIu64 " before its first %s", i->sequence, n->content);
    }
    if (i->sequence < i->first) {
        return reconnect_lie(fault, "has a message of %" PRIu64 " to %" PRIu64, i->first,
                             i->sequence);
    }
    if (i->first <= n->at) {
        return reconnect_lie(fault, "tells of %" PRIu64 " again, behind %" PRIu64, i->first, n->at);
    }
    return i->first <= (n->skips ? n->passed : n->at) + 1
               ? 0
               : reconnect_lie(fault, "is without %" PRIu64 " to %" PRIu64, n->at + 1,
                               i->first - 1);
}

static int check_changes(const struct numbering *n, const struct numbering_item *i,
                         struct fault *fault)
{
    int result = check_range(n, i, fault);

    if (result == 0 && n->is_due) {
        result = reconnect_lie(fault, "has %" PRIu64 " before the %s that it needs", i->sequence,
                               n->content);
    }
    if (result == 0 && i->segment != n->at_segment) {
        result = reconnect_lie(fault, "has %" PRIu64 " of segment %u within segment %u",
                               i->sequence, i->segment, n->at_segment);
    }
    return result;
}

static void judge_range(const struct numbering *n, const struct numbering_item *i,
                        struct numbering_verdict *out)
{
    out->is_new = i->sequence > n->delivered;
    out->first = larger(i->first, n->delivered + 1);
    out->is_cut_short = out->first != i->first;
}

static int take_changes(struct numbering *n, const struct numbering_item *i,
                        struct numbering_verdict *out, struct fault *fault)
{
    int result = continues(n, i) ? check_part(n, i, fault) : check_changes(n, i, fault);

    if (result != 0) {
        return result;
    }
    judge_range(n, i, out);
    n->may_repeat = false;
    n->part = *i;
    n->of_part = *out;
    n->is_in_parts = i->more;
    n->produced = larger(n->produced, i->sequence);
    if (!i->more) {
        advance(n, i, out->is_new);
    }
    return 0;
}

static int take_gap(struct numbering *n, const struct numbering_item *i,
                    struct numbering_verdict *out, struct fault *fault)
{
    int result = check_range(n, i, fault);

    if (result != 0) {
        return result;
    }
    judge_range(n, i, out);
    n->produced = larger(n->produced, i->sequence);
    n->lacks_content = n->lacks_content || out->is_new;
    n->is_in_parts = false;
    n->is_due = true;
    advance(n, i, out->is_new);
    return 0;
}

/* --- what stands between --- */

static int take_checkpoint(struct numbering *n, const struct numbering_item *i,
                           struct numbering_verdict *out, struct fault *fault)
{
    if (!n->has_place || n->is_due) {
        return reconnect_lie(fault, "has a checkpoint before the %s that is due", n->content);
    }
    if (n->skips ? i->sequence < n->at : i->sequence != n->at) {
        return reconnect_lie(fault, "has a checkpoint at %" PRIu64 " behind %" PRIu64, i->sequence,
                             n->at);
    }
    advance(n, i, true);
    n->produced = larger(n->produced, i->sequence);
    out->is_new = n->at == n->delivered;
    return 0;
}

static int take_heartbeat(struct numbering *n, const struct numbering_item *i,
                          struct numbering_verdict *out, struct fault *fault)
{
    if (n->has_place && i->sequence < n->at) {
        return reconnect_lie(fault, "has a heartbeat at %" PRIu64 " behind %" PRIu64, i->sequence,
                             n->at);
    }
    n->passed = n->has_place ? larger(n->passed, i->sequence) : n->passed;
    n->produced = larger(n->produced, i->sequence);
    out->is_new = i->sequence >= n->delivered;
    return 0;
}

static int take_end(struct numbering *n, const struct numbering_item *i,
                    struct numbering_verdict *out, struct fault *fault)
{
    if (n->has_place && i->sequence != 0 && i->sequence < n->at) {
        return reconnect_lie(fault, "ends at %" PRIu64 " behind %" PRIu64, i->sequence, n->at);
    }
    n->produced = larger(n->produced, i->sequence);
    n->passed = n->skips ? larger(n->passed, i->sequence) : n->passed;
    out->is_new = true;
    return 0;
}

/* What may come between two parts: the stream's end, and, where the rest of a batch is lost, a gap from
 * its number on. */
static bool may_break_off(const struct numbering *n, const struct numbering_item *i)
{
    return i->kind == NUMBERING_END ||
           (i->kind == NUMBERING_GAP && n->part.kind == NUMBERING_CHANGES &&
            i->first == n->part.first);
}

int numbering_take(struct numbering *n, const struct numbering_item *i,
                   struct numbering_verdict *out, struct fault *fault)
{
    *out = (struct numbering_verdict){ .first = i->first };
    if (i->sequence > SEQUENCE_MAX || i->first > SEQUENCE_MAX) {
        return reconnect_lie(fault, "has a number that is none");
    }
    if (n->is_in_parts && i->kind != n->part.kind && !may_break_off(n, i)) {
        return reconnect_lie(fault, "has something else before all of %" PRIu64 " came",
                             n->part.sequence);
    }
    switch (i->kind) {
    case NUMBERING_CONTENT: return take_content(n, i, out, fault);
    case NUMBERING_CHANGES: return take_changes(n, i, out, fault);
    case NUMBERING_GAP: return take_gap(n, i, out, fault);
    case NUMBERING_CHECKPOINT: return take_checkpoint(n, i, out, fault);
    case NUMBERING_HEARTBEAT: return take_heartbeat(n, i, out, fault);
    case NUMBERING_END: return take_end(n, i, out, fault);
    case NUMBERING_OTHER:
    case NUMBERING_BEGIN:
    default: return reconnect_lie(fault, "begins twice");
    }
}

bool numbering_cut(struct numbering *n)
{
    bool was_within = n->is_in_parts && n->of_part.is_new;

    n->is_in_parts = false;
    return was_within;
}

bool numbering_rest(const struct numbering *n, uint64_t *first, uint64_t *last)
{
    uint64_t had = n->skips ? larger(n->delivered, n->passed) : n->delivered;

    *first = had + 1;
    *last = n->produced;
    return n->is_known && n->produced > had;
}
