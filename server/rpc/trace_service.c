/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* TraceService, first half: traces are started, stopped, renewed, and looked at. */
#include "xenres/v1/trace.pb-c.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "server/rpc/audited.h"
#include "server/rpc/call_pauses.h"
#include "server/rpc/present_trace.h"
#include "server/rpc/services.h"
#include "server/rpc/trace_choice.h"
#include "server/rpc/trace_owners.h"

enum { VCPUS_A_WORD = 64 };
_Static_assert((int)MESSAGE_OWNER_BYTES >= (int)IDENTITY_TEXT_BYTES, "each identity can own one");

/* Who did what to whose trace: to be found in the log and the audit, whatever came of it later. */
static int note_control(struct call *c, const char *done, const struct message_trace *t,
                        struct failure *f)
{
    char id[HEX128_TEXT_BYTES];

    text_from_hex(t->trace_id, sizeof(t->trace_id), id);
    log_info("%s from %s %s trace %s of domain %u (%s)", c->who->text, c->head->peer_address, done,
             id, (unsigned)t->domain.domid, t->domain.name);
    return audited_control(c, done, t, f);
}

static int read_lease(const Google__Protobuf__Duration *lease, uint32_t *out, struct failure *f)
{
    const int64_t most_s = UINT32_MAX / 1000 - 1;

    if (lease == NULL) {
        *out = 0;
        return 0;
    }
    if (lease->seconds >= 0 && lease->seconds <= most_s && lease->nanos >= 0 &&
        lease->nanos < (int32_t)CLOCK_NS_PER_S) {
        uint64_t ns = (uint64_t)lease->seconds * CLOCK_NS_PER_S + (uint64_t)lease->nanos;

        *out = (uint32_t)((ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS);
        return 0;
    }
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "lease is no duration that can be");

    failure_field(f, result, "lease");
    return failure_next(f, result, "leave it out for the gateway's own");
}

static int single(struct call *c, const ProtobufCMessage *m, struct failure *f)
{
    c->response = m;
    return m != NULL ? 0 : call_no_memory(f);
}

/* --- started ------------------------------------------------------------------------------------ */

struct start {
    uint64_t vcpus[2];
    uint32_t flags, lease_ms, pauses_per_second;
    /* Where there is a limit on pauses, the mapper is asked first for what runs already. */
    bool is_limited;
    uint32_t share; /* the caller's; 0: none */
    enum { START_NEW, START_LISTING, START_ADMITTED } step;
    uint32_t next_domid;
    struct quota_running running; /* pauses a second that traces may make */
    struct failure refused;
};

static int read_vcpus(const Xenres__V1__StartTraceRequest *r, struct start *s, struct failure *f)
{
    for (size_t i = 0; i < r->n_vcpus; i++) {
        uint32_t vcpu = r->vcpus[i];

        if (vcpu >= MESSAGE_TRACED_VCPUS_MAX) {
            int result = failure_set(f, ERROR_INVALID_ARGUMENT, "there is no vCPU %u", vcpu);

            failure_field(f, result, "vcpus");
            failure_cause(f, result, "domains that can be traced have at most %d",
                          (int)MESSAGE_TRACED_VCPUS_MAX);
            return failure_next(f, result, "leave vcpus out for all");
        }
        s->vcpus[vcpu / VCPUS_A_WORD] |= UINT64_C(1) << vcpu % VCPUS_A_WORD;
    }
    return 0;
}

static int start_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__StartTraceRequest *r = (const void *)c->request;
    struct start *s = pool_alloc(&c->pool, sizeof(*s));

    if (s == NULL) {
        return call_no_memory(f);
    }
    c->state = s;
    trace_choice_of_domain(c, r->domain, r->incarnation);
    s->is_limited = call_pauses_are_limited(c);
    s->share = call_pauses_share(c);
    s->pauses_per_second = r->pauses_per_second;
    s->flags = (r->os ? TRACE_OS : 0) | (r->user ? TRACE_USER : 0) |
               (r->no_tsc ? TRACE_NO_TSC : 0) | (r->no_retc ? TRACE_NO_RETC : 0) |
               (r->takeover ? TRACE_TAKEOVER : 0);
    int result = read_vcpus(r, s, f);

    return result == 0 ? read_lease(r->lease, &s->lease_ms, f) : result;
}

/* --- whether its vCPUs may be paused so often --- */

