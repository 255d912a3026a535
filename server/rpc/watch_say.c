/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Watch: what a stream says of itself. */
#include "common/clock.h"
#include "server/rpc/present_watch.h"
#include "server/rpc/watch.h"
#include "server/rpc/watch_cursor.h"

char *watch_cursor_now(struct call *c, struct pool *p)
{
    const struct watch *w = c->state;
    struct feed_cursor cursor;

    return !watch_has_part(w) && subscription_cursor(w->subscription, &cursor)
               ? watch_cursor_make(c, p, &cursor, NULL)
               : pool_string(p, "");
}

int watch_say_checkpoint(struct call *c, struct pool *p, char *cursor, struct failure *f)
{
    struct watch *w = c->state;
    Xenres__V1__WatchResponse *m =
        watch_response(p, XENRES__V1__WATCH_RESPONSE__CONTENT_CHECKPOINT);
    Xenres__V1__WatchCheckpoint *checkpoint =
        PRESENT_NEW(p, Xenres__V1__WatchCheckpoint, xenres__v1__watch_checkpoint);

    if (m == NULL || checkpoint == NULL) {
        return call_no_memory(f);
    }
    m->checkpoint = checkpoint;
    checkpoint->cursor = cursor;
    checkpoint->sequence = w->sequence;
    watch_pulse_sealed(&w->pulse);
    return watch_say(c, m, f);
}

int watch_say_heartbeat(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;
    Xenres__V1__WatchResponse *m = watch_response(p, XENRES__V1__WATCH_RESPONSE__CONTENT_HEARTBEAT);
    Xenres__V1__WatchHeartbeat *heartbeat =
        PRESENT_NEW(p, Xenres__V1__WatchHeartbeat, xenres__v1__watch_heartbeat);

    if (m == NULL || heartbeat == NULL) {
        return call_no_memory(f);
    }
    m->heartbeat = heartbeat;
    heartbeat->time = present_time(p, clock_wall_ns());
    heartbeat->sequence = w->sequence;
    if (w->sampled.monotonic_ns != 0) {
        heartbeat->sampled = present_sample(p, &w->sampled);
    }
    heartbeat->samples = w->samples;
    heartbeat->failed_samples = w->failed_samples;
    watch_meter_heartbeat(c->watch_meter);
    return watch_say(c, m, f);
}

int watch_say_gap(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;
    Xenres__V1__WatchResponse *m = watch_response(p, XENRES__V1__WATCH_RESPONSE__CONTENT_GAP);

    if (m != NULL) {
        m->gap = present_gap(p, &w->item);
    }
    c->lost += w->item.gap.blocks;
    w->sequence = w->item.gap.batch;
    w->within_batch = false;
    return watch_say(c, m, f);
}

int watch_say_end(struct call *c, struct pool *p, enum watch_end why,
                  const struct failure *why_failed, uint64_t sequence, struct failure *f)
{
    struct watch *w = c->state;
    Xenres__V1__WatchResponse *m = watch_response(p, XENRES__V1__WATCH_RESPONSE__CONTENT_END);
    char *cursor = watch_cursor_now(c, p);

    w->over = true;
    w->end = why;
    w->failure = *why_failed;
    if (m != NULL) {
        m->end = present_end(p, why, why_failed, cursor, sequence);
    }
    return watch_say(c, m, f);
}
