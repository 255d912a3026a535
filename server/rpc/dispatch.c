/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Everything that is common to all methods, in this order: decode, prepare, quota, resolve, decide,
 * ask, take, start. The handler of the method is called by it, and decides nothing of this.
 *
 * Functions that return true have answered the exchange; after false it is not theirs any more.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/rpc/audited.h"
#include "server/rpc/call_pauses.h"
#include "server/rpc/admission.h"
#include "server/rpc/method.h"
#include "server/rpc/renewal.h"
#include "server/rpc/state.h"

static bool ask(struct exchange *x);

static void take_policy(struct exchange *x)
{
    struct rpc *rpc = x->rpc;

    policy_unref(x->call.policy);
    pthread_mutex_lock(&rpc->lock);
    x->call.policy = policy_ref(rpc->policy);
    x->rules_number = atomic_load(&rpc->rules_number);
    pthread_mutex_unlock(&rpc->lock);
    policy_rules_of(x->call.policy, x->call.who, &x->call.rules);
    x->call.about.is_known = false;
}

/* A request asks twice about a domain, at least: may he see it, and may he do that? Comparing it with his
 * rules is most of an answer, and done once. */
static const struct policy_rules *rules_about(struct call *c, const struct domain_identity *domain)
{
    if (!c->about.is_known || !domain_identity_equal(&c->about.domain, domain)) {
        c->about.domain = *domain;
        policy_rules_about(c->policy, &c->rules, domain, &c->about.rules);
        c->about.is_known = true;
    }
    return &c->about.rules;
}

/* Is any action allowed? The one that is asked about is looked at first. */
static bool allows_any(const struct policy *policy, struct policy_question q)
{
    if (policy_decide(policy, &q).allowed) {
        return true;
    }
    for (int other = 0; other < ACTION_COUNT; other++) {
        q.action = (enum action)other;
        if (policy_decide(policy, &q).allowed) {
            return true;
        }
    }
    return false;
}

bool dispatch_shows(const struct policy *policy, const struct identity *who, enum action action,
                    const struct domain_identity *domain)
{
    return allows_any(policy, (struct policy_question){
                                  .who = who, .domain = domain, .type = -1, .action = action });
}

static bool is_visible(void *arg, const struct domain_identity *domain)
{
    struct call *c = arg;

    return allows_any(c->policy, (struct policy_question){ .who = c->who,
                                                           .rules = rules_about(c, domain),
                                                           .domain = domain,
                                                           .type = -1,
                                                           .action = c->method->action });
}

/* The rule that decided is for the operator, never for the caller: it would tell what is there. */
static int authorise_action(struct exchange *x, enum action action)
{
    struct call *c = &x->call;
    const struct domain_identity *domain = c->domain != NULL ? &c->identity : NULL;
    const struct policy_question q = {
        .who = c->who,
        .rules = domain != NULL ? rules_about(c, domain) : &c->rules,
        .domain = domain,
        .type = c->type,
        .action = action,
    };
    struct policy_verdict verdict = policy_decide(c->policy, &q);
    struct failure *f = &x->failure;

    if (action == c->method->action) {
        x->verdict = verdict;
    }
    if (verdict.allowed || c->method->open) {
        return 0;
    }
    log_debug("denied %s to %s from %s: rule %s", action_name(q.action), c->who->text,
              x->head.peer_address, verdict.rule != NULL ? verdict.rule : "(none)");
    audited_denial(x, action, &verdict);
    const char *type = c->type >= 0 ? resource_type_name((uint32_t)c->type) : "any resource";
    int result = failure_set(
        f, ERROR_PERMISSION_DENIED, "%s is not allowed on %s of %s%s", action_name(q.action), type,
        c->domain != NULL ? "domain " : "any domain", c->domain != NULL ? c->domain : "");

    failure_cause(f, result, "no rule of the gateway's policy gives it to %s", c->who->text);
    return failure_next(f, result, "ask the operator of the gateway for a rule that does");
}

static int authorise(struct exchange *x)
{
    int result = authorise_action(x, x->call.method->action);

    return result == 0 && x->call.also_decode ? authorise_action(x, ACTION_DECODE) : result;
}

int dispatch_judge(struct exchange *x)
{
    take_policy(x);
    return authorise(x);
}

