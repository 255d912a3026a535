/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See source_trace.h: samples, their times, and what they cost. */
#include "server/mapper/source_trace.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/mapper/copy.h"
#include "server/mapper/source_trace_state.h"

enum {
    FILL_PARTS = 3,   /* the ring is drained when about the third part of it is new */
    LOOK_PARTS = 8,   /* with less than that new, a ring is looked at only so often … */
    NEAR_BYTES = 64,  /* what was taken ends so near to the ring's beginning: a PSB+ is longer */
    CHECK_MS = 50,    /* the domain, where nothing new comes */
    CHECK_BUSY_S = 1, /* … and where it does */
    RATE_WEIGHT = 4,  /* of what was before in the average, to one of the last */
};
/* … that this much is compared in a second: a large ring that fills slowly costs no processor. */
#define LOOK_BYTES_PER_S (UINT64_C(64) << 20)

static uint64_t time_of(const struct source_sample *now)
{
    return source_stamp(now).monotonic_ns;
}

/* bytes * 10^9 / divisor, of what may be large. */
static uint64_t per_second(uint64_t bytes, uint64_t divisor)
{
    return (uint64_t)((unsigned __int128)bytes * CLOCK_NS_PER_S / (divisor > 0 ? divisor : 1));
}

/* --- the ring ---------------------------------------------------------------------------------- */

static int ring_position(void *context, uint64_t *out, struct failure *f)
{
    return source_trace_call(context, VMTRACE_POSITION, 0, out, f);
}

/* Less than 8 bytes, or what is not aligned alike: by way of the thread's page, in which the whole words
 * around them have to fit. */
static int read_around(struct trace *s, uint64_t offset, uint8_t *to, size_t len_bytes,
                       struct failure *f)
{
    const volatile uint8_t *ring = s->mapping.address;
    const size_t most = MESSAGE_FRAME_BYTES - 2 * sizeof(uint64_t);
    int result = 0;
    for (size_t done = 0, len; done < len_bytes && result == 0; done += len) {
        len = len_bytes - done < most ? len_bytes - done : most;
        uint64_t from = offset + done, first = from & ~UINT64_C(7);
        size_t span = (size_t)(((from + len + 7) & ~UINT64_C(7)) - first);
        result = copy_step(s->tools->page, ring + first, span, NULL, f);
        if (result == 0) {
            memcpy(to + done, s->tools->page + (from - first), len);
        }
    }
    return result;
}

/* To the image, which is aligned as the ring is; or a chunk at most. */
static int ring_read(void *context, uint64_t offset, void *to, size_t len_bytes, struct failure *f)
{
    struct trace *s = context;
    const volatile uint8_t *ring = s->mapping.address;
    uint8_t *out = to;
    s->tools->sampled_bytes += len_bytes;
    if (((uintptr_t)out ^ offset) % 8 != 0) {
        return read_around(s, offset, out, len_bytes, f);
    }
    size_t head = (size_t)(-offset & 7);
    head = head < len_bytes ? head : len_bytes;
    size_t body = (len_bytes - head) & ~(size_t)7, tail = len_bytes - head - body;
    int result = head > 0 ? read_around(s, offset, out, head, f) : 0;
    if (result == 0 && body > 0) {
        result = copy_step(out + head, ring + offset + head, body, NULL, f);
    }
    if (result == 0 && tail > 0) {
        result = read_around(s, offset + head + body, out + head + body, tail, f);
    }
    return result;
}

/* --- pauses ------------------------------------------------------------------------------------ */

/* May the vCPU be paused? What was spent is taken from both first. */
static bool may_pause(struct trace *s, const struct source_sample *now)
{
    struct source_tools *t = s->tools;
    uint64_t now_ns = time_of(now);
    return ceiling_has_room(&s->budget, &s->meter, now_ns, s->pauses) &&
           (!t->pauses ||
            ceiling_has_room(t->pauses, &t->pause_meter, now_ns, t->ops->pauses(t->backend)));
}

static void pay(struct trace *s)
{
    struct source_tools *t = s->tools;
    ceiling_charge(&s->budget, &s->meter, s->pauses);
    if (t->pauses) {
        ceiling_charge(t->pauses, &t->pause_meter, t->ops->pauses(t->backend));
    }
}

/* --- times ------------------------------------------------------------------------------------- */

static uint64_t bounded_period(const struct trace *s, uint64_t period_ns)
{
    const struct source_trace_options *o = &s->options;
    period_ns = period_ns < o->period_max_ns ? period_ns : o->period_max_ns;
    return period_ns > o->period_min_ns ? period_ns : o->period_min_ns;
}

