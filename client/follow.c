/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/follow.h"

#include "client/follow_message.h"
#include "common/text.h"

static struct follow *of_stream(const struct reconnect *r)
{
    return (struct follow *)(uintptr_t)r;
}

static bool pack(const struct reconnect *r, const char *cursor, struct buffer *out)
{
    const struct follow *f = of_stream(r);

    return f->ops->pack(f, cursor, out);
}

static int take(struct reconnect *r, xenres_stream *stream, xenres_reply *reply,
                struct fault *fault)
{
    return follow_take(of_stream(r), stream, reply, fault);
}

static void cut(struct reconnect *r)
{
    struct follow *f = of_stream(r);

    f->is_unfinished = numbering_cut(&f->numbering);
}

static bool tell_cut(const struct reconnect *r, const struct reconnect_cut *c)
{
    const struct follow *f = of_stream(r);
    const xenres_watch_interruption interruption = {
        .error = c->error,
        .end_reason = r->end_reason,
        .tries = r->tries,
        .wait_ms = c->wait_ms,
        .outage_ms = c->outage_ms,
        .unfinished = f->is_unfinished,
        .feed = f->numbering.feed,
        .sequence = f->numbering.delivered,
        .cursor = r->place.cursor,
    };

    return f->to.interrupted == NULL || f->to.interrupted(f->to.arg, &interruption) == 0;
}

static uint32_t end_of(int result)
{
    return result == -ERROR_ABORTED     ? XENRES_END_INCARNATION_ENDED
           : result == -ERROR_NOT_FOUND ? XENRES_END_NOT_FOUND
                                        : 0;
}

static int tell_end(struct reconnect *r, uint32_t reason, const char *message, struct fault *fault)
{
    return follow_tell_end(of_stream(r), reason, message, fault);
}

/* What decoded messages that merge say is what is different from a place: only who is at that very place
 * can take it. To others the content comes anew, which it does in any case. */
static bool leads_astray(const struct reconnect *r)
{
    const struct follow *f = of_stream(r);
    const struct numbering *n = &f->numbering;

    return n->repeats && n->merges && n->is_known &&
           !(r->place.is_ours && f->place_sequence == n->delivered);
}

static const struct reconnect_ops stream_ops = {
    .pack = pack,
    .take = take,
    .cut = cut,
    .tell_cut = tell_cut,
    .end_of = end_of,
    .tell_end = tell_end,
    .leads_astray = leads_astray,
};

int follow_run(struct follow *f, struct fault *fault)
{
    f->stream.method = f->ops->method;
    f->stream.ops = &stream_ops;
    return reconnect_run(&f->stream, fault);
}

/* --- what surrounds it --- */

int follow_take_options(struct follow *f, const char *cursor, const char *feed, uint64_t sequence,
                        uint32_t outage_max_ms, struct fault *fault)
{
    uint8_t feed_id[NUMBERING_FEED_CHARS / 2];

    if (feed != NULL && !text_to_hex(feed, feed_id, sizeof(feed_id))) {
        int result = failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                                 "a feed has 32 hexadecimal digits");

        return failure_field(&fault->failure, result, "feed");
    }
    int result = reconnect_take_options(&f->stream, cursor, outage_max_ms, fault);

    if (result == 0 && feed != NULL) {
        text_from_hex(feed_id, sizeof(feed_id), f->numbering.feed);
        f->numbering.is_known = true;
        f->numbering.delivered = f->numbering.produced = sequence;
    }
    return result;
}
