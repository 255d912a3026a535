/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Who makes room for another feed, by number and by memory. */
#include "common/clock.h"
#include "server/mapper/feed_rows.h"

/* One that is ending and only has to be taken away; else what the peer before had and nobody has asked for
 * again, the oldest first. */
static struct feed *find_dispensable(const struct feed_table *t, uint32_t *number)
{
    struct feed *found = NULL;
    for (uint32_t i = 0; i < FEED_TABLE_MAX; i++) {
        struct feed *feed = t->feeds[i];
        if (!feed || feed->waiting > 0 || feed->pins > 0 || (!feed->is_ending && feed->is_held)) {
            continue;
        }
        if (!found || feed->is_ending ||
            (!found->is_ending && feed->let_go_ns < found->let_go_ns)) {
            found = feed;
            *number = i;
        }
    }
    return found;
}

enum room { ROOM_MADE, ROOM_SOON, ROOM_NONE };

/* An end comes before anything else that its sampler has to do. */
static enum room end_one(struct feed_table *t)
{
    uint32_t number = 0;
    struct feed *feed = find_dispensable(t, &number);
    if (!feed) {
        return ROOM_NONE;
    }
    if (!feed->is_ending) {
        feed_rows_end(feed, FEED_END_RELEASED);
    }
    if (!sampler_wait(feed->sampler, &feed->job, FEED_TABLE_END_WAIT_MS * CLOCK_NS_PER_MS)) {
        return ROOM_SOON;
    }
    feed_rows_remove(t, number);
    return ROOM_MADE;
}

int feed_room_make(struct feed_table *t, struct failure *f)
{
    enum room room = end_one(t);
    if (room == ROOM_MADE) {
        return 0;
    }
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%u feeds are live, and may be no more",
                             t->options.feeds_max);
    failure_retry(f, result, room == ROOM_SOON ? FAILURE_RETRY_SOON_MS : FAILURE_RETRY_LATER_MS);
    return failure_next(f, result,
                        "watch less, wait until others do, or raise the mapper's --feeds-max");
}

/* As end_one(), the feed of domains being one as well. */
static enum room end_any(struct feed_table *t)
{
    enum room room = end_one(t);
    if (room == ROOM_NONE && t->domains && !t->domains_are_held) {
        feed_rows_end_domains(t, FEED_END_RELEASED);
        return ROOM_MADE;
    }
    return room;
}

bool feed_table_begin_again(struct feed_table *t, uint32_t number, struct failure *why)
{
    if (why->code != ERROR_RESOURCE_EXHAUSTED || why->retry_after_ms < FAILURE_RETRY_LATER_MS ||
        t->feeds[number]->job.end != 0) {
        return false;
    }
    enum room room = end_any(t);
    bool is_made = room == ROOM_MADE;
    while (room == ROOM_MADE && allowance_lacks(&t->memory) > 0) {
        room = end_any(t);
    }
    if (room == ROOM_SOON) {
        failure_retry(why, -why->code, FAILURE_RETRY_SOON_MS);
    }
    struct failure f;
    return is_made && allowance_lacks(&t->memory) == 0 &&
           feed_rows_begin(t, t->feeds[number], &f) == 0;
}