static int check_incarnation(struct exchange *x)
{
    const struct call *c = &x->call;
    uint8_t wanted[sizeof(c->identity.incarnation)];
    struct failure *f = &x->failure;

    if (c->incarnation[0] == '\0') {
        return 0;
    }
    int result = call_read_incarnation(c, wanted, f);

    if (result != 0 || memcmp(wanted, c->identity.incarnation, sizeof(wanted)) == 0) {
        return result;
    }
    result =
        failure_set(f, ERROR_ABORTED, "domain %s is not in the incarnation asked for", c->domain);

    failure_cause(f, result, "it was restarted, or the gateway lost sight of it for a while");
    return failure_next(f, result, "ask without one, and see whether it is the domain meant");
}

static bool is_late(struct exchange *x)
{
    if (clock_monotonic_ns() < x->deadline_ns) {
        return false;
    }
    failure_set(&x->failure, ERROR_DEADLINE_EXCEEDED, "the request's time was over at its start");
    failure_next(&x->failure, 0, "allow more time");
    return true;
}

static enum quota_call quota_kind(const struct exchange *x)
{
    return x->call.method->cost == METHOD_COST_COPY ? QUOTA_CALL_SNAPSHOT : QUOTA_CALL_PLAIN;
}

static int take_quota(struct exchange *x, uint64_t bytes)
{
    int result = quota_take(x->rpc->options.quota, x->call.who, quota_kind(x), bytes, &x->failure);

    x->quota_taken = result == 0;
    x->quota_bytes = bytes;
    return result;
}

static void give_quota(struct exchange *x)
{
    if (x->quota_taken) {
        quota_give(x->rpc->options.quota, x->call.who, quota_kind(x), x->quota_bytes);
        x->quota_taken = false;
    }
}

bool call_finds_life(struct call *c, const struct domain_identity *life,
                     struct domain_identity *now)
{
    return resolver_finds_life(exchange_of(c)->rpc->resolver, life, now);
}

int call_hold(struct call *c, uint64_t bytes, struct failure *f)
{
    struct exchange *x = exchange_of(c);
    struct quota *quota = x->rpc->options.quota;

    if (bytes > x->held_bytes) {
        int result = quota_hold(quota, c->who, bytes - x->held_bytes, f);

        if (result != 0) {
            return result;
        }
    } else {
        quota_release(quota, c->who, x->held_bytes - bytes);
    }
    x->held_bytes = bytes;
    return 0;
}

/* The slot turned out larger than was known before: "all frames", status frames. */
static int charge_slot(struct exchange *x)
{
    size_t len_bytes = 0;

    if (x->call.slot != NULL) {
        assert(x->call.method->cost == METHOD_COST_COPY);
        (void)mapper_slot_bytes(x->call.slot, &len_bytes);
    }
    if (len_bytes <= x->quota_bytes) {
        return 0;
    }
    give_quota(x);
    return take_quota(x, len_bytes);
}

static void drop_slot(struct exchange *x)
{
    mapper_slot_unref(x->call.slot);
    x->call.slot = NULL;
}

int dispatch_accept(struct exchange *x, const struct domain_entry *domain)
{
    x->call.identity = domain->identity;
    x->call.max_vcpus = domain->max_vcpus;
    int result = dispatch_judge(x);

    return result == 0 ? check_incarnation(x) : result;
}

void dispatch_done(struct exchange *x)
{
    streams_remove(&x->rpc->streams, &x->entry);
    renewal_end(x);
    if (x->started) {
        x->started = false;
        x->call.method->handler->stop(&x->call);
    }
    audited_stream_end(x);
    drop_slot(x);
    give_quota(x);
    (void)call_hold(&x->call, 0, NULL); /* less never fails */
    call_pauses_end(&x->call);
}

/* The handler looks for what is left of a domain that is no more. That costs the mapper something: who may do
 * it nowhere is told at once what all are told of what is not there; and it is done once. */
static bool goes_on_without(struct exchange *x)
{
    struct call *c = &x->call;

    if (x->resolving.result != -ERROR_NOT_FOUND || !c->method->handler->outlives_domain ||
        !call_allows(c, NULL, c->type, c->method->action)) {
        return false;
    }
    x->retried = true;
    x->failure.code = 0;
    c->is_absent = true;
    c->identity = (struct domain_identity){ .domid = 0 };
    return true;
}

