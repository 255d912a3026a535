/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/ledger.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"

enum { BLOCK_BYTES = 64 };

void ledger_init(struct ledger *l, ledger_found *found, void *arg)
{
    *l = (struct ledger){ .found = found, .arg = arg };
}

void ledger_excuse(struct ledger *l, const char *why)
{
    (void)snprintf(l->excuse, sizeof(l->excuse), "%s", why);
    l->excuse[text_cut(l->excuse, strlen(l->excuse))] = '\0';
}

/* --- findings --- */

static void report(struct ledger *l, const struct ledger_finding *finding)
{
    l->faults += finding->fault != LEDGER_GAP;
    if (l->found != NULL) {
        l->found(l->arg, finding);
    }
}

static void fault(struct ledger *l, enum ledger_fault kind, const char *detail)
{
    report(l, &(struct ledger_finding){ .fault = kind, .detail = detail });
}

void ledger_nonsense(struct ledger *l, const char *what)
{
    fault(l, LEDGER_NONSENSE, what);
}

static const char *excuse_or(const struct ledger *l, const char *otherwise)
{
    return l->excuse[0] != '\0' ? l->excuse : otherwise;
}

static void hole(struct ledger *l, uint64_t first, uint64_t last)
{
    l->undeclared += last - first + 1;
    report(l, &(struct ledger_finding){
                  .fault = LEDGER_HOLE,
                  .first = first,
                  .last = last,
                  .detail = excuse_or(l, "nothing says why"),
              });
}

/* --- numbers --- */

/* The numbers from `first` to `last` were delivered, or lost. `*fresh`: how many of them are new. */
static enum ledger_news cover(struct ledger *l, uint64_t first, uint64_t last, uint64_t *fresh)
{
    *fresh = 0;
    if (first > last) {
        fault(l, LEDGER_NONSENSE, "a range of numbers that ends before it begins");
        return LEDGER_NEW;
    }
    if (l->has_last && first <= l->last) {
        if (first > l->again_until) {
            fault(l, LEDGER_NONSENSE, "numbers that were told of before");
        }
        if (last <= l->last) {
            return LEDGER_AGAIN;
        }
        first = l->last + 1;
    } else if (l->has_last && first - l->last > 1) {
        hole(l, l->last + 1, first - 1);
    }
    *fresh = last - first + 1;
    l->last = last;
    l->has_last = true;
    return LEDGER_NEW;
}

static enum ledger_news deliver(struct ledger *l, uint64_t first, uint64_t last)
{
    uint64_t fresh;
    enum ledger_news news = cover(l, first, last, &fresh);

    l->delivered += fresh;
    return news;
}

/* Whole content as it was behind `sequence`. It brings the numbers from `first` on with it, 0: none. */
static enum ledger_news deliver_whole(struct ledger *l, uint64_t first, uint64_t sequence)
{
    if (first != 0) {
        return deliver(l, first, sequence);
    }
    if (l->has_last && sequence < l->last) {
        if (sequence > l->again_until) {
            fault(l, LEDGER_NONSENSE, "whole content that is older than what is known");
        }
        return LEDGER_AGAIN;
    }
    if (l->has_last && sequence > l->last && l->merges) {
        l->delivered += sequence - l->last;
    } else if (l->has_last && sequence > l->last) {
        hole(l, l->last + 1, sequence);
    }
    l->has_last = true;
    l->last = sequence;
    return LEDGER_NEW;
}

/* All of it was told of before, by a stream that this one goes on from. */
static bool is_again(const struct ledger *l, uint64_t last, uint32_t segment)
{
    return l->has_last && !l->awaits_whole && last <= l->last && last <= l->again_until &&
           segment <= l->segment;
}

/* What was open, and is not gone on with. */
static void cut(struct ledger *l)
{
    if (l->image_is_open) {
        fault(l, LEDGER_IMAGE_CUT, excuse_or(l, "its last piece did not come"));
    }
    if (l->batch_is_open) {
        fault(l, LEDGER_BATCH_CUT, excuse_or(l, "its last message did not come"));
    }
    l->image_is_open = false;
    l->batch_is_open = false;
}