/* So that it is a third full then, at the rate that it has; and the budget lasts. */
static void plan(struct trace *s, struct source_sample *now, uint64_t pauses)
{
    uint64_t rate = s->rate > s->average_rate ? s->rate : s->average_rate;
    uint64_t full = s->size_bytes / FILL_PARTS;
    uint64_t room = full > s->lap.seen ? full - s->lap.seen : 0;
    uint64_t period_ns = rate > 0 ? per_second(room, rate) : UINT64_MAX;
    period_ns = bounded_period(s, s->is_hurried ? 0 : period_ns);
    uint64_t paid_ns = per_second(pauses, s->options.pauses_per_second);
    s->next_after_ns = period_ns > paid_ns ? period_ns : paid_ns;
    now->next_after_ns = s->next_after_ns;
}

static void measure(struct trace *s, uint64_t now_ns)
{
    uint64_t moved = (s->lap.position - s->asked_position) & (s->size_bytes - 1);
    if (s->asked_ns != 0 && now_ns > s->asked_ns) {
        s->rate = per_second(moved, now_ns - s->asked_ns);
        s->average_rate = (s->average_rate * RATE_WEIGHT + s->rate) / (RATE_WEIGHT + 1);
    }
    s->new_ns = moved > 0 || s->new_ns == 0 ? now_ns : s->new_ns;
    s->asked_position = s->lap.position;
    s->asked_ns = now_ns;
}

/* --- figures ----------------------------------------------------------------------------------- */

static void publish(struct trace *s, const struct spool *spool, bool is_over)
{
    struct source_tools *t = s->tools;
    struct message_trace_vcpu v = {
        .vcpu = s->options.vcpu,
        .is_over = is_over,
        .produced_bytes = spool->blocks,
        .lost_bytes = s->lost_bytes,
        .open_losses = (uint32_t)spool->batch,
        .segment = spool->segment,
        .epoch = spool->epoch,
        .bytes_per_second = s->rate,
        .period_ns = s->next_after_ns,
        .pauses = s->pauses,
        .samples = s->samples,
        .late = s->late,
    };
    if (s->size_bytes > 0) {
        v.fill_permille = (uint32_t)(s->fill_bytes * 1000 / s->size_bytes);
        v.fill_most_permille = (uint32_t)(s->fill_most_bytes * 1000 / s->size_bytes);
    }
    pthread_mutex_lock(&s->lock);
    t->produced_bytes += v.produced_bytes - s->figures.vcpu.produced_bytes;
    s->figures.vcpu = v;
    if (s->has_begun) {
        s->figures.rtit_ctl = s->ctl | VMTRACE_CTL_ENABLED;
        s->figures.buffer_bytes = s->size_bytes;
    }
    pthread_mutex_unlock(&s->lock);
}

void source_trace_look(struct source *source, struct source_trace_figures *out)
{
    struct trace *s = (struct trace *)source;
    pthread_mutex_lock(&s->lock);
    *out = s->figures;
    pthread_mutex_unlock(&s->lock);
}

/* --- samples ----------------------------------------------------------------------------------- */

static int begin_trace(struct trace *s, struct source_sample *now, struct failure *f)
{
    int result = source_trace_start(s, now, f);
    if (result < 0) {
        return result;
    }
    struct feed_stamp stamp = source_stamp(now);
    uint64_t tsc = s->tools->ops->tsc(s->tools->backend);
    result = source_trace_begin(s, now, FEED_BEGIN_START, &stamp, tsc, f);
    if (result < 0) {
        struct failure ignored; /* logged */
        (void)source_trace_disable(s, &ignored);
        return result;
    }
    s->has_begun = s->is_hurried = true; /* how quick it is nobody knows yet */
    s->looked_ns = s->checked_ns = s->new_ns = s->why_ns = s->asked_ns = stamp.monotonic_ns;
    return 0;
}

/* Is it worth while? A sample that only asks for the position is as good as none as to laps. And as to
 * resets, while hardly anything is taken before which a position could be seen to go back. */
static bool is_to_be_looked_at(const struct trace *s, uint64_t now_ns)
{
    const struct lap *l = &s->lap;
    bool may_hide_a_reset = l->prev < NEAR_BYTES && l->seen > l->fresh;
    return l->is_odd || l->is_unknown || may_hide_a_reset ||
           l->seen >= s->size_bytes / LOOK_PARTS ||
           now_ns - s->looked_ns >= per_second(s->size_bytes, LOOK_BYTES_PER_S);
}

