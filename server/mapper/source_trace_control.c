/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See source_trace_state.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "server/mapper/source_trace_state.h"

/* The bits of RTIT_CTL that a trace may set. */
#define CTL_KNOWN                                                                                  \
    (VMTRACE_CTL_ENABLED | VMTRACE_CTL_OS | VMTRACE_CTL_USER | VMTRACE_CTL_TSC |                   \
     VMTRACE_CTL_NO_RETC | VMTRACE_CTL_BRANCH)

enum { DISABLE_TRIES = 3 };

int source_trace_call(struct trace *s, enum vmtrace_call call, uint32_t key, uint64_t *value,
                      struct failure *f)
{
    struct source_tools *t = s->tools;
    s->pauses++;
    return t->ops->vmtrace(t->backend, s->known.domid, s->options.vcpu, call, key, value, f);
}

static uint64_t wanted_ctl(const struct source_trace_options *o)
{
    bool both = (o->flags & (TRACE_OS | TRACE_USER)) == 0;
    uint64_t ctl = VMTRACE_CTL_BRANCH;
    ctl |= both || (o->flags & TRACE_OS) ? VMTRACE_CTL_OS : 0;
    ctl |= both || (o->flags & TRACE_USER) ? VMTRACE_CTL_USER : 0;
    ctl |= (o->flags & TRACE_NO_TSC) ? 0 : VMTRACE_CTL_TSC;
    ctl |= (o->flags & TRACE_NO_RETC) ? VMTRACE_CTL_NO_RETC : 0;
    return ctl;
}

/* --- the ring ---------------------------------------------------------------------------------- */

static int check_size(struct trace *s, uint64_t bytes, struct failure *f)
{
    if (bytes >= SOURCE_TRACE_MIN_BYTES && bytes <= SOURCE_TRACE_MAX_BYTES &&
        (bytes & (bytes - 1)) == 0) {
        s->size_bytes = bytes;
        return 0;
    }
    int result =
        failure_set(f, ERROR_FAILED_PRECONDITION, "domain %u has trace buffers of %llu KiB",
                    s->known.domid, (unsigned long long)(bytes >> 10));
    failure_cause(f, result, "a buffer has a power of two of bytes, from 4 KiB to 64 MiB");
    return failure_next(f, result, "set vmtrace_buf_kb, and start the domain anew");
}

/* The number is asked for before and after: what is mapped is the domain's that is meant, and keeps it from
 * becoming another's. */
static int map_ring(struct trace *s, struct source_sample *now, struct failure *f)
{
    struct source_tools *t = s->tools;
    uint16_t domid = s->known.domid;
    struct backend_size size;
    int result = source_check_domain(t, now, &s->known, f);
    if (result == 0) {
        result = t->ops->size(t->backend, domid, RESOURCE_VMTRACE_BUF, s->options.vcpu, &size, f);
    }
    if (result == 0) {
        result = check_size(s, (uint64_t)size.frames_in_use * MESSAGE_FRAME_BYTES, f);
    }
    if (result == 0) {
        result = t->ops->map(t->backend, domid, RESOURCE_VMTRACE_BUF, s->options.vcpu, 0,
                             size.frames_in_use, &s->mapping, f);
    }
    if (result < 0) {
        return result;
    }
    s->is_mapped = true;
    t->maps++;
    t->mapped++;
    t->mapped_frames += s->mapping.frame_count;
    return source_check_domain(t, now, &s->known, f);
}

static int make_image(struct trace *s, struct failure *f)
{
    if (s->image) {
        return 0;
    }
    int result = allowance_take(s->tools->memory, s->size_bytes, f);
    if (result < 0) {
        return result;
    }
    s->image = aligned_alloc(MESSAGE_FRAME_BYTES, s->size_bytes);
    if (!s->image) {
        allowance_give(s->tools->memory, s->size_bytes);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for an image of %llu KiB",
                           (unsigned long long)(s->size_bytes >> 10));
    }
    s->memory = s->tools->memory;
    return 0;
}

/* --- who traces -------------------------------------------------------------------------------- */

static int refuse(struct trace *s, const char *how, struct failure *f)
{
    int result = failure_set(f, ERROR_FAILED_PRECONDITION,
                             "vCPU %u of domain %u is being traced already: %s", s->options.vcpu,
                             s->known.domid, how);
    failure_cause(f, result, "another program traces it, or has ended without disabling that");
    return failure_next(f, result, "end that one; or take the trace over: --takeover");
}

static int disable_others(struct trace *s, struct failure *f)
{
    struct failure why = { 0 };
    int result = source_trace_call(s, VMTRACE_DISABLE, 0, NULL, &why);
    if (result < 0 && why.xen_errno != EINVAL) {
        *f = why;
        s->is_enabled = s->options.is_ours; /* then the journal has to go on knowing of it */
        return result;
    }
    return 0;
}

static int check_free(struct trace *s, struct failure *f)
{
    uint64_t ctl = 0;
    int result = source_trace_call(s, VMTRACE_GET_OPTION, VMTRACE_KEY_CTL, &ctl, f);
    if (result == 0 && (ctl & VMTRACE_CTL_ENABLED)) {
        result = refuse(s, "RTIT_CTL says so", f);
    }
    return result;
}

