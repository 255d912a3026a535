/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/present_trace.h"

#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "server/rpc/present_watch.h"

enum { MAPPER_GONE_RETRY_MS = 500, VCPUS_A_WORD = 64 };

/* --- why one ends ------------------------------------------------------------------------------- */

static const struct {
    uint32_t feed_end; /* enum feed_end_reason */
    enum watch_end why;
} overs[] = {
    { FEED_END_INCARNATION, WATCH_END_INCARNATION },
    { FEED_END_RENAMED, WATCH_END_RENAMED },
    { FEED_END_RESOURCE, WATCH_END_SAMPLING_FAILED },
    { FEED_END_FAILED, WATCH_END_SAMPLING_FAILED },
    { FEED_END_STOPPED_BY_CALLER, WATCH_END_STOPPED },
    { FEED_END_LEASE, WATCH_END_LEASE },
    { FEED_END_SHUTDOWN, WATCH_END_SHUTDOWN },
    { FEED_END_TRACE_ERROR, WATCH_END_HARDWARE_ERROR },
    { FEED_END_TRACE_STOPPED, WATCH_END_HARDWARE_STOPPED },
    { FEED_END_INTERFERED, WATCH_END_INTERFERED },
    { FEED_END_TAKEN_OVER, WATCH_END_TAKEN_OVER },
};

/* Also of FEED_END_STOPPED, of none, and, which we hold against the mapper, of FEED_END_RELEASED. */
static enum watch_end why_over(uint32_t feed_end)
{
    for (size_t i = 0; i < sizeof(overs) / sizeof(overs[0]); i++) {
        if (overs[i].feed_end == feed_end) {
            return overs[i].why;
        }
    }
    return WATCH_END_MAPPER_GONE;
}

static const Xenres__V1__TraceEndReason reasons[WATCH_END_COUNT] = {
#define END(name) XENRES__V1__TRACE_END_REASON__TRACE_END_REASON_##name
    [WATCH_END_INCARNATION] = END(INCARNATION_ENDED),
    [WATCH_END_RENAMED] = END(RENAMED),
    [WATCH_END_SAMPLING_FAILED] = END(SAMPLING_FAILED),
    [WATCH_END_MAPPER_GONE] = END(MAPPER_GONE),
    [WATCH_END_SHUTTING_DOWN] = END(SHUTTING_DOWN),
    [WATCH_END_PERMISSION_WITHDRAWN] = END(PERMISSION_WITHDRAWN),
    [WATCH_END_CREDENTIALS_EXPIRED] = END(CREDENTIALS_EXPIRED),
    [WATCH_END_DEADLINE] = END(DEADLINE),
    [WATCH_END_FAILED] = END(FAILED),
    [WATCH_END_CLIENT] = END(UNSPECIFIED),
    [WATCH_END_STOPPED] = END(STOPPED),
    [WATCH_END_LEASE] = END(LEASE_ENDED),
    [WATCH_END_SHUTDOWN] = END(SHUTDOWN),
    [WATCH_END_TAKEN_OVER] = END(TAKEN_OVER),
    [WATCH_END_INTERFERED] = END(INTERFERED),
    [WATCH_END_HARDWARE_ERROR] = END(HARDWARE_ERROR),
    [WATCH_END_HARDWARE_STOPPED] = END(HARDWARE_STOPPED),
#undef END
};

enum watch_end present_trace_over(const struct subscription_item *item, struct failure *told,
                                  struct failure *f)
{
    const struct feed_end *end = &item->ended.end;
    enum watch_end why = why_over(end->reason);

    *told = end->failure;
    if (told->code != 0) {
        failure_sanitize(told);
    }
    f->code = 0;
    if (why == WATCH_END_SAMPLING_FAILED) {
        if (told->code == 0) {
            failure_set(told, ERROR_UNKNOWN, "%s", watch_end_message(why));
        }
        *f = *told;
    } else if (why == WATCH_END_MAPPER_GONE) {
        failure_set(f, ERROR_UNAVAILABLE, "the mapper is gone, and what it traced with it");
        failure_cause(f, 0, "it stopped, or was killed; the next one stops what it left running");
        failure_retry(f, 0, MAPPER_GONE_RETRY_MS);
        failure_next(f, 0, "see whether the trace still runs, and else start another");
        told->code = 0;
    }
    return why;
}

Xenres__V1__TraceEnd *present_trace_end(struct pool *p, enum watch_end why,
                                        const struct failure *told, char *cursor, uint64_t position,
                                        uint32_t shutdown_code)
{
    Xenres__V1__TraceEnd *m = PRESENT_NEW(p, Xenres__V1__TraceEnd, xenres__v1__trace_end);

    if (m != NULL) {
        m->reason = reasons[why];
        m->message = pool_string(p, watch_end_message(why));
        m->failure = told->code != 0 ? present_failure(p, told) : NULL;
        m->cursor = cursor;
        m->position = position;
        m->shutdown_code = why == WATCH_END_SHUTDOWN ? shutdown_code : 0;
    }
    return m;
}

