/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/feed_position.h"

/* Each says what is wrong; NULL: nothing, and `p` is behind the record then. */
typedef const char *follow_function(struct feed_position *p, const struct feed_record *r);

static const char *follow_begin(struct feed_position *p, const struct feed_record *r)
{
    const struct feed_begin *b = r->begin;

    if (p->is_in_batch) {
        return "a segment within a batch";
    }
    if (p->segment == UINT32_MAX || b->segment != p->segment + 1) {
        return "a segment that does not follow";
    }
    /* With batches that nobody could read, blocks went as well. */
    if (b->batch < p->batch || b->blocks_before < p->blocks ||
        (b->batch == p->batch && b->blocks_before != p->blocks)) {
        return "a segment whose numbers do not follow";
    }
    p->segment = b->segment;
    p->image_bytes = b->image_bytes;
    return NULL;
}

static const char *follow_changes(struct feed_position *p, const struct feed_record *r)
{
    const struct feed_changes *c = r->changes;

    if (c->segment != p->segment) {
        return "changes of another segment";
    }
    if (c->batch != p->batch + 1 || c->blocks_before != p->blocks) {
        return "changes whose numbers do not follow";
    }
    /* They are ascending: feed_record_check(). */
    if (r->blocks[c->block_count - 1] >= p->image_bytes / FEED_BLOCK_BYTES) {
        return "changes beyond the image";
    }
    p->blocks += c->block_count;
    p->is_in_batch = c->more != 0;
    p->batch += p->is_in_batch ? 0 : 1;
    return NULL;
}

static const char *follow_still(struct feed_position *p, const struct feed_record *r)
{
    const struct feed_still *s = r->still;

    return !p->is_in_batch && s->segment == p->segment && s->batch == p->batch &&
                   s->blocks_before == p->blocks && s->offset == 0 && s->epoch == 0
               ? NULL
               : "a sample without changes whose numbers do not follow";
}

static const char *follow_domain(struct feed_position *p, const struct feed_record *r)
{
    if (r->domain->number != p->batch + 1) {
        return "an event whose number does not follow";
    }
    p->batch++;
    return NULL;
}

static const char *follow_end(struct feed_position *p, const struct feed_record *r)
{
    return !p->is_in_batch && r->end->batch == p->batch && r->end->blocks_before == p->blocks
               ? NULL
               : "an end whose numbers do not follow";
}

/* --- append ------------------------------------------------------------------------------------------- */

/* Whether it is the one whose turn it is, after what was read before it. */
static bool is_next_segment(const struct feed_position *p, const struct feed_begin *b)
{
    if (p->seam == FEED_SEAM_BEGIN) {
        return b->segment == p->segment && b->epoch == p->epoch;
    }
    bool is_reset = b->reason == FEED_BEGIN_RESET;

    return (is_reset || (b->reason == FEED_BEGIN_LOSS && p->seam == FEED_SEAM_LOSS)) &&
           p->segment != UINT32_MAX && b->segment == p->segment + 1 &&
           b->epoch == p->epoch + is_reset;
}

/* As segments are, whatever was before it. */
static bool is_segment(const struct feed_begin *b)
{
    switch ((enum feed_begin_reason)b->reason) {
    case FEED_BEGIN_START:
        return b->segment == 0 && b->epoch == 0 && b->batch == 0 && b->blocks_before == 0;
    case FEED_BEGIN_LOSS: return b->segment > 0 && b->batch > 0;
    case FEED_BEGIN_RESET: return b->segment > 0 && b->epoch > 0;
    default: return false;
    }
}

static const char *follow_segment(struct feed_position *p, const struct feed_record *r)
{
    const struct feed_begin *b = r->begin;

    if (!is_segment(b) || b->image_bytes != 0) {
        return "a segment of bytes that is none";
    }
    if (!is_next_segment(p, b)) {
        return "a segment that does not follow";
    }
    if (b->batch != p->batch || b->blocks_before != p->blocks) {
        return "a segment whose numbers do not follow";
    }
    p->segment = b->segment;
    p->epoch = b->epoch;
    p->offset = 0;
    p->seam = FEED_SEAM_NONE;
    return NULL;
}

/* That they are those of a record within the segment. */
static bool is_at(const struct feed_position *p, const struct feed_position *of_record)
{
    return p->seam == FEED_SEAM_NONE && of_record->segment == p->segment &&
           of_record->epoch == p->epoch && of_record->offset == p->offset &&
           of_record->blocks == p->blocks && of_record->batch == p->batch;
}

static struct feed_position before_bytes(const struct feed_bytes *b)
{
    return (struct feed_position){ .segment = b->segment,
                                   .epoch = b->epoch,
                                   .offset = b->offset,
                                   .blocks = b->bytes_before,
                                   .batch = b->open_losses };
}

static struct feed_position before_loss(const struct feed_loss *l)
{
    return (struct feed_position){ .segment = l->segment,
                                   .epoch = l->epoch,
                                   .offset = l->offset,
                                   .blocks = l->bytes_before,
                                   .batch = l->open_losses };
}

static struct feed_position before_pause(const struct feed_still *s)
{
    return (struct feed_position){ .segment = s->segment,
                                   .epoch = s->epoch,
                                   .offset = s->offset,
                                   .blocks = s->blocks_before,
                                   .batch = s->batch };
}

