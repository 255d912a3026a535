/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What is particular to one who is subscribed to a feed that appends: it begins with what is held, and what
 * it has missed it learns from the numbers of the oldest record. There is no image to begin anew from.
 */
#include "server/resource/subscription.h"

#include "common/clock.h"

/* Bytes follow each other: there is no image of them, and none may be left out. */
int subscription_check_append(const struct subscription_request *request, struct failure *f)
{
    bool is_wrong_mode = request->mode != SUBSCRIPTION_DELTA;

    if (feed_source_kind(&request->source) != FEED_APPEND ||
        (!is_wrong_mode && request->period_ns == 0 && !request->is_image_needed)) {
        return 0;
    }
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "a trace is read whole and in order");

    failure_cause(f, result,
                  "it has no content that could be given at once or as it is at last, and is "
                  "sampled as its buffer demands");
    failure_field(f, result, "%s",
                  is_wrong_mode             ? "mode"
                  : request->period_ns != 0 ? "period"
                                            : "cursor");
    return failure_next(f, result, "ask for each change, without a period");
}

struct subscription_offset subscription_offset(const struct feed_position *p)
{
    return (struct subscription_offset){
        .bytes_before = p->blocks, .offset = p->offset, .segment = p->segment, .epoch = p->epoch
    };
}

int subscription_begin_append(struct subscription *u, struct subscription_item *out,
                              struct failure *f)
{
    int result = subscription_find_oldest(u, &u->position, f);

    if (result == -ERROR_UNAVAILABLE) {
        return subscription_wait(out,
                                 clock_monotonic_ns() + SUBSCRIPTION_RETRY_MS * CLOCK_NS_PER_MS);
    }
    if (result != 0) {
        return result;
    }
    u->step = STEP_READING;
    return subscription_begun(u, false, &u->position, out);
}

int subscription_out_of_bytes(const struct subscription *u, const struct feed_position *oldest,
                              struct failure *f)
{
    const struct feed_position *at = &u->position;
    int result = feed_position_check_missed(at, oldest, f);

    if (result != 0) {
        return result;
    }
    bool at_least = oldest->batch > at->batch;

    result =
        failure_set(f, ERROR_OUT_OF_RANGE, "%s%llu bytes from %llu on are no longer held",
                    at_least ? "at least " : "", (unsigned long long)(oldest->blocks - at->blocks),
                    (unsigned long long)at->blocks);
    failure_cause(f, result,
                  "they were overwritten since; the oldest that is held is byte %llu: segment %u, "
                  "offset %llu",
                  (unsigned long long)oldest->blocks, (unsigned)oldest->segment,
                  (unsigned long long)oldest->offset);
    return subscription_anew(u, f, result);
}

/* Bytes are not held again: what lies before the oldest record is missing, and its numbers say how much. */
int subscription_skip_bytes(struct subscription *u, struct subscription_item *out,
                            struct failure *f)
{
    struct feed_position *p = &u->position;
    struct feed_position oldest;
    int result = subscription_find_oldest(u, &oldest, f);

    if (result == -ERROR_UNAVAILABLE) {
        return subscription_wait(out,
                                 clock_monotonic_ns() + SUBSCRIPTION_RETRY_MS * CLOCK_NS_PER_MS);
    }
    result = result == 0 ? feed_position_check_missed(p, &oldest, f) : result;
    if (result != 0) {
        return result;
    }
    uint64_t bytes = oldest.blocks - p->blocks;
    bool is_known = oldest.segment == p->segment ||
                    (oldest.seam == FEED_SEAM_BEGIN && p->seam != FEED_SEAM_BEGIN &&
                     oldest.segment == p->segment + 1);

    if (bytes == 0 && oldest.batch == p->batch && is_known) { /* samples without bytes */
        *p = oldest;
        return subscription_wait(out, clock_monotonic_ns());
    }
    out->kind = SUBSCRIPTION_GAP;
    out->gap.reason = FEED_GAP_TOO_SLOW;
    out->gap.first_batch = p->batch + 1;
    out->gap.batch = oldest.batch;
    out->gap.blocks = bytes;
    out->gap.at_least = oldest.batch > p->batch;
    out->gap.at = subscription_offset(&oldest);
    *p = oldest;
    feeds_add(&feeds_sums(u->feeds)->gaps[FEED_GAP_TOO_SLOW], 1);
    feeds_add(&feeds_sums(u->feeds)->lost_bytes, bytes);
    return 0;
}
