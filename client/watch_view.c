/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/watch_view.h"

#include "client/view.h"
#include "common/text.h"

static const char *const gap_names[] = {
    [XENRES_GAP_TOO_SLOW] = "too_slow",       [XENRES_GAP_TOO_MANY] = "too_many",
    [XENRES_GAP_NEW_SEGMENT] = "new_segment", [XENRES_GAP_RESUMED] = "resumed",
    [XENRES_GAP_INTERRUPTED] = "interrupted", [XENRES_GAP_NEW_FEED] = "new_feed",
    [XENRES_GAP_AT_END] = "at_end",
};

static const char *const end_names[] = {
    [XENRES_END_INCARNATION_ENDED] = "incarnation_ended",
    [XENRES_END_RENAMED] = "renamed",
    [XENRES_END_RESOURCE_GONE] = "resource_gone",
    [XENRES_END_SAMPLING_FAILED] = "sampling_failed",
    [XENRES_END_MAPPER_GONE] = "mapper_gone",
    [XENRES_END_SHUTTING_DOWN] = "shutting_down",
    [XENRES_END_PERMISSION_WITHDRAWN] = "permission_withdrawn",
    [XENRES_END_DEADLINE] = "deadline",
    [XENRES_END_FAILED] = "failed",
    [XENRES_END_CREDENTIALS_EXPIRED] = "credentials_expired",
    [XENRES_END_NOT_FOUND] = "not_found",
};

static const char *name_of(const char *const *names, size_t count, uint32_t number)
{
    return number < count && names[number] != NULL ? names[number] : "";
}

const char *xenres_gap_reason_name(uint32_t reason)
{
    return name_of(gap_names, sizeof(gap_names) / sizeof(gap_names[0]), reason);
}

const char *xenres_end_reason_name(uint32_t reason)
{
    return name_of(end_names, sizeof(end_names) / sizeof(end_names[0]), reason);
}

uint32_t watch_view_ms(const Google__Protobuf__Duration *m)
{
    if (m == NULL || m->seconds < 0 || m->nanos < 0) {
        return 0;
    }
    if (m->seconds > UINT32_MAX / 1000 - 1) {
        return UINT32_MAX;
    }
    return (uint32_t)m->seconds * 1000 + (uint32_t)m->nanos / 1000000 % 1000;
}

void watch_view_sample(const Xenres__V1__SampleTime *m, xenres_sample_time *out)
{
    *out = (xenres_sample_time){ .wall_seconds = 0 };
    if (m == NULL) {
        return;
    }
    view_time(m->wall_time, &out->wall_seconds, &out->wall_nanoseconds);
    out->monotonic_ns = m->monotonic_ns;
    out->since_monotonic_ns = m->since_monotonic_ns;
    out->copy_duration_ns = m->copy_duration_ns;
}

int watch_view_begin(const char *feed, const Google__Protobuf__Duration *silence_max, bool resumed,
                     uint64_t sequence, uint32_t segment, struct follow_message *out,
                     struct fault *fault)
{
    uint8_t ignored[NUMBERING_FEED_CHARS / 2];

    if (!text_to_hex(feed, ignored, sizeof(ignored))) {
        return reconnect_lie(fault, "does not say of which feed it is");
    }
    out->numbers.kind = NUMBERING_BEGIN;
    out->silence_max_ms = watch_view_ms(silence_max);
    out->begin = (struct numbering_begin){
        .feed = feed, .resumed = resumed, .sequence = sequence, .segment = segment
    };
    return 0;
}

void watch_view_gap(const Xenres__V1__WatchGap *m, struct follow_message *out)
{
    out->numbers.kind = NUMBERING_GAP;
    out->numbers.first = m->first_sequence;
    out->numbers.sequence = m->sequence;
    out->gap = (xenres_watch_gap){
        .reason = (uint32_t)m->reason,
        .first_sequence = m->first_sequence,
        .sequence = m->sequence,
        .exact = true,
        .blocks = m->blocks,
    };
    view_time(m->time, &out->gap.wall_seconds, &out->gap.wall_nanoseconds);
}

int watch_view_checkpoint(const Xenres__V1__WatchCheckpoint *m, struct follow_message *out,
                          struct fault *fault)
{
    if (m->cursor[0] == '\0' || !reconnect_is_cursor(m->cursor)) {
        return reconnect_lie(fault, "has a checkpoint whose cursor is none");
    }
    out->numbers.kind = NUMBERING_CHECKPOINT;
    out->numbers.sequence = m->sequence;
    out->checkpoint =
        (xenres_watch_checkpoint){ .cursor = m->cursor, .feed = "", .sequence = m->sequence };
    return 0;
}

int watch_view_heartbeat(xenres_reply *reply, const Xenres__V1__WatchHeartbeat *m,
                         struct follow_message *out, struct fault *fault)
{
    out->numbers.kind = NUMBERING_HEARTBEAT;
    out->numbers.sequence = m->sequence;
    out->heartbeat = (xenres_watch_heartbeat){ .sequence = m->sequence,
                                               .samples = m->samples,
                                               .failed_samples = m->failed_samples };
    view_time(m->time, &out->heartbeat.wall_seconds, &out->heartbeat.wall_nanoseconds);
    if (m->sampled != NULL) {
        xenres_sample_time *sampled = reply_array(reply, 1, sizeof(*sampled), fault);

        if (sampled == NULL) {
            return -ERROR_RESOURCE_EXHAUSTED;
        }
        watch_view_sample(m->sampled, sampled);
        out->heartbeat.sampled = sampled;
    }
    return 0;
}

int watch_view_end(xenres_reply *reply, const Xenres__V1__WatchEnd *m, struct follow_message *out,
                   struct fault *fault)
{
    if (!reconnect_is_cursor(m->cursor)) {
        return reconnect_lie(fault, "ends with a cursor that is none");
    }
    out->numbers.kind = NUMBERING_END;
    out->numbers.sequence = m->sequence;
    out->end = (xenres_watch_end){ .reason = (uint32_t)m->reason,
                                   .message = m->message,
                                   .cursor = m->cursor,
                                   .sequence = m->sequence };
    if (m->failure != NULL) {
        xenres_failure *failure = reply_array(reply, 1, sizeof(*failure), fault);

        if (failure == NULL) {
            return -ERROR_RESOURCE_EXHAUSTED;
        }
        *failure = (xenres_failure){ .call = m->failure->call,
                                     .errno_name = m->failure->errno_name,
                                     .cause = m->failure->cause,
                                     .next_step = m->failure->next_step };
        out->end.failure = failure;
    }
    return 0;
}