static const char *follow_bytes(struct feed_position *p, const struct feed_record *r)
{
    const struct feed_position before = before_bytes(r->bytes);

    if (!is_at(p, &before)) {
        return "bytes whose numbers do not follow";
    }
    p->offset += r->bytes->len_bytes;
    p->blocks += r->bytes->len_bytes;
    return NULL;
}

static const char *follow_loss(struct feed_position *p, const struct feed_record *r)
{
    const struct feed_position before = before_loss(r->loss);

    if (!is_at(p, &before)) {
        return "a loss whose numbers do not follow";
    }
    p->offset += r->loss->len_bytes;
    p->blocks += r->loss->len_bytes;
    if (r->loss->at_least != 0) {
        p->batch++;
        p->seam = FEED_SEAM_LOSS;
    }
    return NULL;
}

static const char *follow_pause(struct feed_position *p, const struct feed_record *r)
{
    const struct feed_position before = before_pause(r->still);

    return is_at(p, &before) ? NULL : "a sample without bytes whose numbers do not follow";
}

static const char *follow_last(struct feed_position *p, const struct feed_record *r)
{
    return p->seam != FEED_SEAM_BEGIN ? follow_end(p, r) : "an end before a beginning";
}

static follow_function *const followers[][FEED_RECORD_END + 1] = {
    [FEED_FRAMES] = { [FEED_RECORD_BEGIN] = follow_begin,
                      [FEED_RECORD_CHANGES] = follow_changes,
                      [FEED_RECORD_STILL] = follow_still,
                      [FEED_RECORD_END] = follow_end },
    [FEED_APPEND] = { [FEED_RECORD_BEGIN] = follow_segment,
                      [FEED_RECORD_BYTES] = follow_bytes,
                      [FEED_RECORD_LOSS] = follow_loss,
                      [FEED_RECORD_STILL] = follow_pause,
                      [FEED_RECORD_END] = follow_last },
    [FEED_DOMAINS] = { [FEED_RECORD_DOMAIN] = follow_domain, [FEED_RECORD_END] = follow_end },
};

static int contradiction(struct failure *f, const char *what)
{
    int result = failure_set(f, ERROR_DATA_LOSS, "the mapper's feed contradicts itself: %s", what);

    failure_cause(f, result, "a fault in the mapper; nothing of what follows is used");
    return failure_next(f, result, "watch again; report it, with the log of both programs");
}

int feed_position_follow(struct feed_position *p, enum feed_kind kind, const struct feed_record *r,
                         struct failure *f)
{
    follow_function *follow = followers[kind][r->kind];
    const char *wrong =
        follow != NULL ? follow(p, r) : "a record of a kind that does not belong there";

    return wrong != NULL ? contradiction(f, wrong) : 0;
}

int feed_position_before(const struct feed_record *r, struct feed_position *out, struct failure *f)
{
    switch (r->kind) {
    case FEED_RECORD_BEGIN:
        *out = (struct feed_position){ .segment = r->begin->segment,
                                       .epoch = r->begin->epoch,
                                       .blocks = r->begin->blocks_before,
                                       .batch = r->begin->batch,
                                       .seam = FEED_SEAM_BEGIN };
        return 0;
    case FEED_RECORD_BYTES: *out = before_bytes(r->bytes); return 0;
    case FEED_RECORD_LOSS: *out = before_loss(r->loss); return 0;
    case FEED_RECORD_STILL: *out = before_pause(r->still); return 0;
    default: return contradiction(f, "a record that nothing can begin with");
    }
}

int feed_position_check_missed(const struct feed_position *p, const struct feed_position *to,
                               struct failure *f)
{
    if (to->place.position <= p->place.position || to->segment < p->segment ||
        to->epoch < p->epoch || to->batch < p->batch || to->blocks < p->blocks) {
        return contradiction(f, "a record that is older than what was read");
    }
    uint64_t bytes = to->blocks - p->blocks, open_losses = to->batch - p->batch;
    uint32_t segments = to->segment - p->segment;
    uint32_t resets = to->epoch - p->epoch;
    /* A segment begins with an open loss, a reset, or both. */
    uint64_t begun_by_loss = open_losses + (p->seam == FEED_SEAM_LOSS);
    bool is_counted =
        begun_by_loss <= segments && resets <= segments && segments <= begun_by_loss + resets;
    bool is_reached = segments > 0 ? to->offset <= bytes
                                   : to->seam == FEED_SEAM_NONE && to->offset >= p->offset &&
                                         to->offset - p->offset == bytes;

    return is_counted && is_reached
               ? 0
               : contradiction(f, "records that are missing, and whose numbers do not follow");
}

struct feed_position feed_position_of_image(const struct message_image_answer *a)
{
    return (struct feed_position){
        .place = { .position = a->place_position,
                   .sequence = a->place_sequence,
                   .bytes = a->place_bytes },
        .batch = a->batch,
        .blocks = a->blocks_before,
        .segment = a->segment,
        .image_bytes = (uint32_t)a->slot.len_bytes,
    };
}

int feed_position_check_image(const struct feed_position *p, const struct message_image_answer *a,
                              struct failure *f)
{
    uint64_t least = p->batch + (p->is_in_batch ? 1 : 0);

    if (a->batch < least || a->blocks_before < p->blocks || a->segment < p->segment ||
        (a->batch == p->batch && a->blocks_before != p->blocks)) {
        return contradiction(f, "an image that is older than what was read");
    }
    return a->segment == p->segment && a->slot.len_bytes != p->image_bytes
               ? contradiction(f, "two images of one segment with different sizes")
               : 0;
}
