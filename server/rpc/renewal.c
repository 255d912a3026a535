/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/renewal.h"

#include <stdlib.h>
#include <string.h>

#include "common/scope.h"
#include "server/rpc/method.h"
#include "server/rpc/state.h"

struct renewal {
    atomic_uint refs;
    /* What the resolver looks at. */
    struct resolver_request request;
    char *domain; /* the spelling's text */
    struct policy *policy;
    struct identity who;
    enum action action;

    pthread_mutex_t lock; /* of what follows */
    struct call *call;    /* who waits; NULL: it is gone */
    bool is_answered;     /* the request is the stream's again */
};

static void unref(struct renewal *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    policy_unref(r->policy);
    pthread_mutex_destroy(&r->lock);
    free(r->domain);
    free(r);
}

static bool is_visible(void *arg, const struct domain_identity *domain)
{
    const struct renewal *r = arg;

    return dispatch_shows(r->policy, &r->who, r->action, domain);
}

static void on_resolved(void *arg)
{
    struct renewal *r = arg;

    pthread_mutex_lock(&r->lock);
    r->is_answered = true;
    if (r->call != NULL) {
        call_wake(r->call);
    }
    pthread_mutex_unlock(&r->lock);
    unref(r);
}

static struct renewal *new_renewal(struct exchange *x)
{
    struct renewal *r = calloc(1, sizeof(*r));
    char *domain = strdup(x->call.domain);

    if (r == NULL || domain == NULL) {
        free(r);
        free(domain);
        return NULL;
    }
    atomic_init(&r->refs, 1);
    pthread_mutex_init(&r->lock, NULL);
    r->domain = domain;
    r->policy = policy_ref(x->call.policy);
    r->who = *x->call.who;
    r->action = x->call.method->action;
    r->call = &x->call;
    r->request = (struct resolver_request){
        .filter = { .visible = is_visible, .arg = r },
        .deadline_ns = x->deadline_ns,
        .anew = true,
        .done = on_resolved,
        .arg = r,
    };
    return r;
}

bool renewal_begin(struct exchange *x)
{
    if (x->streamed_bytes > 0 || x->call.method->handler->renew == NULL ||
        !dispatch_may_retry(x, &x->failure)) {
        return false;
    }
    struct renewal *r = new_renewal(x);

    if (r == NULL) {
        return false;
    }
    if (domain_spelling_parse(r->domain, &r->request.spelling, NULL) != 0) {
        unref(r);
        return false;
    }
    x->retried = true;
    x->renewal = r;
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    if (resolver_start(x->rpc->resolver, &r->request)) {
        on_resolved(r);
    }
    return true;
}

/* It was looked for by the policy of when that began: by the one in force the caller may not see it. */
static int take_domain(struct exchange *x, const struct domain_entry *domain)
{
    struct call *c = &x->call;
    int result = dispatch_accept(x, domain);

    if (result != -ERROR_PERMISSION_DENIED ||
        dispatch_shows(c->policy, c->who, c->method->action, &c->identity)) {
        return result;
    }
    return domain_list_none(c->domain, &x->failure);
}

/* The domain that was found. */
static int take(struct exchange *x, const struct resolver_request *q)
{
    struct call *c = &x->call;

    if (q->result != 0) {
        x->failure = q->failure;
        return q->result;
    }
    if (x->retry_if_other && domain_identity_equal(&c->identity, &q->domain.identity)) {
        return -x->failure.code; /* what the mapper said of it stands */
    }
    x->failure.code = 0;
    int result = take_domain(x, &q->domain);

    return result == 0 ? c->method->handler->renew(c, &x->failure) : result;
}

int renewal_step(struct exchange *x)
{
    struct renewal *r = x->renewal;

    pthread_mutex_lock(&r->lock);
    bool is_answered = r->is_answered;

    pthread_mutex_unlock(&r->lock);
    if (!is_answered) {
        return HANDLER_WAIT;
    }
    int result = take(x, &r->request);

    renewal_end(x);
    return result;
}

void renewal_end(struct exchange *x)
{
    struct renewal *r = scope_take_pointer(x->renewal);

    if (r == NULL) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    r->call = NULL;
    pthread_mutex_unlock(&r->lock);
    unref(r);
}