/* --- what streams have in common --- */

static bool same_or_take(char known[LEDGER_ID_MAX_BYTES + 1], const char *given, bool is_first)
{
    if (!is_first) {
        return strncmp(known, given, LEDGER_ID_MAX_BYTES) == 0;
    }
    (void)snprintf(known, LEDGER_ID_MAX_BYTES + 1, "%s", given);
    return true;
}

static void take_feed(struct ledger *l, const char *feed)
{
    if (same_or_take(l->feed, feed, !l->has_begun)) {
        return;
    }
    if (!l->expects_new_feed) {
        fault(l, LEDGER_NEW_FEED, excuse_or(l, "numbers begin anew"));
    }
    (void)same_or_take(l->feed, feed, true);
    l->has_last = false;
    l->again_until = 0;
}

static void begin(struct ledger *l, const char *feed, bool resumed, uint64_t sequence)
{
    /* What was cut between its parts comes again, whole: else its number is missing. */
    l->image_is_open = false;
    l->batch_is_open = false;
    take_feed(l, feed);
    l->expects_new_feed = false;
    l->streams++;
    l->has_begun = true;
    l->has_ended = false;
    l->awaits_whole = l->awaits_whole || !resumed;
    if (!resumed) {
        return;
    }
    if (!l->has_last) {
        fault(l, LEDGER_NO_IMAGE, "it goes on from what is not in here");
        l->has_last = true;
        l->last = sequence;
    } else if (sequence > l->last) {
        hole(l, l->last + 1, sequence);
        l->last = sequence;
    }
    l->again_until = l->last;
}

static void need_begin(struct ledger *l)
{
    l->messages++;
    if (!l->has_begun) {
        fault(l, LEDGER_NONSENSE, "a stream that does not begin with what it is of");
        l->has_begun = true;
    }
}

static void need_whole(struct ledger *l)
{
    if (l->awaits_whole) {
        fault(l, LEDGER_NO_IMAGE, "changes of what was not shown before");
        l->awaits_whole = false;
    }
}

/* Told, and its numbers, as far as they are known, are not those of anything else. */
static void report_gap(struct ledger *l, const xenres_watch_gap *g, uint64_t first, uint64_t last)
{
    l->gaps++;
    l->lost_blocks += g->blocks;
    report(l, &(struct ledger_finding){
                  .fault = LEDGER_GAP,
                  .first = first,
                  .last = last,
                  .at_least = !g->exact,
                  .blocks = g->blocks,
                  .seconds = g->wall_seconds,
                  .nanoseconds = g->wall_nanoseconds,
                  .reason = g->reason,
                  .detail = g->reason < XENRES_GAP_INTERRUPTED ? "told by the gateway"
                                                               : "found when it was recorded",
              });
}

enum ledger_news ledger_gap(struct ledger *l, const xenres_watch_gap *g)
{
    bool is_numbered = g->first_sequence != 0 && g->first_sequence <= g->sequence;
    uint64_t fresh = 0;

    need_begin(l);
    if (!is_numbered && g->exact) {
        /* Nothing is missing, and what was known is void all the same. */
        l->awaits_whole = true;
        return LEDGER_NEW;
    }
    enum ledger_news news =
        is_numbered ? cover(l, g->first_sequence, g->sequence, &fresh) : LEDGER_NEW;

    /* The rest of a batch is told as lost from the batch's number on. */
    l->batch_is_open = l->batch_is_open && (!is_numbered || g->first_sequence > l->open_first);
    if (news == LEDGER_AGAIN && g->exact) {
        return news;
    }
    /* Of the batch whose parts came, the gap says that it is missing. */
    l->batch_is_open = l->batch_is_open && (!is_numbered || g->first_sequence > l->open_first);
    cut(l);
    l->lost += fresh;
    report_gap(l, g, fresh > 0 ? g->sequence - fresh + 1 : 0, fresh > 0 ? g->sequence : 0);
    l->awaits_whole = g->reason != XENRES_GAP_AT_END;
    l->expects_new_feed = g->reason == XENRES_GAP_NEW_FEED;
    l->excuse[0] = '\0';
    return LEDGER_NEW;
}

