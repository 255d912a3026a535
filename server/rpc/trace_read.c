/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* TraceService.ReadTrace: the life of a stream, and what comes next in it. */
#include "server/rpc/trace_read.h"

#include <string.h>

#include "common/clock.h"
#include "server/rpc/present_trace.h"
#include "server/rpc/services.h"
#include "server/rpc/watch_cursor.h"

/* --- what is asked for -------------------------------------------------------------------------- */

static int read_vcpu(struct call *c, const Xenres__V1__ReadTraceRequest *q, struct trace_read *r,
                     struct failure *f)
{
    r->vcpu = q->vcpu;
    c->has_id = true;
    c->id = q->vcpu;
    if (q->vcpu < MESSAGE_TRACED_VCPUS_MAX) {
        return 0;
    }
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "there is no vCPU %u", q->vcpu);

    failure_field(f, result, "vcpu");
    return failure_next(f, result, "see which are traced: GetTrace");
}

/* A cursor is of one vCPU of one trace, and names both. */
static int read_cursor(struct call *c, const char *token, struct trace_read *r, struct failure *f)
{
    bool same_policy; /* it is decided on anew in any case */
    int result = watch_cursor_open(c, token, NULL, &r->cursor, &same_policy, f);

    if (result != 0) {
        return result;
    }
    bool is_of_other_trace =
        r->choice.has_id && memcmp(r->choice.id, r->cursor.trace_id, sizeof(r->choice.id)) != 0;

    if (r->cursor.type != RESOURCE_VMTRACE_BUF || r->cursor.id != r->vcpu || is_of_other_trace) {
        return watch_cursor_of_another(f);
    }
    r->has_cursor = true;
    r->choice.has_id = true;
    memcpy(r->choice.id, r->cursor.trace_id, sizeof(r->choice.id));
    return 0;
}

static int read_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__ReadTraceRequest *q = (const void *)c->request;
    struct trace_read *r = pool_alloc(&c->pool, sizeof(*r));

    if (r == NULL) {
        return call_no_memory(f);
    }
    c->state = r;
    trace_choice_of_domain(c, q->domain, q->incarnation);
    int result = read_vcpu(c, q, r, f);

    if (result == 0) {
        result = trace_choice_read(&r->choice, q->trace_id, f);
    }
    return result == 0 && q->cursor[0] != '\0' ? read_cursor(c, q->cursor, r, f) : result;
}

/* --- its beginning and its end ------------------------------------------------------------------ */

static void read_ask(struct call *c, union message *m)
{
    struct trace_read *r = c->state;

    trace_choice_ask(c, &r->choice, m);
}

static int check_incarnation(const struct call *c, const struct trace_read *r, struct failure *f)
{
    if (!r->has_cursor || memcmp(r->cursor.incarnation, c->identity.incarnation,
                                 sizeof(r->cursor.incarnation)) == 0) {
        return 0;
    }
    int result = failure_set(f, ERROR_ABORTED, "the domain is not that of the cursor");

    failure_cause(f, result, "it was restarted, or the gateway lost sight of it for a while");
    failure_field(f, result, "cursor");
    return failure_next(f, result, "see whether it is the domain meant, and read anew");
}

static int check_vcpu(const struct trace_read *r, struct failure *f)
{
    if ((r->trace.vcpus[r->vcpu / 64] >> r->vcpu % 64 & 1) != 0) {
        return 0;
    }
    int result =
        failure_set(f, ERROR_FAILED_PRECONDITION, "vCPU %u is not traced", (unsigned)r->vcpu);

    failure_field(f, result, "vcpu");
    failure_cause(f, result, "the trace was started for others, or the domain has fewer");
    return failure_next(f, result, "see which are traced: GetTrace");
}

static int read_take(struct call *c, const union message *answer, struct mapper_slot *slot,
                     struct failure *f)
{
    struct trace_read *r = c->state;
    const struct message_trace *t = NULL;
    /* Of a domain that is no more the cursor's trace alone is looked for. */
    int result = c->is_absent ? 0 : check_incarnation(c, r, f);

    (void)slot;
    if (result == 0) {
        result = trace_choice_take(c, &r->choice, &answer->traces_answer, ERROR_FAILED_PRECONDITION,
                                   &t, f);
    }
    if (result != 0) {
        return result;
    }
    r->trace = *t;
    return check_vcpu(r, f);
}

static void on_wake(void *arg)
{
    call_wake(arg);
}

static int subscribe(struct call *c, struct trace_read *r, struct failure *f)
{
    struct subscription_request request = {
        .source = { .domain = c->identity,
                    .type = RESOURCE_VMTRACE_BUF,
                    .id = r->vcpu,
                    .frame_count = MESSAGE_FRAMES_ALL },
        .who = c->who,
        .streams_max = c->share.streams,
        .spool_max_bytes = c->share.spool_bytes,
        .mode = SUBSCRIPTION_DELTA,
        .cursor = r->has_cursor ? &r->cursor : NULL,
        .deadline_ns = c->deadline_ns,
        .wake = on_wake,
        .arg = c,
    };

    memcpy(request.source.trace_id, r->trace.trace_id, sizeof(request.source.trace_id));
    return subscription_begin(c->feeds, &request, &r->subscription, f);
}

