/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a WatchRequest asks for. */
#include <errno.h>

#include "common/clock.h"
#include "server/rpc/present.h"
#include "server/rpc/snapshot.h"
#include "server/rpc/watch.h"
#include "server/rpc/watch_cursor.h"

static int bad_period(struct failure *f)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "period is not within 0 and an hour");

    failure_field(f, result, "period");
    return failure_next(f, result, "leave it out for %d ms", (int)WATCH_PERIOD_DEFAULT_MS);
}

static int read_period(const Google__Protobuf__Duration *period, uint64_t *out, struct failure *f)
{
    if (period == NULL) {
        *out = WATCH_PERIOD_DEFAULT_MS * CLOCK_NS_PER_MS;
        return 0;
    }
    if (period->seconds < 0 || period->seconds > WATCH_PERIOD_MAX_S || period->nanos < 0 ||
        period->nanos >= (int32_t)CLOCK_NS_PER_S ||
        (period->seconds == WATCH_PERIOD_MAX_S && period->nanos > 0)) {
        return bad_period(f);
    }
    *out = (uint64_t)period->seconds * CLOCK_NS_PER_S + (uint64_t)period->nanos;
    return 0;
}

static int read_mode(Xenres__V1__WatchMode mode, struct watch *w, struct failure *f)
{
    switch (mode) {
    case XENRES__V1__WATCH_MODE__WATCH_MODE_UNSPECIFIED:
        w->mode = XENRES__V1__WATCH_MODE__WATCH_MODE_DELTA;
        return 0;
    case XENRES__V1__WATCH_MODE__WATCH_MODE_DELTA:
    case XENRES__V1__WATCH_MODE__WATCH_MODE_FULL:
    case XENRES__V1__WATCH_MODE__WATCH_MODE_LATEST: w->mode = mode; return 0;
    default: break;
    }
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "mode is %d", (int)mode);

    failure_field(f, result, "mode");
    return failure_next(f, result, "use the names in proto/xenres/v1/watch.proto");
}

static int no_bytes(struct failure *f)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "vcpu_stats has no frames to be sent");

    failure_field(f, result, "decode");
    return failure_next(f, result, "set decode");
}

static int no_trace(struct failure *f)
{
    int result = failure_set(f, ERROR_UNIMPLEMENTED, "trace buffers are not watched as they are");

    failure_field(f, result, "type");
    failure_cause(f, result,
                  "Xen does not clear them: what no trace has written since its reset may be "
                  "another guest's memory");
    return failure_next(
        f, result, "read what is traced with TraceService (xenres trace), or watch another type");
}

static int only_status(struct failure *f)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "status frames alone are not decoded");

    failure_field(f, result, "id");
    failure_cause(f, result, "they say of each grant how it is used, and not what it is");
    return failure_next(f, result, "watch id 0, whose grants come with their status");
}

/* What is sampled for it: of what is decoded, all that decoding needs. */
static int choose_source(struct watch *w, bool has_range, struct failure *f)
{
    struct feed_source *s = &w->source;

    switch ((enum resource_type)s->type) {
    case RESOURCE_VMTRACE_BUF: return no_trace(f);
    case RESOURCE_VCPU_STATS:
        s->first_frame = 0;
        s->frame_count = MESSAGE_FRAMES_ALL;
        return w->decode ? 0 : no_bytes(f);
    case RESOURCE_GRANT_TABLE:
        if (w->decode && s->id == GRANT_TABLE_STATUS) {
            return only_status(f);
        }
        s->flags = w->decode ? SNAPSHOT_WITH_STATUS : 0;
        return 0;
    case RESOURCE_IOREQ_SERVER:
        if (w->decode) { /* a server without a queue of buffered requests is fine */
            s->flags = SNAPSHOT_SPARSE;
            s->frame_count = has_range ? s->frame_count : (uint32_t)IOREQ_FRAMES;
        }
        return 0;
    case RESOURCE_TYPE_COUNT: break;
    }
    return 0;
}

static int read_range(struct call *c, const Xenres__V1__WatchRequest *r, struct watch *w,
                      struct failure *f)
{
    bool has_count =
        r->frame_count_choice_case == XENRES__V1__WATCH_REQUEST__FRAME_COUNT_CHOICE_FRAME_COUNT;
    const struct snapshot_frames frames = {
        .type = present_to_resource_type(r->type),
        .id = r->id,
        .first_frame = r->first_frame,
        .has_count = has_count,
        .frame_count = has_count ? r->frame_count : 0,
    };
    int result =
        frames.type >= 0 ? snapshot_prepare(c, &frames, f) : snapshot_bad_type((int32_t)r->type, f);

    if (result != 0) {
        return result;
    }
    w->source = (struct feed_source){
        .type = (uint32_t)frames.type,
        .id = r->id,
        .first_frame = r->first_frame,
        .frame_count = has_count ? r->frame_count : MESSAGE_FRAMES_ALL,
    };
    return choose_source(w, has_count || r->first_frame > 0, f);
}

int watch_request_read(struct call *c, struct watch *w, struct failure *f)
{
    const Xenres__V1__WatchRequest *r = (const void *)c->request;

    c->domain = r->domain;
    c->incarnation = r->incarnation;
    c->also_decode = r->decode;
    w->decode = r->decode;
    int result = read_range(c, r, w, f);

    if (result == 0) {
        result = read_period(r->period, &w->period_ns, f);
    }
    if (result == 0) {
        result = read_mode(r->mode, w, f);
    }
    if (result == 0 && r->cursor[0] != '\0') {
        bool same_policy; /* what is watched is decided on anew in any case */

        result = watch_cursor_open(c, r->cursor, NULL, &w->cursor, &same_policy, f);
        w->has_cursor = result == 0;
    }
    return result;
}
