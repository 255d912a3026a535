/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See trace_request.h. */
#include "server/mapper/trace_request.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/mapper/claim.h"
#include "server/mapper/peer.h"
#include "server/mapper/trace.h"
#include "server/mapper/trace_can.h"

struct pending {
    bool is_used;
    bool is_stop;
    bool joined;         /* START: another one has begun it */
    struct trace *trace; /* NULL: START, and the one before has yet to end */
    uint64_t serial, deadline_ns;
    struct message_trace_start start;
};

struct trace_requests {
    struct pending pending[TRACE_PENDING_MAX];
};

int trace_requests_new(struct trace_requests **out, struct failure *f)
{
    struct trace_requests *r = calloc(1, sizeof(*r));
    if (!r) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for requests of traces");
    }
    *out = r;
    return 0;
}

void trace_requests_free(struct trace_requests *r)
{
    free(r);
}

static struct pending *free_place(struct trace_requests *r, struct failure *f)
{
    for (uint32_t i = 0; i < TRACE_PENDING_MAX; i++) {
        if (!r->pending[i].is_used) {
            return &r->pending[i];
        }
    }
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                             "%d traces are beginning or ending already", TRACE_PENDING_MAX);
    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    failure_next(f, result, "ask again in a moment");
    return NULL;
}

static int check_deadline(uint64_t deadline_ns, struct failure *f)
{
    if (deadline_ns != 0 && clock_monotonic_ns() > deadline_ns) {
        int result =
            failure_set(f, ERROR_DEADLINE_EXCEEDED, "the deadline passed before it was begun");
        return failure_next(f, result, "ask again, with more time");
    }
    return 0;
}

/* --- answers ------------------------------------------------------------------------------------ */

static void tell(const struct trace *trace, uint16_t type, uint64_t serial, bool joined,
                 union message *out)
{
    memset(&out->trace_answer, 0, sizeof(out->trace_answer));
    message_init(out, type | MESSAGE_ANSWER, serial);
    out->trace_answer.joined = joined;
    trace_tell(trace, clock_monotonic_ns(), &out->trace_answer.trace);
}

/* The request is answered, and holds the trace no longer. */
static void settle(struct mapper *m, struct pending *p, const struct failure *why)
{
    if (why) {
        peer_send_failure(m->peer, p->serial, why);
    } else {
        union message out __attribute__((uninitialized)); /* 15 KiB, of which this is little */
        tell(p->trace, p->is_stop ? MESSAGE_TRACE_STOP : MESSAGE_TRACE_START, p->serial, p->joined,
             &out);
        peer_send(m->peer, &out, NULL, 0);
    }
    if (p->trace) {
        p->trace->waiting--;
    }
    p->is_used = false;
}

/* --- START -------------------------------------------------------------------------------------- */

static int in_use(const struct trace *trace, const char *owner, struct failure *f)
{
    bool is_own = strcmp(trace->about.owner, owner) == 0;
    char shown[128];
    text_escape(shown, sizeof(shown), trace->about.owner, TEXT_UTF8);
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "domain %u is being traced %s%s%s",
                             trace->about.domain.domid, is_own ? "already" : "by ",
                             is_own ? "" : shown, is_own ? ", with other options" : "");
    failure_cause(f, result, "there is one trace of a domain at once");
    return failure_next(f, result, "stop that one first, or take it over: --takeover");
}

/* Another trace of the domain is there. */
static int join_or_wait(struct mapper *m, struct pending *p, struct trace *other,
                        const struct trace_wanted *wanted, struct failure *f)
{
    if (other->stage == TRACE_ENDS) {
        return 0;
    }
    if (trace_is_same(m->traces, other, wanted)) {
        trace_renew(other, wanted->lease_ms, clock_monotonic_ns());
        p->joined = true;
        p->trace = other;
        other->waiting++;
        return 0;
    }
    if (!(wanted->flags & TRACE_TAKEOVER)) {
        return in_use(other, wanted->owner, f);
    }
    bool is_own = strcmp(other->about.owner, wanted->owner) == 0;
    trace_end(other, m->feeds, is_own ? FEED_END_STOPPED_BY_CALLER : FEED_END_TAKEN_OVER);
    return 0;
}

/* Begins or joins the trace; or leaves p->trace NULL: it has to wait. */
static int start(struct mapper *m, struct pending *p, struct failure *f)
{
    const struct message_trace_start *r = &p->start;
    const struct directory_entry *e;
    int result = claim_check(m, &r->domain, &e, f);
    if (result < 0) {
        return result;
    }
    const struct backend_domain domain = e->domain;
    struct trace_wanted wanted = { .identity = &r->domain,
                                   .domain = &domain,
                                   .owner = r->owner,
                                   .vcpus = { r->vcpus[0], r->vcpus[1] },
                                   .flags = r->flags,
                                   .pauses_per_second = r->pauses_per_second,
                                   .lease_ms = r->lease_ms };
    result = trace_can_vcpus(&domain, wanted.vcpus, f);
    if (result < 0) {
        return result;
    }
    struct trace *other = trace_of_incarnation(m->traces, r->domain.incarnation);
    if (other) {
        return join_or_wait(m, p, other, &wanted, f);
    }
    other = trace_of_domain(m->traces, r->domain.domid, r->domain.uuid);
    if (other) { /* of a life before: its vCPUs are the same */
        trace_end(other, m->feeds, FEED_END_INCARNATION);
        return 0;
    }
    result = trace_can(m->ops, m->backend, &domain, &wanted.buffer_bytes, f);
    if (result < 0) {
        return result;
    }
    m->ops->trace_facts(m->backend, domain.domid, &wanted.facts);
    result = trace_begin(m->traces, m->feeds, &wanted, &p->trace, f);
    if (result == 0) {
        p->trace->waiting++;
    }
    return result;
}