/* The domain is known, or it is not: goes on to the mapper. */
static bool resolved(struct exchange *x)
{
    struct call *c = &x->call;
    struct resolver_request *q = &x->resolving;
    bool other = x->retried && !domain_identity_equal(&c->identity, &q->domain.identity);

    if (goes_on_without(x)) {
        return ask(x);
    }
    if (q->result != 0) {
        x->failure = q->failure;
        if (q->result == -ERROR_NOT_FOUND) {
            audited_unseen(x);
        }
        return true;
    }
    if (x->retry_if_other && !other) {
        return true; /* what the mapper said of it stands */
    }
    x->failure.code = 0;
    if (q->only_list) {
        return ask(x);
    }
    c->identity = q->domain.identity;
    c->max_vcpus = q->domain.max_vcpus;
    return authorise(x) != 0 || check_incarnation(x) != 0 || ask(x);
}

static void ready(struct exchange *x)
{
    x->on_ready(x->on_ready_arg);
}

static void on_resolved(void *arg)
{
    struct exchange *x = arg;

    if (resolved(x)) {
        ready(x);
    }
}

static bool resolve(struct exchange *x, bool anew)
{
    struct resolver_request *q = &x->resolving;

    q->filter = (struct domain_filter){ .visible = is_visible, .arg = &x->call };
    q->deadline_ns = x->deadline_ns;
    q->anew = anew;
    q->only_list = x->call.domain == NULL;
    q->done = on_resolved;
    q->arg = x;
    return resolver_start(x->rpc->resolver, q) && resolved(x);
}

/* The mapper knows a domain otherwise than we resolved it: once more, from a list made after this.
 * Of what Xen did not find (an ioreq server, a vCPU) only where the domain itself is another. */
bool dispatch_may_retry(struct exchange *x, const struct failure *f)
{
    if (x->call.domain == NULL || x->retried) {
        return false;
    }
    x->retry_if_other = f->code == ERROR_NOT_FOUND;
    return f->code == ERROR_ABORTED || (f->code == ERROR_NOT_FOUND && f->xen_errno != ENOENT);
}

static bool failed(struct exchange *x, const struct failure *f)
{
    struct call *c = &x->call;

    if (c->answer_optional) {
        c->answer_failure = *f;
        return true;
    }
    x->failure = *f;
    if (!dispatch_may_retry(x, f)) {
        return true;
    }
    x->retried = true;
    /* From its beginning: what was learnt of the domain before it changed is worth nothing. */
    if (c->method->handler->prepare(c, &x->failure) != 0) {
        return true;
    }
    return resolve(x, true);
}

static void on_deadline(void *arg)
{
    struct exchange *x = arg;

    atomic_store(&x->late, true);
    exchange_urge(&x->call);
}

/* What the mapper has to say is said. A stream lasts as long as its client allows. */
static bool start(struct exchange *x)
{
    struct call *c = &x->call;
    const struct handler *handler = c->method->handler;
    bool is_stream = c->method->kind == METHOD_STREAM;
    int next = HANDLER_DONE;

    wait_look(&c->wait);
    if (handler->start != NULL) {
        next = handler->start(c, &x->failure);
        x->started = next >= 0 && handler->stop != NULL;
    }
    if (next < 0) {
        return true;
    }
    if (c->method->cost == METHOD_COST_WATCH) {
        give_quota(x); /* it is a subscriber from now on */
    }
    if (is_stream ? x->connect.timeout_ms > 0 : next == HANDLER_WAIT) {
        timer_arm(x->rpc->timers, &x->timer,
                  is_stream ? x->head.received_ns + x->connect.timeout_ms * CLOCK_NS_PER_MS
                            : x->deadline_ns,
                  on_deadline, x);
    }
    return next != HANDLER_WAIT || !wait_begin(&c->wait);
}

static bool answered(struct exchange *x, const struct mapper_result *result)
{
    struct call *c = &x->call;
    const struct handler *handler = c->method->handler;

    if (result->failure != NULL) {
        return failed(x, result->failure);
    }
    assert(c->slot == NULL);
    int next = (handler->take != NULL ? handler->take : call_keep)(c, result->answer, result->slot,
                                                                   &x->failure);

    if (next == HANDLER_ASK_AGAIN) {
        return ask(x);
    }
    if (next < 0) {
        const struct failure f = x->failure;

        return failed(x, &f);
    }
    return charge_slot(x) != 0 || start(x);
}