static uint32_t vcpu_count(const struct call *c, const struct start *s)
{
    int asked = __builtin_popcountll(s->vcpus[0]) + __builtin_popcountll(s->vcpus[1]);

    return asked > 0 ? (uint32_t)asked : c->max_vcpus;
}

/* Of each vCPU. Who asks for nothing gets what the gateway is set up for, and no more than his share has for
 * all of them: the same each time, so that he may join the trace that he started. */
static uint32_t choose_budget(const struct call *c, struct start *s, uint32_t vcpus)
{
    struct message_hello_answer hello = { 0 };

    (void)mapper_client_hello(c->mapper, &hello);
    if (s->pauses_per_second > 0) {
        return s->pauses_per_second < hello.pauses_per_second ? s->pauses_per_second
                                                              : hello.pauses_per_second;
    }
    uint32_t most = vcpus > 0 && s->share >= vcpus ? s->share / vcpus : 1;

    if (s->share == 0 || most >= hello.trace_pauses_per_second) {
        return hello.trace_pauses_per_second; /* as it is left to the mapper */
    }
    s->pauses_per_second = most;
    return most;
}

/* What is wrong is told when the mapper has answered: this cannot fail. */
static void begin_listing(struct call *c, struct start *s)
{
    uint32_t vcpus = vcpu_count(c, s);
    uint64_t pauses = (uint64_t)choose_budget(c, s, vcpus) * vcpus;

    s->step = START_LISTING;
    (void)call_pauses_begin(c, pauses < UINT32_MAX ? (uint32_t)pauses : UINT32_MAX, &s->refused);
}

static void start_ask(struct call *c, union message *m)
{
    struct start *s = c->state;
    struct message_trace_start *t = &m->trace_start;

    if (s->is_limited && s->step == START_NEW) {
        begin_listing(c, s);
    }
    if (s->step == START_LISTING) {
        m->head.type = MESSAGE_TRACES;
        m->traces.first_domid = s->next_domid;
        return;
    }
    m->head.type = MESSAGE_TRACE_START;
    t->domain = c->identity;
    memcpy(t->vcpus, s->vcpus, sizeof(t->vcpus));
    t->flags = s->flags;
    t->pauses_per_second = s->pauses_per_second;
    t->lease_ms = s->lease_ms;
    t->deadline_ns = c->deadline_ns;
    memcpy(t->owner, c->who->text, strnlen(c->who->text, sizeof(t->owner) - 1));
}

/* The domain's own is joined, or taken over, or in the way: whatever comes of it, it is not one more. */
static void add_running(const struct call *c, struct start *s,
                        const struct message_traces_answer *a)
{
    for (uint32_t i = 0; i < a->trace_count; i++) {
        const struct message_trace *t = &a->traces[i];

        s->next_domid = t->domain.domid + 1U;
        uint64_t pauses = (uint64_t)t->pauses_per_second * t->vcpu_count;

        if (t->end_reason == 0 && memcmp(t->domain.incarnation, c->identity.incarnation,
                                         sizeof(t->domain.incarnation)) != 0) {
            s->running.all += pauses;
            s->running.own += strcmp(t->owner, c->who->text) == 0 ? pauses : 0;
        }
    }
}

static int start_take(struct call *c, const union message *answer, struct mapper_slot *slot,
                      struct failure *f)
{
    struct start *s = c->state;

    if (s->step != START_LISTING) {
        return call_keep(c, answer, slot, f);
    }
    if (s->refused.code != 0) {
        *f = s->refused;
        return -f->code;
    }
    add_running(c, s, &answer->traces_answer);
    if (answer->traces_answer.more != 0) {
        return HANDLER_ASK_AGAIN;
    }
    int next = call_pauses_judge(c, &s->running, f);

    s->step = next == HANDLER_DONE ? START_ADMITTED : START_LISTING;
    s->next_domid = 0;
    s->running = (struct quota_running){ 0 };
    return next < 0 ? next : HANDLER_ASK_AGAIN;
}

static int start_respond(struct call *c, struct failure *f)
{
    const struct message_trace_answer *a = &c->answer->trace_answer;
    const struct start *s = c->state;
    Xenres__V1__StartTraceResponse *m =
        PRESENT_NEW(&c->pool, Xenres__V1__StartTraceResponse, xenres__v1__start_trace_response);

    const char *done = a->joined != 0                     ? "joined"
                       : (s->flags & TRACE_TAKEOVER) != 0 ? "started (taking over)"
                                                          : "started";
    int result = note_control(c, done, &a->trace, f);

    if (result != 0) {
        return result;
    }
    trace_owners_note(exchange_of(c)->rpc->trace_owners, exchange_of(c), &a->trace);
    if (m != NULL) {
        m->trace = present_trace(&c->pool, &a->trace);
        m->joined = a->joined != 0;
    }
    return single(c, m != NULL ? &m->base : NULL, f);
}