static void keep_cursor(struct ledger *l, const char *cursor, uint64_t sequence)
{
    if (cursor[0] != '\0' && strlen(cursor) <= LEDGER_CURSOR_MAX_BYTES) {
        (void)snprintf(l->cursor, sizeof(l->cursor), "%s", cursor);
        l->cursor_sequence = sequence;
    }
}

void ledger_checkpoint(struct ledger *l, const xenres_watch_checkpoint *c)
{
    need_begin(l);
    if (l->has_last && c->sequence > l->last) {
        fault(l, LEDGER_NONSENSE, "a checkpoint behind what was not sent");
    }
    keep_cursor(l, c->cursor, c->sequence);
}

void ledger_end(struct ledger *l, const xenres_watch_end *e)
{
    need_begin(l);
    cut(l);
    l->has_ended = true;
    l->end_reason = e->reason;
    l->end_sequence = e->sequence;
    keep_cursor(l, e->cursor, l->last);
}

/* --- of a resource --- */

void ledger_begin(struct ledger *l, const xenres_watch_begin *b)
{
    l->messages++;
    if (!same_or_take(l->incarnation, b->domain.incarnation, !l->has_begun)) {
        fault(l, LEDGER_NONSENSE, "a stream of another life of the domain");
    }
    l->merges = b->mode == XENRES_WATCH_FULL || b->mode == XENRES_WATCH_LATEST;
    begin(l, b->feed, b->resumed, b->sequence);
}

/* False: it is of a segment that is over. */
static bool take_segment(struct ledger *l, uint32_t segment)
{
    if (segment < l->segment && !l->awaits_whole) {
        fault(l, LEDGER_NONSENSE, "of a segment that is over");
        return false;
    }
    l->segment = segment;
    return true;
}

/* False: not where it has to be. */
static bool take_piece(struct ledger *l, const xenres_watch_image *m)
{
    bool goes_on = l->image_is_open && m->offset_bytes != 0;

    if (!goes_on) {
        cut(l);
        l->open_first = m->first_sequence;
        l->open_last = m->sequence;
        l->image_next_bytes = 0;
    }
    if (m->sequence != l->open_last || m->offset_bytes != l->image_next_bytes) {
        fault(l, LEDGER_NONSENSE, "a piece of an image that does not follow the one before");
        l->image_is_open = false;
        return false;
    }
    l->image_next_bytes += m->len_bytes;
    l->image_is_open = !m->complete;
    return true;
}

enum ledger_news ledger_image(struct ledger *l, const xenres_watch_image *m)
{
    need_begin(l);
    bool is_again_now = is_again(l, m->sequence, m->segment);

    if (!take_piece(l, m) || (!is_again_now && !take_segment(l, m->segment))) {
        return LEDGER_NEW;
    }
    if (!m->complete) {
        return is_again_now ? LEDGER_AGAIN : LEDGER_NEW;
    }
    (void)deliver_whole(l, l->open_first, m->sequence);
    l->awaits_whole = false;
    l->excuse[0] = '\0';
    if (is_again_now) {
        return LEDGER_AGAIN;
    }
    l->image_bytes = l->image_next_bytes;
    return LEDGER_NEW;
}

/* A message of a batch, which may have several: all have the same numbers. */
static enum ledger_news take_batch(struct ledger *l, uint64_t first, uint64_t last, bool more,
                                   bool whole, bool is_again_now)
{
    if (l->image_is_open ||
        (l->batch_is_open && (first != l->open_first || last != l->open_last))) {
        cut(l);
    }
    l->batch_is_open = more;
    l->open_first = first;
    l->open_last = last;
    if (more) {
        return is_again_now ? LEDGER_AGAIN : LEDGER_NEW;
    }
    (void)(whole ? deliver_whole(l, first, last) : deliver(l, first, last));
    l->excuse[0] = '\0';
    return is_again_now ? LEDGER_AGAIN : LEDGER_NEW;
}

