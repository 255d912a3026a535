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
                   s->blocks_before == p->blocks
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

static follow_function *const followers[][FEED_RECORD_END + 1] = {
    [FEED_FRAMES] = { [FEED_RECORD_BEGIN] = follow_begin,
                      [FEED_RECORD_CHANGES] = follow_changes,
                      [FEED_RECORD_STILL] = follow_still,
                      [FEED_RECORD_END] = follow_end },
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