const struct handler trace_service_start_trace = {
    .prepare = start_prepare, .ask = start_ask, .take = start_take, .respond = start_respond
};

/* --- stopped, renewed --------------------------------------------------------------------------- */

/* First it is found out which trace that is, and whose. */
struct control {
    struct trace_choice choice;
    bool is_renewal;
    uint32_t lease_ms;
    bool is_found, was_over;
    struct message_trace trace;
};

static struct control *control_new(struct call *c, const char *domain, const char *incarnation)
{
    struct control *k = pool_alloc(&c->pool, sizeof(*k));

    c->state = k;
    trace_choice_of_domain(c, domain, incarnation);
    return k;
}

static int stop_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__StopTraceRequest *r = (const void *)c->request;
    struct control *k = control_new(c, r->domain, r->incarnation);

    return k != NULL ? trace_choice_read(&k->choice, r->trace_id, f) : call_no_memory(f);
}

static int renew_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__RenewTraceRequest *r = (const void *)c->request;
    struct control *k = control_new(c, r->domain, r->incarnation);

    if (k == NULL) {
        return call_no_memory(f);
    }
    k->is_renewal = true;
    int result = trace_choice_read(&k->choice, r->trace_id, f);

    return result == 0 ? read_lease(r->lease, &k->lease_ms, f) : result;
}

static void control_ask(struct call *c, union message *m)
{
    const struct control *k = c->state;

    if (!k->is_found) {
        trace_choice_ask(c, &k->choice, m);
    } else if (k->is_renewal) {
        m->head.type = MESSAGE_TRACE_RENEW;
        memcpy(m->trace_renew.trace_id, k->trace.trace_id, sizeof(k->trace.trace_id));
        m->trace_renew.lease_ms = k->lease_ms;
    } else {
        m->head.type = MESSAGE_TRACE_STOP;
        memcpy(m->trace_stop.trace_id, k->trace.trace_id, sizeof(k->trace.trace_id));
        m->trace_stop.deadline_ns = c->deadline_ns;
    }
}

/* What somebody has begun he may rely on: others do not end it, but for who may do everything. */
static int check_owner(const struct call *c, const struct message_trace *t, struct failure *f)
{
    if (strcmp(t->owner, c->who->text) == 0 ||
        call_allows(c, &c->identity, RESOURCE_VMTRACE_BUF, ACTION_ADMIN)) {
        return 0;
    }
    int result =
        failure_set(f, ERROR_PERMISSION_DENIED, "the trace of domain %s is another's", c->domain);

    failure_cause(f, result, "who started it, and who may administrate, can stop and renew it");
    return failure_next(f, result, "ask its owner, or take it over by starting with takeover");
}

static int is_over(const struct call *c, struct failure *f)
{
    int result =
        failure_set(f, ERROR_FAILED_PRECONDITION, "the trace of domain %s is over", c->domain);

    failure_cause(f, result, "it ended, and what it has can still be read for a while");
    return failure_next(f, result, "start another");
}

static int control_take(struct call *c, const union message *answer, struct mapper_slot *slot,
                        struct failure *f)
{
    struct control *k = c->state;
    const struct message_trace *t = NULL;

    (void)slot;
    if (k->is_found) {
        k->trace = answer->trace_answer.trace;
        return HANDLER_DONE;
    }
    int result = trace_choice_take(c, &k->choice, &answer->traces_answer, ERROR_NOT_FOUND, &t, f);

    if (result == 0) {
        result = check_owner(c, t, f);
    }
    if (result != 0) {
        return result;
    }
    k->trace = *t;
    k->is_found = true;
    k->was_over = t->end_reason != 0;
    if (!k->was_over) {
        return HANDLER_ASK_AGAIN;
    }
    return k->is_renewal ? is_over(c, f) : HANDLER_DONE; /* what is over has been stopped */
}