int trace_request_start(struct mapper *m, const struct message_trace_start *request,
                        struct failure *f)
{
    int result = check_deadline(request->deadline_ns, f);
    if (result == 0) {
        result = claim_allowed(m, &request->domain, RESOURCE_VMTRACE_BUF, EXPORT_TRACE_CONTROL, f);
    }
    if (result < 0) {
        return result;
    }
    struct pending *p = free_place(m->trace_requests, f);
    if (!p) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    *p = (struct pending){ .serial = request->head.serial,
                           .deadline_ns = request->deadline_ns ? request->deadline_ns : UINT64_MAX,
                           .start = *request };
    result = start(m, p, f);
    p->is_used = result == 0;
    return result;
}

/* One that nobody was told of, nor waits for, ends: nobody would stop it before its lease does. */
static void end_untold(struct mapper *m, struct trace *trace)
{
    if (trace && !trace->has_begun && trace->waiting == 0) {
        trace_end(trace, m->feeds, FEED_END_STOPPED_BY_CALLER);
    }
}

static void late(struct mapper *m, struct pending *p)
{
    struct failure f;
    failure_set(&f, ERROR_DEADLINE_EXCEEDED, "the deadline passed before the trace had %s",
                p->is_stop ? "ended" : "begun");
    failure_next(&f, -ERROR_DEADLINE_EXCEEDED,
                 p->is_stop ? "it ends all the same: see the list of traces"
                            : "ask again, with more time; where pauses are scarce, raise the"
                              " mapper's --pauses-per-second");
    struct trace *trace = p->trace;
    settle(m, p, &f);
    end_untold(m, trace);
}

/* What it waited for has ended, or somebody else was faster. */
static bool has_to_wait(struct mapper *m, const struct pending *p)
{
    const struct domain_identity *d = &p->start.domain;
    const struct trace *other = trace_of_incarnation(m->traces, d->incarnation);
    other = other ? other : trace_of_domain(m->traces, d->domid, d->uuid);
    return other && other->stage == TRACE_ENDS;
}

static void step_start(struct mapper *m, struct pending *p, uint64_t now_ns)
{
    struct failure f = { 0 };
    if (!p->trace && !has_to_wait(m, p) && start(m, p, &f) < 0) {
        settle(m, p, &f);
    } else if (p->trace && p->trace->has_begun) {
        settle(m, p, NULL);
    } else if (p->trace && p->trace->stage == TRACE_IS_OVER) {
        settle(m, p, &p->trace->about.failure);
    } else if (now_ns > p->deadline_ns) {
        late(m, p);
    }
}

/* --- the others --------------------------------------------------------------------------------- */

/* One that has begun: of another nobody was told. */
static struct trace *find(struct mapper *m, const uint8_t trace_id[16], struct failure *f)
{
    struct trace *trace = trace_named(m->traces, trace_id);
    if (trace && trace->has_begun) {
        return trace;
    }
    int result = failure_set(f, ERROR_NOT_FOUND, "there is no trace of that id");
    failure_cause(f, result, "it never began, or ended and is no longer held");
    failure_next(f, result, "see the list of traces");
    return NULL;
}

static bool may_be_seen(const struct mapper *m, const struct trace *trace)
{
    const struct domain_identity *d = &trace->about.domain;
    return export_allows(m->export, d, RESOURCE_VMTRACE_BUF, EXPORT_LIST) &&
           (export_allows(m->export, d, RESOURCE_VMTRACE_BUF, EXPORT_TRACE_READ) ||
            export_allows(m->export, d, RESOURCE_VMTRACE_BUF, EXPORT_TRACE_CONTROL));
}

static int find_controlled(struct mapper *m, const uint8_t trace_id[16], struct trace **out,
                           struct failure *f)
{
    *out = find(m, trace_id, f);
    return *out ? claim_allowed(m, &(*out)->about.domain, RESOURCE_VMTRACE_BUF,
                                EXPORT_TRACE_CONTROL, f)
                : -ERROR_NOT_FOUND;
}

int trace_request_stop(struct mapper *m, const struct message_trace_stop *request,
                       struct failure *f)
{
    struct trace *trace;
    int result = check_deadline(request->deadline_ns, f);
    if (result == 0) {
        result = find_controlled(m, request->trace_id, &trace, f);
    }
    if (result < 0) {
        return result;
    }
    struct pending *p = free_place(m->trace_requests, f);
    if (!p) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    *p =
        (struct pending){ .is_used = true,
                          .is_stop = true,
                          .trace = trace,
                          .serial = request->head.serial,
                          .deadline_ns = request->deadline_ns ? request->deadline_ns : UINT64_MAX };
    trace->waiting++;
    trace_end(trace, m->feeds, FEED_END_STOPPED_BY_CALLER);
    return 0;
}