/* Only this proves it: a position that stands still may be a vCPU that idles. */
static int probe(struct trace *s, struct failure *f)
{
    struct failure why = { 0 };
    int result = source_trace_call(s, VMTRACE_ENABLE, 0, NULL, &why);
    if (result < 0 && why.xen_errno == EINVAL) {
        return refuse(s, "it cannot be enabled once more", f);
    }
    if (result < 0) {
        *f = why;
        return result;
    }
    s->is_enabled = true;
    result = source_trace_call(s, VMTRACE_DISABLE, 0, NULL, f);
    s->is_enabled = result < 0;
    return result;
}

static int keep_journal(struct trace *s, struct failure *f)
{
    const struct source_trace_options *o = &s->options;
    int result = o->journal_add ? o->journal_add(o->journal, &s->known, o->vcpu, f) : 0;
    s->is_journaled = result == 0;
    return result;
}

/* The image is of what was there before the first byte of this trace. */
static int enable(struct trace *s, struct failure *f)
{
    uint64_t ctl = s->ctl;
    int result = source_trace_call(s, VMTRACE_SET_OPTION, VMTRACE_KEY_CTL, &ctl, f);
    if (result == 0) {
        lap_init(&s->lap, &s->ring, s->size_bytes, s->image, s->scratch, sizeof(s->scratch));
        result = lap_begin(&s->lap, f);
    }
    if (result == 0) {
        struct failure why = { 0 };
        result = source_trace_call(s, VMTRACE_RESET_AND_ENABLE, 0, NULL, &why);
        s->is_enabled = result == 0;
        if (result < 0 && why.xen_errno == EINVAL) {
            result = refuse(s, "it was enabled meanwhile", f);
        } else if (result < 0) {
            *f = why;
        }
    }
    return result;
}

int source_trace_start(struct trace *s, struct source_sample *now, struct failure *f)
{
    bool takes_over = (s->options.flags & TRACE_TAKEOVER) || s->options.is_ours;
    s->ctl = wanted_ctl(&s->options);
    int result = map_ring(s, now, f);
    if (result == 0) {
        result = make_image(s, f);
    }
    if (result == 0 && !takes_over) {
        result = check_free(s, f);
    }
    if (result == 0) {
        result = keep_journal(s, f);
    }
    if (result == 0 && takes_over) { /* not in vain: all that may be refused before that is not */
        result = disable_others(s, f);
    }
    if (result == 0) {
        result = probe(s, f);
    }
    if (result == 0) {
        result = enable(s, f);
    }
    if (result < 0) {
        struct failure ignored; /* logged */
        (void)source_trace_disable(s, &ignored);
    }
    return result;
}

/* --- later ------------------------------------------------------------------------------------- */

static int end_with(struct source_sample *now, enum feed_end_reason reason, const char *what,
                    const char *cause, struct failure *f)
{
    now->over = reason;
    int result = failure_set(f, ERROR_ABORTED, "%s", what);
    failure_cause(f, result, "%s", cause);
    return failure_next(f, result, "start the trace again");
}

int source_trace_ask_why(struct trace *s, struct source_sample *now, struct failure *f)
{
    uint64_t status = 0, ctl = 0;
    int result = source_trace_call(s, VMTRACE_GET_OPTION, VMTRACE_KEY_STATUS, &status, f);
    if (result == 0) {
        result = source_trace_call(s, VMTRACE_GET_OPTION, VMTRACE_KEY_CTL, &ctl, f);
    }
    if (result < 0) {
        return result;
    }
    if (status & VMTRACE_STATUS_ERROR) {
        return end_with(now, FEED_END_TRACE_ERROR, "RTIT_STATUS says Error",
                        "the processor gave up tracing, by an operation that failed", f);
    }
    if (status & VMTRACE_STATUS_STOPPED) {
        return end_with(now, FEED_END_TRACE_STOPPED, "RTIT_STATUS says Stopped",
                        "the processor stopped tracing", f);
    }
    if ((ctl & CTL_KNOWN) != (s->ctl | VMTRACE_CTL_ENABLED)) {
        return end_with(now, FEED_END_INTERFERED, "RTIT_CTL is not as it was set",
                        "somebody else has disabled the trace, or changed what it is of", f);
    }
    return 0;
}

enum trace_off source_trace_disable(struct trace *s, struct failure *f)
{
    const struct source_trace_options *o = &s->options;
    enum trace_off off = TRACE_OFF;
    for (int i = 0; i < DISABLE_TRIES && s->is_enabled; i++) { /* ENOMEM, EAGAIN may pass */
        struct failure why = { 0 };
        int result = source_trace_call(s, VMTRACE_DISABLE, 0, NULL, &why);
        s->is_enabled = result < 0 && why.xen_errno != EINVAL && why.xen_errno != ESRCH;
        /* Of one that failed before nobody knows who has disabled it. */
        off = i == 0 && why.xen_errno == EINVAL ? TRACE_OFF_BY_OTHERS : off;
        if (s->is_enabled && i == DISABLE_TRIES - 1) {
            *f = why;
            off = TRACE_STAYS_ON;
        }
    }
    if (off == TRACE_STAYS_ON) {
        failure_next(f, -f->code, "the mapper goes on trying; or end it: --takeover, then stop");
        log_failure(LOG_LEVEL_ERROR, "disabling a trace", f);
    } else if (s->is_journaled && o->journal_remove) {
        o->journal_remove(o->journal, &s->known, o->vcpu);
        s->is_journaled = false;
    }
    return off;
}