static int stop_respond(struct call *c, struct failure *f)
{
    const struct control *k = c->state;
    Xenres__V1__StopTraceResponse *m =
        PRESENT_NEW(&c->pool, Xenres__V1__StopTraceResponse, xenres__v1__stop_trace_response);

    int result = k->was_over ? 0 : note_control(c, "stopped", &k->trace, f);

    if (result != 0) {
        return result;
    }
    if (m != NULL) {
        m->trace = present_trace(&c->pool, &k->trace);
    }
    return single(c, m != NULL ? &m->base : NULL, f);
}

static int renew_respond(struct call *c, struct failure *f)
{
    const struct control *k = c->state;
    Xenres__V1__RenewTraceResponse *m =
        PRESENT_NEW(&c->pool, Xenres__V1__RenewTraceResponse, xenres__v1__renew_trace_response);
    int result = audited_control(c, "renewed", &k->trace, f);

    if (result != 0) {
        return result;
    }
    trace_owners_note(exchange_of(c)->rpc->trace_owners, exchange_of(c), &k->trace);
    if (m != NULL) {
        m->trace = present_trace(&c->pool, &k->trace);
    }
    return single(c, m != NULL ? &m->base : NULL, f);
}

const struct handler trace_service_stop_trace = {
    .prepare = stop_prepare, .ask = control_ask, .take = control_take, .respond = stop_respond
};
const struct handler trace_service_renew_trace = {
    .prepare = renew_prepare, .ask = control_ask, .take = control_take, .respond = renew_respond
};

/* --- looked at ---------------------------------------------------------------------------------- */

struct look {
    struct trace_choice choice;
    bool is_found;
    struct message_trace trace;
    struct message_trace_vcpu vcpus[MESSAGE_TRACED_VCPUS_MAX];
    uint32_t vcpu_count, next_vcpu;
};

static int get_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__GetTraceRequest *r = (const void *)c->request;
    struct look *l = pool_alloc(&c->pool, sizeof(*l));

    c->state = l;
    trace_choice_of_domain(c, r->domain, r->incarnation);
    return l != NULL ? 0 : call_no_memory(f);
}

static void get_ask(struct call *c, union message *m)
{
    const struct look *l = c->state;

    if (!l->is_found) {
        trace_choice_ask(c, &l->choice, m);
        return;
    }
    m->head.type = MESSAGE_TRACE_VCPUS;
    memcpy(m->trace_vcpus.trace_id, l->trace.trace_id, sizeof(l->trace.trace_id));
    m->trace_vcpus.first_vcpu = l->next_vcpu;
}

static int get_take(struct call *c, const union message *answer, struct mapper_slot *slot,
                    struct failure *f)
{
    struct look *l = c->state;
    const struct message_trace *t = NULL;

    (void)slot;
    if (!l->is_found) {
        int result =
            trace_choice_take(c, &l->choice, &answer->traces_answer, ERROR_NOT_FOUND, &t, f);

        if (result != 0) {
            return result;
        }
        l->trace = *t;
        l->is_found = true;
        return HANDLER_ASK_AGAIN;
    }
    const struct message_trace_vcpus_answer *a = &answer->trace_vcpus_answer;

    /* Ascending, below the maximum, and from the first one asked for on: they have room. */
    for (uint32_t i = 0; i < a->vcpu_count; i++) {
        l->vcpus[l->vcpu_count++] = a->vcpus[i];
        l->next_vcpu = a->vcpus[i].vcpu + 1;
    }
    return a->more != 0 ? HANDLER_ASK_AGAIN : HANDLER_DONE;
}

static int get_respond(struct call *c, struct failure *f)
{
    const struct look *l = c->state;
    struct pool *p = &c->pool;
    Xenres__V1__GetTraceResponse *m =
        PRESENT_NEW(p, Xenres__V1__GetTraceResponse, xenres__v1__get_trace_response);
    Xenres__V1__TraceVcpu **vcpus = pool_array(p, l->vcpu_count, sizeof(*vcpus));

    if (m == NULL || vcpus == NULL) {
        return call_no_memory(f);
    }
    for (uint32_t i = 0; i < l->vcpu_count; i++) {
        vcpus[i] = present_trace_vcpu(p, &l->vcpus[i]);
    }
    m->trace = present_trace(p, &l->trace);
    m->vcpus = vcpus;
    m->n_vcpus = l->vcpu_count;
    return single(c, &m->base, f);
}

const struct handler trace_service_get_trace = { .prepare = get_prepare,
                                                 .ask = get_ask,
                                                 .outlives_domain = true,
                                                 .take = get_take,
                                                 .respond = get_respond };
