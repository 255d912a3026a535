/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See feed_room.h. */
#include "server/mapper/feed_room.h"

#include "common/clock.h"

static struct feed *find_dispensable(const struct feed_table *t, uint32_t *number)
{
    struct feed *found = NULL;
    for (uint32_t i = 0; i < FEED_LIST_MAX; i++) {
        struct feed *feed = feed_table_feeds(t)[i];
        if (!feed || feed->is_of_trace || feed->waiting > 0 || feed->pins > 0 ||
            (!feed->is_ending && feed->is_held)) {
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

/* Its end comes before anything else that its sampler has to do: it is of no trace. */
static enum room end_one(struct feed_table *t, uint32_t wait_ms)
{
    uint32_t number = 0;
    struct feed *feed = find_dispensable(t, &number);
    if (!feed) {
        return ROOM_NONE;
    }
    if (!feed->is_ending) {
        feed_list_end(feed, FEED_END_RELEASED);
    }
    if (!feed_list_wait(feed, wait_ms * CLOCK_NS_PER_MS)) {
        return ROOM_SOON;
    }
    feed_list_remove(feed_table_list(t), number);
    return ROOM_MADE;
}

int feed_room_make(struct feed_table *t, uint32_t wait_ms, struct failure *f)
{
    if (feed_table_list(t)->count < feed_table_feeds_max(t)) {
        return 0;
    }
    enum room room = end_one(t, wait_ms);
    if (room == ROOM_MADE) {
        return 0;
    }
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%u feeds are live, and may be no more",
                             feed_table_feeds_max(t));
    failure_retry(f, result, room == ROOM_SOON ? FAILURE_RETRY_SOON_MS : FAILURE_RETRY_LATER_MS);
    return failure_next(f, result,
                        "watch less, wait until others do, or raise the mapper's --feeds-max");
}

/* As end_one(), the feed of domains being one as well. */
static enum room end_any(struct feed_table *t)
{
    enum room room = end_one(t, FEED_LIST_END_WAIT_MS);
    return room == ROOM_NONE && feed_table_end_idle_domains(t) ? ROOM_MADE : room;
}

static int begin_again(struct feed_table *t, uint32_t number)
{
    const struct feed *feed = feed_table_feeds(t)[number];
    struct source *source;
    struct failure f; /* the first one is told */
    int result = feed_table_source(&feed->wanted, &feed->known, &source, &f);
    if (result == 0) {
        feed_list_begin_again(feed_table_list(t), number, source);
    }
    return result;
}

bool feed_room_begin_again(struct feed_table *t, uint32_t number, struct failure *why)
{
    struct feed_list *list = feed_table_list(t);
    const struct feed *feed = list->feeds[number];
    if (why->code != ERROR_RESOURCE_EXHAUSTED || why->retry_after_ms < FAILURE_RETRY_LATER_MS ||
        feed->wanted.type == RESOURCE_VMTRACE_BUF || feed->job.end != 0) {
        return false;
    }
    enum room room = end_any(t);
    bool is_made = room == ROOM_MADE;
    while (room == ROOM_MADE && allowance_lacks(&list->memory) > 0) {
        room = end_any(t);
    }
    if (room == ROOM_SOON) {
        failure_retry(why, -why->code, FAILURE_RETRY_SOON_MS);
    }
    return is_made && allowance_lacks(&list->memory) == 0 && begin_again(t, number) == 0;
}