static void check_blocks(struct ledger *l, const xenres_watch_changes *m)
{
    for (size_t i = 0; i < m->block_count; i++) {
        if ((i > 0 && m->blocks[i] <= m->blocks[i - 1]) ||
            (m->blocks[i] + UINT64_C(1)) * BLOCK_BYTES > l->image_bytes) {
            fault(l, LEDGER_NONSENSE, "a changed block that is not in the image, or not in order");
            return;
        }
    }
}

enum ledger_news ledger_changes(struct ledger *l, const xenres_watch_changes *m)
{
    need_begin(l);
    enum ledger_news news = take_batch(l, m->first_sequence, m->sequence, m->more, false,
                                       is_again(l, m->sequence, m->segment));

    if (news == LEDGER_AGAIN) {
        return news;
    }
    need_whole(l);
    if (m->segment != l->segment) {
        fault(l, LEDGER_NONSENSE, "changes of another segment than the image's");
    } else {
        check_blocks(l, m);
    }
    return LEDGER_NEW;
}

enum ledger_news ledger_decoded(struct ledger *l, const xenres_watch_decoded *m)
{
    need_begin(l);
    enum ledger_news news = take_batch(l, m->first_sequence, m->sequence, m->more, m->whole,
                                       is_again(l, m->sequence, m->segment));

    if (news == LEDGER_AGAIN) {
        return news;
    }
    if (m->whole) {
        (void)take_segment(l, m->segment);
        l->awaits_whole = l->awaits_whole && m->more;
        return LEDGER_NEW;
    }
    need_whole(l);
    if (m->segment != l->segment) {
        fault(l, LEDGER_NONSENSE, "changes of another segment than the content's");
    }
    return LEDGER_NEW;
}

/* --- of domains --- */

void ledger_domains_begin(struct ledger *l, const xenres_domains_begin *b)
{
    l->messages++;
    begin(l, b->feed, b->resumed, b->sequence);
}

enum ledger_news ledger_domains_list(struct ledger *l, const xenres_domains_piece *m)
{
    need_begin(l);
    if (l->image_is_open && m->sequence != l->open_last) {
        cut(l);
    }
    l->image_is_open = !m->complete;
    l->open_last = m->sequence;
    if (!m->complete) {
        return LEDGER_NEW;
    }
    l->awaits_whole = false;
    enum ledger_news news = deliver_whole(l, 0, m->sequence);

    l->excuse[0] = '\0';
    return news;
}

enum ledger_news ledger_domain_change(struct ledger *l, const xenres_domain_change *m)
{
    need_begin(l);
    cut(l);
    need_whole(l);
    enum ledger_news news =
        deliver(l, m->first_sequence != 0 ? m->first_sequence : m->sequence, m->sequence);

    l->excuse[0] = '\0';
    return news;
}

/* Events of domains that the stream is not about are told of by numbers only, here or with the next
 * change. */
static void pass(struct ledger *l, uint64_t sequence)
{
    if (l->has_last && sequence > l->last) {
        l->last = sequence;
        l->again_until = sequence;
    }
}

void ledger_domains_heartbeat(struct ledger *l, const xenres_watch_heartbeat *h)
{
    need_begin(l);
    pass(l, h->sequence);
}

void ledger_domains_checkpoint(struct ledger *l, const xenres_watch_checkpoint *c)
{
    need_begin(l);
    pass(l, c->sequence);
    keep_cursor(l, c->cursor, c->sequence);
}

/* Its number may be of such an event. */
void ledger_domains_end(struct ledger *l, const xenres_watch_end *e)
{
    ledger_end(l, e);
    l->end_sequence = 0;
}

void ledger_close(struct ledger *l)
{
    cut(l);
    if (!l->has_ended || !l->has_last || l->end_sequence <= l->last) {
        return;
    }
    l->undeclared += l->end_sequence - l->last;
    report(l, &(struct ledger_finding){
                  .fault = LEDGER_TAIL,
                  .first = l->last + 1,
                  .last = l->end_sequence,
                  .reason = l->end_reason,
                  .detail = "produced before the end, and not delivered",
              });
}
