/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ResourceService.Watch: the life of a stream, and what comes next in it. */
#include "server/rpc/watch.h"

#include <assert.h>
#include <string.h>

#include "common/clock.h"
#include "common/scope.h"
#include "server/rpc/present_watch.h"
#include "server/rpc/services.h"
#include "server/rpc/watch_cursor.h"

static int watch_prepare(struct call *c, struct failure *f)
{
    struct watch *w = pool_alloc(&c->pool, sizeof(*w));

    c->state = w;
    return w != NULL ? watch_request_read(c, w, f) : call_no_memory(f);
}

/* --- its beginning and its end ------------------------------------------------------------------ */

/* The cursor has to be of what is asked for now. */
static int check_cursor(const struct call *c, const struct watch *w, struct failure *f)
{
    const struct feed_cursor *cursor = &w->cursor;
    const struct feed_source *s = &w->source;

    if (memcmp(cursor->incarnation, c->identity.incarnation, sizeof(cursor->incarnation)) != 0) {
        int result = failure_set(f, ERROR_ABORTED, "the domain is not that of the cursor");

        failure_cause(f, result, "it was restarted, or the gateway lost sight of it for a while");
        failure_field(f, result, "cursor");
        return failure_next(f, result, "see whether it is the domain meant, and watch it anew");
    }
    return cursor->type == s->type && cursor->id == s->id &&
                   cursor->first_frame == s->first_frame && cursor->frame_count == s->frame_count &&
                   cursor->flags == s->flags
               ? 0
               : watch_cursor_of_another(f);
}

static void on_wake(void *arg)
{
    call_wake(arg);
}

static enum subscription_mode subscription_mode(const struct watch *w)
{
    switch (w->mode) {
    case XENRES__V1__WATCH_MODE__WATCH_MODE_FULL: return SUBSCRIPTION_FULL;
    case XENRES__V1__WATCH_MODE__WATCH_MODE_LATEST: return SUBSCRIPTION_LATEST;
    default: return SUBSCRIPTION_DELTA;
    }
}

static int subscribe(struct call *c, struct watch *w, struct failure *f)
{
    const struct subscription_request request = {
        .source = w->source,
        .who = c->who,
        .streams_max = c->share.streams,
        .spool_max_bytes = c->share.spool_bytes,
        .mode = subscription_mode(w),
        .period_ns = w->period_ns,
        .cursor = w->has_cursor ? &w->cursor : NULL,
        .is_image_needed = w->decode, /* what was, nobody keeps for it */
        .deadline_ns = c->deadline_ns,
        .wake = on_wake,
        .arg = c,
    };

    return subscription_begin(c->feeds, &request, &w->subscription, f);
}

/* Of the domain in c->identity. */
static int begin(struct call *c, struct watch *w, struct failure *f)
{
    int result = w->has_cursor ? check_cursor(c, w, f) : 0;

    if (result != 0) {
        return result;
    }
    w->source.domain = c->identity;
    if (w->decode) {
        w->decoder = watch_decoder_new(w->source.type, c->max_vcpus);
        if (w->decoder == NULL) {
            return call_no_memory(f);
        }
    }
    result = subscribe(c, w, f);
    if (result == 0) {
        w->end = WATCH_END_CLIENT; /* unless it is told another one */
    }
    return result;
}

/* What begin() began, as far as it came. */
static void end(struct watch *w)
{
    subscription_end(scope_take_pointer(w->subscription));
    watch_decoder_free(scope_take_pointer(w->decoder));
}

static int watch_start(struct call *c, struct failure *f)
{
    struct watch *w = c->state;

    watch_pulse_begin(&w->pulse, c);
    int result = begin(c, w, f);

    if (result != 0) {
        end(w);
        return result;
    }
    watch_meter_opened(c->watch_meter);
    return HANDLER_DONE;
}

static int watch_renew(struct call *c, struct failure *f)
{
    struct watch *w = c->state;

    end(w);
    int result = begin(c, w, f);

    return result != 0 ? result : HANDLER_DONE;
}

static void watch_stop(struct call *c)
{
    struct watch *w = c->state;

    watch_pulse_stop(&w->pulse);
    shared_bytes_unref(w->shared);
    end(w);
    c->end = watch_end_name(w->end);
    watch_meter_ended(c->watch_meter, w->end);
}

/* --- what comes next ---------------------------------------------------------------------------- */

/* It cannot go on. Before it has begun that is an answer like any other's failure. */
static int fail(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;
    struct failure why = *f;

    w->end = WATCH_END_FAILED;
    if (!w->begun) {
        return -why.code;
    }
    f->code = 0;
    return watch_say_end(c, p, WATCH_END_FAILED, &why, w->sequence, f);
}

static int broken(const char *what, struct failure *f)
{
    int result = failure_set(f, ERROR_DATA_LOSS, "%s", what);

    return failure_next(f, result, "watch anew, and report this with the gateway's log");
}

static int take_begun(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;

    w->begun = true;
    return watch_say_begin(c, p, f);
}

static int take_image(struct call *c, struct pool *p, struct failure *f)
{
    int result = watch_take_image(c, f);

    return result == 0 ? watch_say_part(c, p, f) : result;
}