int trace_request_renew(struct mapper *m, const struct message_trace_renew *request,
                        union message *out, struct failure *f)
{
    struct trace *trace;
    int result = find_controlled(m, request->trace_id, &trace, f);
    if (result < 0) {
        return result;
    }
    if (trace->stage != TRACE_RUNS) {
        result = failure_set(f, ERROR_FAILED_PRECONDITION, "the trace of domain %u has ended",
                             trace->about.domain.domid);
        return failure_next(f, result, "read what is left of it, and start another");
    }
    trace_renew(trace, request->lease_ms, clock_monotonic_ns());
    tell(trace, MESSAGE_TRACE_RENEW, request->head.serial, false, out);
    return 0;
}

/* How many of them are of the domain of the first. */
static uint32_t run_length(struct trace *const *traces, uint32_t count)
{
    uint32_t n = 1;
    while (n < count && traces[n]->about.domain.domid == traces[0]->about.domain.domid) {
        n++;
    }
    return n;
}

void trace_request_list(struct mapper *m, const struct message_traces *request, union message *out)
{
    struct message_traces_answer *a = &out->traces_answer;
    struct message_traces r = *request;
    struct trace *all[2 * TRACE_MAX], *seen[2 * TRACE_MAX];
    uint32_t count = trace_all(m->traces, all), seen_count = 0;
    uint64_t now_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < count; i++) {
        uint32_t domid = all[i]->about.domain.domid;
        bool is_asked_for = r.one ? domid == r.first_domid : domid >= r.first_domid;
        if (is_asked_for && may_be_seen(m, all[i])) {
            seen[seen_count++] = all[i];
        }
    }
    memset(a, 0, sizeof(*a));
    message_init(out, MESSAGE_TRACES | MESSAGE_ANSWER, r.head.serial);
    /* Those of one domain are not torn apart: who asks on does so behind it. */
    for (uint32_t i = 0; i < seen_count;) {
        uint32_t run = run_length(&seen[i], seen_count - i);
        uint32_t told = run < MESSAGE_TRACES_MAX ? run : MESSAGE_TRACES_MAX;
        if (a->trace_count + told > MESSAGE_TRACES_MAX) {
            a->more = 1;
            break;
        }
        for (uint32_t k = 0; k < told; k++) {
            trace_tell(seen[i + k], now_ns, &a->traces[a->trace_count++]);
        }
        i += run;
    }
}

int trace_request_vcpus(struct mapper *m, const struct message_trace_vcpus *request,
                        union message *out, struct failure *f)
{
    struct message_trace_vcpus_answer *a = &out->trace_vcpus_answer;
    struct message_trace_vcpus r = *request;
    struct trace *trace = find(m, r.trace_id, f);
    if (!trace) {
        return -ERROR_NOT_FOUND;
    }
    if (!may_be_seen(m, trace)) {
        return export_refusal(&trace->about.domain, RESOURCE_VMTRACE_BUF, EXPORT_TRACE_READ, f);
    }
    memset(a, 0, sizeof(*a));
    message_init(out, MESSAGE_TRACE_VCPUS | MESSAGE_ANSWER, r.head.serial);
    for (uint32_t i = 0; i < trace->feed_count; i++) {
        struct source_trace_figures figures;
        feed_trace_figures(m->feeds, trace->feeds[i], &figures);
        if (figures.vcpu.vcpu < r.first_vcpu) {
            continue;
        }
        if (a->vcpu_count == MESSAGE_TRACE_VCPUS_MAX) {
            a->more = 1;
            break;
        }
        a->vcpus[a->vcpu_count++] = figures.vcpu;
    }
    return 0;
}

/* --- the loop's turn ---------------------------------------------------------------------------- */

void trace_request_step(struct mapper *m)
{
    uint64_t now_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < TRACE_PENDING_MAX; i++) {
        struct pending *p = &m->trace_requests->pending[i];
        if (p->is_used && !p->is_stop) {
            step_start(m, p, now_ns);
        } else if (p->is_used && p->trace->stage == TRACE_IS_OVER) {
            settle(m, p, NULL);
        } else if (p->is_used && now_ns > p->deadline_ns) {
            late(m, p);
        }
    }
}

uint64_t trace_request_deadline_ns(const struct trace_requests *r)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < TRACE_PENDING_MAX; i++) {
        const struct pending *p = &r->pending[i];
        first = p->is_used && p->deadline_ns < first ? p->deadline_ns : first;
    }
    return first;
}

void trace_request_abandon(struct mapper *m)
{
    for (uint32_t i = 0; i < TRACE_PENDING_MAX; i++) {
        struct pending *p = &m->trace_requests->pending[i];
        if (p->is_used && p->trace) {
            p->trace->waiting--;
            end_untold(m, p->trace);
        }
        p->is_used = false;
    }
}