static int take_sample(struct trace *s, struct source_sample *now, bool is_last, struct failure *f)
{
    struct source_tools *t = s->tools;
    struct feed_stamp stamp = source_stamp(now);
    uint64_t tsc = t->ops->tsc(t->backend);
    int result = lap_ask(&s->lap, &s->fill_bytes, f);
    if (result < 0) {
        return result;
    }
    measure(s, stamp.monotonic_ns);
    s->fill_most_bytes = s->fill_bytes > s->fill_most_bytes ? s->fill_bytes : s->fill_most_bytes;
    if (!is_last && !is_to_be_looked_at(s, stamp.monotonic_ns)) {
        return spool_still(now->spool, &stamp, f);
    }
    struct lap_found found;
    result = lap_look(&s->lap, is_last, &found, f);
    if (result < 0) {
        return result;
    }
    if (found.kind != LAP_FOLLOWS) {
        s->fill_bytes = s->fill_most_bytes = s->size_bytes;
        s->new_ns = stamp.monotonic_ns;
    }
    s->is_hurried = found.kind != LAP_FOLLOWS;
    s->looked_ns = stamp.monotonic_ns;
    source_stamp_end(now, &stamp);
    result = source_trace_tell(s, now, &found, is_last, &stamp, tsc, f);
    s->blame = found.kind == LAP_UNKNOWN ? s->blame : 0;
    return result;
}

/* The domain may have shut down, which no call about its trace would tell. */
static int check_domain(struct trace *s, struct source_sample *now, struct failure *f)
{
    uint64_t now_ns = time_of(now);
    bool is_busy = s->new_ns == s->asked_ns;
    uint64_t after_ns = is_busy ? CHECK_BUSY_S * CLOCK_NS_PER_S : CHECK_MS * CLOCK_NS_PER_MS;
    if (now_ns - s->checked_ns < after_ns) {
        return 0;
    }
    s->checked_ns = now_ns;
    int result = source_check_domain(s->tools, now, &s->known, f);
    if (result == 0 && (s->known.state == DOMAIN_SHUTDOWN || s->known.state == DOMAIN_CRASHED)) {
        now->over = FEED_END_SHUTDOWN;
        now->detail = s->known.shutdown_code;
    }
    return result;
}

/* Where nothing new comes, soon; and now and then in any case, as whoever changes it does not say so. Of a
 * budget that a sample takes whole nothing is ever left: once it is overdue, it is saved for afterwards. */
static int ask_why_still(struct trace *s, struct source_sample *now, struct failure *f)
{
    uint64_t now_ns = time_of(now), still_ns = SOURCE_TRACE_STILL_S * CLOCK_NS_PER_S;
    uint64_t again_ns = SOURCE_TRACE_STILL_AGAIN_S * CLOCK_NS_PER_S;
    bool is_asked = s->why_ns > s->new_ns; /* since there was something new */
    bool is_due = (!is_asked && now_ns - s->new_ns >= still_ns) || now_ns - s->why_ns >= again_ns;
    bool is_overdue = (!is_asked && now_ns - s->new_ns >= 2 * still_ns) ||
                      now_ns - s->why_ns >= again_ns + still_ns;
    if (!is_due || (!may_pause(s, now) && !is_overdue)) {
        return 0;
    }
    s->why_ns = now_ns;
    return source_trace_ask_why(s, now, f);
}

static void hold_back(struct trace *s, struct source_sample *now)
{
    now->is_held_back = true;
    s->late++;
    s->tools->pause_refusals++;
    s->blame = FEED_LOSS_PAUSED;
    uint64_t paid_ns = per_second(1, s->options.pauses_per_second);
    now->next_after_ns = bounded_period(s, paid_ns);
}

/* Of one that may be taken. */
static int go_on(struct trace *s, struct source_sample *now, struct failure *f)
{
    int result = take_sample(s, now, false, f);
    if (result == 0) {
        s->samples++;
        result = check_domain(s, now, f);
    } else if (now->over == 0) {
        s->blame = s->blame == 0 ? FEED_LOSS_FAILED : s->blame;
        struct failure gone;
        if (source_check_domain(s->tools, now, &s->known, &gone) < 0 && now->over != 0) {
            *f = gone;
            return -gone.code;
        }
    }
    return result == 0 && now->over == 0 ? ask_why_still(s, now, f) : result;
}