static int take_changes(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;
    struct watch_changes changes;

    if (w->item.kind == SUBSCRIPTION_RECORD) {
        const struct feed_record *r = &w->item.record.record;

        if (r->kind != FEED_RECORD_CHANGES) {
            return broken("the feed has a record of another kind", f);
        }
        changes = (struct watch_changes){
            .first_batch = r->changes->batch,
            .batch = r->changes->batch,
            .segment = r->changes->segment,
            .stamp = &r->changes->stamp,
            .blocks = r->blocks,
            .contents = r->contents,
            .block_count = r->changes->block_count,
            .more = r->changes->more != 0,
        };
    } else {
        changes = (struct watch_changes){
            .first_batch = w->item.merged.first_batch,
            .batch = w->item.merged.batch,
            .segment = w->item.merged.segment,
            .stamp = &w->item.merged.stamp,
            .blocks = w->item.merged.blocks,
            .contents = w->item.merged.contents,
            .block_count = w->item.merged.block_count,
        };
    }
    int result = watch_take_changes(c, &changes, f);

    return result == 0 && watch_has_part(w) ? watch_say_part(c, p, f) : result;
}

static int take_end(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;
    struct failure why;
    enum watch_end end = present_end_reason(&w->item, &why);

    return watch_say_end(c, p, end, &why,
                         w->item.ended.batch > w->sequence ? w->item.ended.batch : w->sequence, f);
}

static void note_still(struct watch *w)
{
    w->sampled = w->item.still.stamp;
    w->samples = w->item.still.samples;
    w->failed_samples = w->item.still.failures;
}

/* There is nothing more now. */
static int rest(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;

    if (w->begun && !w->within_batch && watch_pulse_wants_checkpoint_here(&w->pulse)) {
        char *cursor = watch_cursor_now(c, p);

        if (cursor[0] != '\0') {
            return watch_say_checkpoint(c, p, cursor, f);
        }
    }
    return w->begun && !w->within_batch && watch_pulse_wants_heartbeat(&w->pulse)
               ? watch_say_heartbeat(c, p, f)
               : watch_pulse_wait(&w->pulse, w->item.wake_ns);
}

/* 0: nothing is to be said of the item. */
static int take_item(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;

    switch (w->item.kind) {
    case SUBSCRIPTION_BEGUN: return take_begun(c, p, f);
    case SUBSCRIPTION_IMAGE: return take_image(c, p, f);
    case SUBSCRIPTION_RECORD:
    case SUBSCRIPTION_MERGED: return take_changes(c, p, f);
    case SUBSCRIPTION_STILL: note_still(w); return 0;
    case SUBSCRIPTION_GAP: return watch_say_gap(c, p, f);
    case SUBSCRIPTION_ENDED: return take_end(c, p, f);
    case SUBSCRIPTION_NOTHING: break;
    }
    return rest(c, p, f);
}

static int next_item(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;
    int result;

    if (watch_pulse_wants_checkpoint(&w->pulse)) {
        char *cursor = watch_cursor_now(c, p);

        if (cursor[0] != '\0') {
            return watch_say_checkpoint(c, p, cursor, f);
        }
    }
    do {
        result = subscription_next(w->subscription, &w->item, f);
        if (result == 0) {
            result = take_item(c, p, f);
        }
    } while (result == 0);
    return result;
}
_Static_assert(HANDLER_DONE == 0, "an item of which nothing is to be said is not the end");

/* Of the message that was sent. */
static void drop_shared(struct watch *w)
{
    shared_bytes_unref(w->shared);
    w->shared = NULL;
}

static int watch_next(struct call *c, struct pool *p, struct failure *f)
{
    struct watch *w = c->state;

    drop_shared(w);
    watch_pulse_look(&w->pulse);
    if (w->over) {
        *f = w->failure;
        return f->code != 0 ? -f->code : HANDLER_DONE;
    }
    int result = watch_has_part(w) ? watch_say_part(c, p, f) : next_item(c, p, f);

    return result < 0 ? fail(c, p, f) : result;
}

/* --- when it is ended --------------------------------------------------------------------------- */

static int watch_leave(struct call *c, struct pool *p, const struct failure *why)
{
    struct watch *w = c->state;
    enum watch_end end = watch_end_of_leaving(why->code);
    struct failure f = { 0 };

    drop_shared(w);
    if (w->over || !w->begun) {
        w->end = w->over ? w->end : end;
        return HANDLER_DONE;
    }
    /* What there is of changes is sent to its end, so that there is a place to go on from; an image may
     * be too long for that, and who is not to see it any more does not. */
    if (w->part == WATCH_PART_CHANGES && end != WATCH_END_PERMISSION_WITHDRAWN &&
        end != WATCH_END_CREDENTIALS_EXPIRED) {
        return watch_say_part(c, p, &f);
    }
    return watch_say_end(c, p, end, why, w->sequence, &f);
}

const struct handler resource_service_watch = { .prepare = watch_prepare,
                                                .start = watch_start,
                                                .renew = watch_renew,
                                                .next = watch_next,
                                                .leave = watch_leave,
                                                .stop = watch_stop };