static int read_start(struct call *c, struct failure *f)
{
    struct trace_read *r = c->state;

    watch_pulse_begin(&r->pulse, c);
    int result = subscribe(c, r, f);

    if (result != 0) {
        return result;
    }
    if (r->trace.end_reason == 0) {
        result = trace_leases_hold(c->trace_leases, &r->trace, &r->lease, f);
    }
    if (result != 0) {
        subscription_end(r->subscription);
        return result;
    }
    r->end = WATCH_END_CLIENT; /* unless it is told another one */
    watch_meter_opened(c->watch_meter);
    return HANDLER_DONE;
}

static void read_stop(struct call *c)
{
    struct trace_read *r = c->state;

    watch_pulse_stop(&r->pulse);
    shared_bytes_unref(r->shared);
    subscription_end(r->subscription);
    trace_leases_let_go(c->trace_leases, r->lease);
    c->end = watch_end_name(r->end);
    watch_meter_ended(c->watch_meter, r->end);
}

/* --- what comes next ---------------------------------------------------------------------------- */

/* It cannot go on. Before it has begun that is an answer like any other's failure. */
static int fail(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;
    struct failure why = *f;

    r->end = WATCH_END_FAILED;
    if (!r->begun) {
        return -why.code;
    }
    f->code = 0;
    return trace_say_end(c, p, WATCH_END_FAILED, &why, &why, f);
}

/* Where there is a place to go on from: a checkpoint. 0: there is none. */
static int seal(struct call *c, struct pool *p, struct failure *f)
{
    char *cursor = trace_cursor_now(c, p);

    return cursor != NULL && cursor[0] != '\0' ? trace_say_checkpoint(c, p, cursor, f) : 0;
}

static int take_begun(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;

    r->begun = true;
    return trace_say_begin(c, p, f);
}

static int take_end(struct call *c, struct pool *p, struct failure *f)
{
    const struct trace_read *r = c->state;
    struct failure told, why_failed;
    enum watch_end why = present_trace_over(&r->item, &told, &why_failed);

    return trace_say_end(c, p, why, &told, &why_failed, f);
}

/* There is nothing more now. */
static int rest(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;
    int said = r->begun && watch_pulse_wants_checkpoint_here(&r->pulse) ? seal(c, p, f) : 0;

    if (said != 0) {
        return said;
    }
    return r->begun && watch_pulse_wants_heartbeat(&r->pulse)
               ? trace_say_heartbeat(c, p, f)
               : watch_pulse_wait(&r->pulse, r->item.wake_ns);
}

/* 0: nothing is to be said of the item. */
static int take_item(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;

    switch (r->item.kind) {
    case SUBSCRIPTION_BEGUN: return take_begun(c, p, f);
    case SUBSCRIPTION_RECORD: return trace_say_record(c, p, f);
    case SUBSCRIPTION_STILL: r->sampled = r->item.still.stamp; return 0;
    case SUBSCRIPTION_GAP: return trace_say_gap(c, p, f);
    case SUBSCRIPTION_ENDED: return take_end(c, p, f);
    case SUBSCRIPTION_IMAGE:
    case SUBSCRIPTION_MERGED: /* of bytes there are none */
    case SUBSCRIPTION_NOTHING: break;
    }
    return rest(c, p, f);
}

static int next_item(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;
    int result = watch_pulse_wants_checkpoint(&r->pulse) ? seal(c, p, f) : 0;

    while (result == 0) {
        result = subscription_next(r->subscription, &r->item, f);
        if (result == 0) {
            result = take_item(c, p, f);
        }
    }
    return result;
}
_Static_assert(HANDLER_DONE == 0, "an item of which nothing is to be said is not the end");

/* Of the message that was sent. */
static void drop_shared(struct trace_read *r)
{
    shared_bytes_unref(r->shared);
    r->shared = NULL;
}

static int read_next(struct call *c, struct pool *p, struct failure *f)
{
    struct trace_read *r = c->state;

    drop_shared(r);
    watch_pulse_look(&r->pulse);
    trace_leases_reads(r->lease); /* what was said before is with the kernel */
    if (r->over) {
        *f = r->failure;
        return f->code != 0 ? -f->code : HANDLER_DONE;
    }
    int result = next_item(c, p, f);

    return result < 0 ? fail(c, p, f) : result;
}

/* --- when it is ended --------------------------------------------------------------------------- */

static int read_leave(struct call *c, struct pool *p, const struct failure *why)
{
    static const struct failure nothing;
    struct trace_read *r = c->state;
    enum watch_end end = watch_end_of_leaving(why->code);
    struct failure f = { 0 };

    drop_shared(r);
    if (r->over || !r->begun) {
        r->end = r->over ? r->end : end;
        return HANDLER_DONE;
    }
    return trace_say_end(c, p, end, &nothing, why, &f);
}

const struct handler trace_service_read_trace = { .prepare = read_prepare,
                                                  .ask = read_ask,
                                                  .outlives_domain = true,
                                                  .take = read_take,
                                                  .start = read_start,
                                                  .next = read_next,
                                                  .leave = read_leave,
                                                  .stop = read_stop };