static int sample_trace(struct source *source, struct source_tools *t, struct source_sample *now,
                        struct failure *f)
{
    struct trace *s = (struct trace *)source;
    uint64_t pauses = s->pauses;
    bool is_first = !s->has_begun;
    s->tools = t;
    if (now->was_postponed && s->has_begun) {
        s->blame = FEED_LOSS_PAUSED;
    }
    if (!may_pause(s, now)) {
        hold_back(s, now);
        publish(s, now->spool, false);
        return 0;
    }
    int result = s->has_begun ? go_on(s, now, f) : begin_trace(s, now, f);
    pay(s);
    if (s->has_begun) {
        plan(s, now, is_first ? 1 : s->pauses - pauses); /* what the start took is saved later */
    }
    publish(s, now->spool, false);
    return result;
}

/* --- the end ----------------------------------------------------------------------------------- */

/* Whatever is left; what cannot be read is declared. */
static void drain(struct trace *s, struct source_sample *now)
{
    struct failure f = { 0 };
    int result = take_sample(s, now, true, &f);
    if (result < 0 || s->lap.is_unknown) {
        const struct feed_stamp stamp = source_stamp(now);
        uint64_t least_bytes = s->lap.is_unknown && !s->lap.is_vague ? s->lap.owed : 0;
        (void)source_trace_tell_loss(s, now, least_bytes,
                                     s->blame != 0 ? s->blame : FEED_LOSS_FAILED, &stamp, &f);
    }
}

/* Whether it ends by itself, or was told to: nobody else would say so. */
static bool is_ours_to_say(const struct source_end *end)
{
    return end->reason != FEED_END_INCARNATION && end->reason != FEED_END_SHUTDOWN &&
           end->failure.code == 0;
}

/* What has befallen it since it was last asked is why it ends; a call that fails tells nothing. */
static void ask_at_the_end(struct trace *s, const struct source_sample *now, struct source_end *end)
{
    struct source_sample last = *now;
    struct failure f = { 0 };
    if (is_ours_to_say(end) && source_trace_ask_why(s, &last, &f) < 0 && last.over != 0) {
        *end = (struct source_end){ .reason = last.over, .failure = f };
    }
}

static void finish_trace(struct source *source, struct source_tools *t, struct source_sample *now,
                         struct source_end *end)
{
    struct trace *s = (struct trace *)source;
    s->tools = t;
    if (s->has_begun) {
        ask_at_the_end(s, now, end);
        struct failure f = { 0 };
        /* First: so that what is left is all there is. */
        enum trace_off off = source_trace_disable(s, &f);
        drain(s, now);
        if (off == TRACE_STAYS_ON && is_ours_to_say(end)) {
            end->reason = FEED_END_FAILED;
            end->failure = f;
        } else if (off == TRACE_OFF_BY_OTHERS && is_ours_to_say(end)) {
            end->reason = FEED_END_INTERFERED;
            int result = failure_set(&end->failure, ERROR_ABORTED,
                                     "the trace was disabled when it was to be ended");
            failure_cause(&end->failure, result, "somebody else has disabled it before");
            failure_next(&end->failure, result, "find out who else traces this domain");
        }
        pay(s);
    }
    publish(s, now->spool, true);
}

static void free_image(struct trace *s)
{
    if (s->image) {
        allowance_give(s->memory, s->size_bytes);
    }
    free(s->image);
    s->image = NULL;
}

/* Nothing is sampled any more: while what was told is held, others can have the image's memory. */
static void unmap_trace(struct source *source, struct source_tools *t)
{
    struct trace *s = (struct trace *)source;
    free_image(s);
    if (s->is_mapped) {
        t->mapped--;
        t->mapped_frames -= s->mapping.frame_count;
        t->ops->unmap(t->backend, &s->mapping);
        s->is_mapped = false;
    }
}

static void free_trace(struct source *source)
{
    struct trace *s = (struct trace *)source;
    assert(!s->is_mapped);
    free_image(s);
    ceiling_done(&s->budget);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static const struct source_ops trace_ops = {
    .sample = sample_trace, .finish = finish_trace, .unmap = unmap_trace, .free = free_trace
};

int source_trace_new(const struct source_trace_options *options, struct source **out,
                     struct failure *f)
{
    assert(options->pauses_per_second > 0 && options->period_min_ns > 0 &&
           options->period_min_ns <= options->period_max_ns);
    struct trace *s = aligned_alloc(_Alignof(struct trace), sizeof(*s));
    if (!s) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a trace");
    }
    memset(s, 0, sizeof(*s));
    s->base.ops = &trace_ops;
    s->options = *options;
    s->known = options->known;
    s->ring = (struct lap_ring){ ring_position, ring_read, s };
    s->figures.vcpu.vcpu = options->vcpu;
    ceiling_init(&s->budget, options->pauses_per_second, clock_monotonic_ns());
    pthread_mutex_init(&s->lock, NULL);
    *out = &s->base;
    return 0;
}