static void let_go(void *arg)
{
    struct rpc *rpc = arg;
    struct exchange_queue all = STAILQ_HEAD_INITIALIZER(all);
    struct exchange *x;

    audited_gathered(rpc);
    STAILQ_CONCAT(&all, &rpc->gathered); /* with the last of them rpc may go */
    while ((x = STAILQ_FIRST(&all)) != NULL) {
        STAILQ_REMOVE_HEAD(&all, gathered);
        ready(x);
    }
}

/* Its answer waits until those that have come with it have their records, too. */
static void hold_back(struct exchange *x)
{
    struct rpc *rpc = x->rpc;

    if (STAILQ_EMPTY(&rpc->gathered)) {
        mapper_client_at_rest(rpc->options.mapper, let_go, rpc);
    }
    STAILQ_INSERT_TAIL(&rpc->gathered, x, gathered);
}

static void on_answer(void *arg, const struct mapper_result *result)
{
    struct exchange *x = arg;

    if (answered(x, result)) {
        if (audited_gather(x)) {
            hold_back(x);
        } else {
            ready(x);
        }
    }
}

static bool ask(struct exchange *x)
{
    struct call *c = &x->call;
    uint64_t deadline_ns = x->deadline_ns;
    struct failure f = { 0 };

    if (c->method->handler->ask == NULL || c->answer != NULL) {
        return start(x);
    }
    union message m __attribute__((uninitialized)); /* 27 KiB, of which requests are a few */

    if (c->answer_within_ms > 0) {
        uint64_t within_ns = clock_monotonic_ns() + c->answer_within_ms * CLOCK_NS_PER_MS;

        deadline_ns = within_ns < deadline_ns ? within_ns : deadline_ns;
    }
    memset(&m, 0, sizeof(struct message_trace_start)); /* the largest request */
    c->method->handler->ask(c, &m);
    int result;

    if (m.head.type == MESSAGE_SNAPSHOT) {
        x->copying =
            (struct copies_request){ .done = on_answer, .arg = x, .deadline_ns = deadline_ns };
        result = copies_ask(x->rpc->copies, &m.snapshot, &x->copying, &f);
    } else {
        result = mapper_client_call(x->rpc->options.mapper, &m, deadline_ns, on_answer, x, &f);
    }
    return result != 0 && failed(x, &f);
}

/* What the call will hold of the arena, before it is begun: what is known of it, a frame at least,
 * and no more than one slot can have. */
static uint64_t arena_bytes(const struct exchange *x)
{
    uint64_t bytes = x->call.arena_bytes > 0 ? x->call.arena_bytes : MESSAGE_FRAME_BYTES;
    struct message_hello_answer hello;

    if (x->call.method->cost != METHOD_COST_COPY ||
        !mapper_client_hello(x->rpc->options.mapper, &hello)) {
        return 0;
    }
    return bytes < hello.slot_max_bytes ? bytes : hello.slot_max_bytes;
}

bool dispatch_run(struct exchange *x)
{
    struct call *c = &x->call;

    take_policy(x);
    c->mapper = x->rpc->options.mapper;
    c->feeds = x->rpc->options.feeds;
    c->trace_leases = x->rpc->trace_leases;
    c->watch_meter = &x->rpc->watch_meter;
    c->heartbeat_ns = x->rpc->options.heartbeat_ms * CLOCK_NS_PER_MS;
    c->seal = x->rpc->options.seal;
    c->machine_uuid = x->rpc->options.machine_uuid;
    c->boot_uuid = x->rpc->options.boot_uuid;
    c->timers = x->rpc->timers;
    c->host_memo = x->rpc->host_memo;
    if (c->method->cost == METHOD_COST_WATCH) {
        quota_share_of(x->rpc->options.quota, c->who, &c->share);
    }
    if (admission_begin(x) != 0 || audited_check(x) != 0 || request_decode(x) != 0 ||
        c->method->handler->prepare(c, &x->failure) != 0 || is_late(x) ||
        take_quota(x, arena_bytes(x)) != 0) {
        return true;
    }
    if (c->domain == NULL) {
        return authorise(x) != 0 ||
               (c->method->handler->needs_domains ? resolve(x, false) : ask(x));
    }
    int result = domain_spelling_parse(c->domain, &x->resolving.spelling, &x->failure);

    if (result != 0) {
        failure_field(&x->failure, result, "domain");
        return true;
    }
    return resolve(x, false);
}
