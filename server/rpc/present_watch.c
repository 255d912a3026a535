/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/present_watch.h"

#include "common/clock.h"

enum { MAPPER_GONE_RETRY_MS = 500 };

Google__Protobuf__Duration *present_duration(struct pool *p, uint64_t duration_ns)
{
    Google__Protobuf__Duration *m =
        PRESENT_NEW(p, Google__Protobuf__Duration, google__protobuf__duration);

    if (m != NULL) {
        m->seconds = (int64_t)(duration_ns / CLOCK_NS_PER_S);
        m->nanos = (int32_t)(duration_ns % CLOCK_NS_PER_S);
    }
    return m;
}

Xenres__V1__SampleTime *present_sample(struct pool *p, const struct feed_stamp *stamp)
{
    Xenres__V1__SampleTime *m = PRESENT_NEW(p, Xenres__V1__SampleTime, xenres__v1__sample_time);

    if (m != NULL) {
        m->wall_time = present_time(p, stamp->wall_ns);
        m->monotonic_ns = stamp->monotonic_ns;
        m->since_monotonic_ns = stamp->since_monotonic_ns;
        m->copy_duration_ns = stamp->duration_ns;
    }
    return m;
}

static Xenres__V1__WatchGapReason present_gap_reason(const struct subscription_item *item)
{
    switch (item->gap.reason) {
    case FEED_GAP_TOO_SLOW: return XENRES__V1__WATCH_GAP_REASON__WATCH_GAP_REASON_TOO_SLOW;
    case FEED_GAP_TOO_MANY: return XENRES__V1__WATCH_GAP_REASON__WATCH_GAP_REASON_TOO_MANY;
    case FEED_GAP_SEGMENT: return XENRES__V1__WATCH_GAP_REASON__WATCH_GAP_REASON_NEW_SEGMENT;
    case FEED_GAP_RESUMED: return XENRES__V1__WATCH_GAP_REASON__WATCH_GAP_REASON_RESUMED;
    }
    return XENRES__V1__WATCH_GAP_REASON__WATCH_GAP_REASON_UNSPECIFIED;
}

Xenres__V1__WatchGap *present_gap(struct pool *p, const struct subscription_item *item)
{
    Xenres__V1__WatchGap *m = PRESENT_NEW(p, Xenres__V1__WatchGap, xenres__v1__watch_gap);

    if (m != NULL) {
        m->reason = present_gap_reason(item);
        m->first_sequence = item->gap.first_batch;
        m->sequence = item->gap.batch;
        m->blocks = item->gap.blocks;
        m->time = present_time(p, clock_wall_ns());
    }
    return m;
}

static enum watch_end mapper_is_gone(struct failure *f)
{
    failure_set(f, ERROR_UNAVAILABLE, "the mapper is gone, and what it sampled with it");
    failure_cause(f, 0, "it stopped, or was killed");
    failure_retry(f, 0, MAPPER_GONE_RETRY_MS);
    failure_next(f, 0, "watch anew");
    return WATCH_END_MAPPER_GONE;
}

enum watch_end present_end_reason(const struct subscription_item *item, struct failure *f)
{
    const struct feed_end *end = &item->ended.end;

    *f = (struct failure){ .code = 0 };
    switch (end->reason) {
    case FEED_END_INCARNATION: return WATCH_END_INCARNATION;
    case FEED_END_RENAMED: return WATCH_END_RENAMED;
    case FEED_END_RESOURCE: return WATCH_END_RESOURCE_GONE;
    case FEED_END_FAILED:
        *f = end->failure;
        if (f->code == 0) {
            failure_set(f, ERROR_UNKNOWN, "%s", watch_end_message(WATCH_END_SAMPLING_FAILED));
        }
        failure_sanitize(f);
        return WATCH_END_SAMPLING_FAILED;
    default:
        return mapper_is_gone(
            f); /* also FEED_END_STOPPED and, which we hold it against, _RELEASED */
    }
}

static const Xenres__V1__WatchEndReason reasons[WATCH_END_COUNT] = {
#define END(name) XENRES__V1__WATCH_END_REASON__WATCH_END_REASON_##name
    [WATCH_END_INCARNATION] = END(INCARNATION_ENDED),
    [WATCH_END_RENAMED] = END(RENAMED),
    [WATCH_END_RESOURCE_GONE] = END(RESOURCE_GONE),
    [WATCH_END_SAMPLING_FAILED] = END(SAMPLING_FAILED),
    [WATCH_END_MAPPER_GONE] = END(MAPPER_GONE),
    [WATCH_END_SHUTTING_DOWN] = END(SHUTTING_DOWN),
    [WATCH_END_PERMISSION_WITHDRAWN] = END(PERMISSION_WITHDRAWN),
    [WATCH_END_CREDENTIALS_EXPIRED] = END(CREDENTIALS_EXPIRED),
    [WATCH_END_DEADLINE] = END(DEADLINE),
    [WATCH_END_FAILED] = END(FAILED),
    [WATCH_END_CLIENT] = END(UNSPECIFIED),
#undef END
};

Xenres__V1__WatchEnd *present_end(struct pool *p, enum watch_end why, const struct failure *f,
                                  char *cursor, uint64_t sequence)
{
    Xenres__V1__WatchEnd *m = PRESENT_NEW(p, Xenres__V1__WatchEnd, xenres__v1__watch_end);

    if (m != NULL) {
        m->reason = reasons[why];
        m->message = pool_string(p, watch_end_message(why));
        if (why == WATCH_END_SAMPLING_FAILED || why == WATCH_END_FAILED) {
            m->failure = present_failure(p, f);
        }
        m->cursor = cursor;
        m->sequence = sequence;
    }
    return m;
}