/* --- traces ------------------------------------------------------------------------------------- */

static Xenres__V1__TraceMetadata *present_metadata(struct pool *p,
                                                   const struct message_trace_facts *f)
{
    Xenres__V1__TraceMetadata *m =
        PRESENT_NEW(p, Xenres__V1__TraceMetadata, xenres__v1__trace_metadata);

    if (m != NULL) {
        m->rtit_ctl = f->rtit_ctl;
        m->buffer_bytes = f->buffer_bytes;
        m->cpu_vendor = present_text(p, f->cpu_vendor);
        m->cpu_family = f->cpu_family;
        m->cpu_model = f->cpu_model;
        m->cpu_stepping = f->cpu_stepping;
        m->cpuid_15_eax = f->cpuid_15_eax;
        m->cpuid_15_ebx = f->cpuid_15_ebx;
        m->cpuid_15_ecx = f->cpuid_15_ecx;
        m->nominal_mhz = f->nominal_mhz;
        m->tsc_khz = f->tsc_khz;
        m->guest_tsc_mode = f->guest_tsc_mode;
        m->guest_tsc_khz = f->guest_tsc_khz;
        m->guest_bits = f->guest_bits;
    }
    return m;
}

static void list_vcpus(struct pool *p, const struct message_trace *t, Xenres__V1__Trace *m)
{
    m->vcpus = pool_array(p, t->vcpu_count, sizeof(*m->vcpus));
    for (uint32_t vcpu = 0; m->vcpus != NULL && vcpu < MESSAGE_TRACED_VCPUS_MAX; vcpu++) {
        if ((t->vcpus[vcpu / VCPUS_A_WORD] >> vcpu % VCPUS_A_WORD & 1) != 0) {
            m->vcpus[m->n_vcpus++] = vcpu;
        }
    }
}

static void tell_end(struct pool *p, const struct message_trace *t, Xenres__V1__Trace *m)
{
    if (t->end_reason == 0) {
        return;
    }
    m->end_time = present_time(p, t->ended_wall_ns);
    m->end_reason = reasons[why_over(t->end_reason)];
    m->shutdown_code = t->end_reason == FEED_END_SHUTDOWN ? t->shutdown_code : 0;
    if (t->failure.code != 0) {
        struct failure f = t->failure;

        failure_sanitize(&f);
        m->failure = present_failure(p, &f);
    }
}

Xenres__V1__Trace *present_trace(struct pool *p, const struct message_trace *t)
{
    Xenres__V1__Trace *m = PRESENT_NEW(p, Xenres__V1__Trace, xenres__v1__trace);
    bool is_whole = (t->flags & (TRACE_OS | TRACE_USER)) == 0;
    char id[HEX128_TEXT_BYTES];

    if (m == NULL) {
        return NULL;
    }
    text_from_hex(t->trace_id, sizeof(t->trace_id), id);
    m->trace_id = pool_string(p, id);
    m->domain = present_identity(p, &t->domain);
    m->owner = present_text(p, t->owner);
    list_vcpus(p, t, m);
    m->os = is_whole || (t->flags & TRACE_OS) != 0;
    m->user = is_whole || (t->flags & TRACE_USER) != 0;
    m->tsc = (t->flags & TRACE_NO_TSC) == 0;
    m->retc = (t->flags & TRACE_NO_RETC) == 0;
    m->pauses_per_second = t->pauses_per_second;
    m->lease = present_duration(p, t->lease_ms * CLOCK_NS_PER_MS);
    m->lease_left = present_duration(p, t->lease_left_ms * CLOCK_NS_PER_MS);
    m->start_time = present_time(p, t->started_wall_ns);
    m->laps_detectable = t->laps_detectable != 0;
    m->metadata = present_metadata(p, &t->facts);
    tell_end(p, t, m);
    return m;
}

Xenres__V1__TraceVcpu *present_trace_vcpu(struct pool *p, const struct message_trace_vcpu *v)
{
    Xenres__V1__TraceVcpu *m = PRESENT_NEW(p, Xenres__V1__TraceVcpu, xenres__v1__trace_vcpu);

    if (m != NULL) {
        m->vcpu = v->vcpu;
        m->produced_bytes = v->produced_bytes;
        m->lost_bytes = v->lost_bytes;
        m->open_losses = v->open_losses;
        m->segment = v->segment;
        m->epoch = v->epoch;
        m->fill_permille = v->fill_permille;
        m->fill_most_permille = v->fill_most_permille;
        m->bytes_per_second = v->bytes_per_second;
        m->period = present_duration(p, v->period_ns);
        m->pauses = v->pauses;
        m->samples = v->samples;
        m->late_samples = v->late;
        m->over = v->is_over != 0;
    }
    return m;
}

/* --- what is read ------------------------------------------------------------------------------- */

static Xenres__V1__TraceSegmentReason segment_reason(uint32_t feed_begin)
{
    switch (feed_begin) {
    case FEED_BEGIN_START: return XENRES__V1__TRACE_SEGMENT_REASON__TRACE_SEGMENT_REASON_START;
    case FEED_BEGIN_LOSS: return XENRES__V1__TRACE_SEGMENT_REASON__TRACE_SEGMENT_REASON_LOSS;
    case FEED_BEGIN_RESET: return XENRES__V1__TRACE_SEGMENT_REASON__TRACE_SEGMENT_REASON_RESET;
    default: return XENRES__V1__TRACE_SEGMENT_REASON__TRACE_SEGMENT_REASON_UNSPECIFIED;
    }
}

Xenres__V1__TraceSegment *present_trace_segment(struct pool *p, const struct feed_begin *b)
{
    Xenres__V1__TraceSegment *m =
        PRESENT_NEW(p, Xenres__V1__TraceSegment, xenres__v1__trace_segment);

    if (m != NULL) {
        m->segment = b->segment;
        m->epoch = b->epoch;
        m->reason = segment_reason(b->reason);
        m->position = b->blocks_before;
    }
    return m;
}

Xenres__V1__TraceData *present_trace_data(struct pool *p, const struct feed_record *r)
{
    Xenres__V1__TraceData *m = PRESENT_NEW(p, Xenres__V1__TraceData, xenres__v1__trace_data);
    const struct feed_bytes *b = r->bytes;

    if (m == NULL) {
        return NULL;
    }
    m->position = b->bytes_before;
    m->offset = b->offset;
    m->segment = b->segment;
    m->epoch = b->epoch;
    m->data.len = b->len_bytes;
    m->data.data = (uint8_t *)(uintptr_t)r->contents;
    if (b->sync_offset >= 0) {
        m->sync_choice_case = XENRES__V1__TRACE_DATA__SYNC_CHOICE_SYNC_OFFSET;
        m->sync_offset = (uint32_t)b->sync_offset;
    }
    m->sampled = present_sample(p, &b->stamp);
    m->tsc = b->tsc;
    return m;
}

static const struct {
    uint32_t reason; /* enum feed_loss_reason */
    enum watch_loss kind;
    Xenres__V1__TraceGapReason presented;
} losses[] = {
    { FEED_LOSS_LAPPED, WATCH_LOSS_LAPPED, XENRES__V1__TRACE_GAP_REASON__TRACE_GAP_REASON_LAPPED },
    { FEED_LOSS_FAILED, WATCH_LOSS_FAILED, XENRES__V1__TRACE_GAP_REASON__TRACE_GAP_REASON_FAILED },
    { FEED_LOSS_PAUSED, WATCH_LOSS_PAUSED, XENRES__V1__TRACE_GAP_REASON__TRACE_GAP_REASON_PAUSED },
    { FEED_LOSS_RESET, WATCH_LOSS_RESET, XENRES__V1__TRACE_GAP_REASON__TRACE_GAP_REASON_RESET },
};

/* Others do not pass feed_record_check(). */
enum watch_loss present_trace_loss_kind(uint32_t feed_loss_reason)
{
    return losses[feed_loss_reason - FEED_LOSS_LAPPED].kind;
}
_Static_assert(FEED_LOSS_RESET - FEED_LOSS_LAPPED + 1 == sizeof(losses) / sizeof(losses[0]), "all");

Xenres__V1__TraceGap *present_trace_loss(struct pool *p, const struct feed_loss *l)
{
    Xenres__V1__TraceGap *m = PRESENT_NEW(p, Xenres__V1__TraceGap, xenres__v1__trace_gap);

    if (m != NULL) {
        m->reason = losses[l->reason - FEED_LOSS_LAPPED].presented;
        m->position = l->bytes_before;
        m->length = l->len_bytes;
        m->at_least = l->at_least != 0;
        m->offset = l->offset + l->len_bytes;
        m->segment = l->segment;
        m->epoch = l->epoch;
        m->time = present_time(p, l->stamp.wall_ns);
    }
    return m;
}

Xenres__V1__TraceGap *present_trace_gap(struct pool *p, const struct subscription_item *item,
                                        uint64_t position)
{
    Xenres__V1__TraceGap *m = PRESENT_NEW(p, Xenres__V1__TraceGap, xenres__v1__trace_gap);

    if (m != NULL) {
        m->reason = XENRES__V1__TRACE_GAP_REASON__TRACE_GAP_REASON_TOO_SLOW;
        m->position = position;
        m->length = item->gap.blocks;
        m->at_least = item->gap.at_least;
        m->offset = item->gap.at.offset;
        m->segment = item->gap.at.segment;
        m->epoch = item->gap.at.epoch;
        m->time = present_time(p, clock_wall_ns());
    }
    return m;
}
