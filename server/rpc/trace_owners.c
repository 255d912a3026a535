/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/trace_owners.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "server/rpc/shown.h"

enum { LIST_WITHIN_MS = 5000 }; /* else it is tried again */

struct trace_owner {
    LIST_ENTRY(trace_owner) link;
    uint8_t trace_id[16];
    struct shown *shown; /* NULL: it is not known */
    unsigned seen;       /* in which look; or noted since then */
    bool has_to_end;     /* as it was told last */
};

struct trace_owners {
    struct mapper_client *mapper;
    struct trace_leases *leases;
    struct audit *audit;
    pthread_mutex_t lock; /* of all that follows */
    LIST_HEAD(, trace_owner) list;
    unsigned count;
    bool is_due, is_looking;
    /* Of the look that is under way: */
    unsigned number;
    bool some_have_to_end;
    struct policy *policy; /* counted */
    struct access *access; /* counted; NULL: everybody is let in */
};

int trace_owners_new(struct mapper_client *mapper, struct trace_leases *leases, struct audit *audit,
                     struct trace_owners **out, struct failure *f)
{
    struct trace_owners *o = calloc(1, sizeof(*o));

    if (o == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the owners of traces");
    }
    o->mapper = mapper;
    o->leases = leases;
    o->audit = audit;
    o->is_due = true; /* for those of before */
    (void)pthread_mutex_init(&o->lock, NULL);
    LIST_INIT(&o->list);
    *out = o;
    return 0;
}

/* --- the notes, with the lock --------------------------------------------------------------------------- */

static struct trace_owner *find(struct trace_owners *o, const uint8_t trace_id[16])
{
    struct trace_owner *owner;

    LIST_FOREACH(owner, &o->list, link)
    {
        if (memcmp(owner->trace_id, trace_id, sizeof(owner->trace_id)) == 0) {
            return owner;
        }
    }
    return NULL;
}

/* Found, or made. NULL: no room, or no memory. */
static struct trace_owner *get(struct trace_owners *o, const uint8_t trace_id[16])
{
    struct trace_owner *owner = find(o, trace_id);

    if (owner == NULL && o->count < TRACE_OWNERS_MAX) {
        owner = calloc(1, sizeof(*owner));
        if (owner != NULL) {
            memcpy(owner->trace_id, trace_id, sizeof(owner->trace_id));
            LIST_INSERT_HEAD(&o->list, owner, link);
            o->count++;
        }
    }
    if (owner != NULL) {
        owner->seen = o->number;
    }
    return owner;
}

static void drop(struct trace_owners *o, struct trace_owner *owner)
{
    LIST_REMOVE(owner, link);
    o->count--;
    shown_free(owner->shown);
    free(owner);
}

static void drop_those_that_are_over(struct trace_owners *o)
{
    struct trace_owner *owner = LIST_FIRST(&o->list);

    while (owner != NULL) {
        struct trace_owner *next = LIST_NEXT(owner, link);

        if (owner->seen != o->number) {
            drop(o, owner);
        }
        owner = next;
    }
}

void trace_owners_free(struct trace_owners *o)
{
    if (o == NULL) {
        return;
    }
    assert(!o->is_looking);
    while (!LIST_EMPTY(&o->list)) {
        drop(o, LIST_FIRST(&o->list));
    }
    (void)pthread_mutex_destroy(&o->lock);
    free(o);
}

void trace_owners_note(struct trace_owners *o, const struct exchange *x,
                       const struct message_trace *trace)
{
    if (strcmp(trace->owner, x->call.who->text) != 0) {
        return;
    }
    struct shown *shown = shown_new(x), *old = shown;

    (void)pthread_mutex_lock(&o->lock);
    struct trace_owner *owner = get(o, trace->trace_id);

    if (owner != NULL && shown != NULL) {
        old = owner->shown;
        owner->shown = shown;
    }
    o->is_due = true; /* the rules that let him in may be others by now */
    (void)pthread_mutex_unlock(&o->lock);
    shown_free(old);
}

/* --- judging -------------------------------------------------------------------------------------------- */

static int judge_name(const struct trace_owners *o, const struct message_trace *t,
                      struct failure *f)
{
    struct identity who = { .not_after_s = INT64_MAX };

    memcpy(who.text, t->owner, strnlen(t->owner, sizeof(who.text) - 1));
    return o->access != NULL ? access_still(o->access, &who, 0, NULL, f) : 0;
}

static int judge_shown(const struct trace_owners *o, const struct shown *shown,
                       const struct message_trace *t, struct failure *f)
{
    const struct policy_question q = { .who = shown_who(shown),
                                       .domain = &t->domain,
                                       .type = RESOURCE_VMTRACE_BUF,
                                       .action = ACTION_TRACE_CONTROL };
    int64_t now_s = (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S);
    int result = o->access != NULL ? shown_still(shown, o->access, now_s, f) : 0;

    if (result == 0 && !policy_decide(o->policy, &q).allowed) {
        result = failure_set(f, ERROR_PERMISSION_DENIED, "no rule lets him control it any more");
    }
    return result;
}

static void tell(const struct trace_owners *o, const struct message_trace *t, int result,
                 const struct failure *why)
{
    struct identity who = { .not_after_s = INT64_MAX };
    char id[HEX128_TEXT_BYTES];

    text_from_hex(t->trace_id, sizeof(t->trace_id), id);
    memcpy(who.text, t->owner, strnlen(t->owner, sizeof(who.text) - 1));
    log_info("trace %s of domain %u (%s) ends when nobody else reads it, as %s may not have it any "
             "more: %s",
             id, (unsigned)t->domain.domid, t->domain.name, who.text, why->message);
    (void)audit_write(o->audit,
                      &(struct audit_record){ .event = AUDIT_TRACE_CONTROL,
                                              .who = &who,
                                              .domain = &t->domain,
                                              .type = resource_type_name(RESOURCE_VMTRACE_BUF),
                                              .reason = "withdrawn",
                                              .detail = id,
                                              .outcome = (enum error_code) - result },
                      NULL);
}

/* With the lock: does it have to end? */
static bool judge(struct trace_owners *o, const struct message_trace *t)
{
    struct trace_owner *owner = get(o, t->trace_id);
    struct failure why = { 0 };
    int result = owner != NULL && owner->shown != NULL ? judge_shown(o, owner->shown, t, &why)
                                                       : judge_name(o, t, &why);
    bool has_to_end = result != 0;

    if (has_to_end && (owner == NULL || !owner->has_to_end)) {
        tell(o, t, result, &why);
    }
    if (owner != NULL) {
        owner->has_to_end = has_to_end;
    }
    o->some_have_to_end |= has_to_end;
    return has_to_end;
}

/* --- a look --------------------------------------------------------------------------------------------- */

static void finish(struct trace_owners *o, bool is_whole)
{
    (void)pthread_mutex_lock(&o->lock);
    struct policy *policy = o->policy;
    struct access *access = o->access;

    if (is_whole) {
        drop_those_that_are_over(o);
    }
    o->is_looking = false;
    o->is_due |= !is_whole || o->some_have_to_end;
    o->policy = NULL;
    o->access = NULL;
    (void)pthread_mutex_unlock(&o->lock);
    policy_unref(policy);
    access_unref(access);
}

static void on_list(void *arg, const struct mapper_result *result);

static void ask(struct trace_owners *o, uint32_t first_domid)
{
    uint64_t deadline_ns = clock_monotonic_ns() + LIST_WITHIN_MS * CLOCK_NS_PER_MS;
    union message m __attribute__((uninitialized)); /* of which this is little */
    struct failure f = { 0 };

    memset(&m.traces, 0, sizeof(m.traces));
    m.head.type = MESSAGE_TRACES;
    m.traces.first_domid = first_domid;
    if (mapper_client_call(o->mapper, &m, deadline_ns, on_list, o, &f) != 0) {
        finish(o, false);
    }
}

/* On the mapper client's thread. */
static void on_list(void *arg, const struct mapper_result *result)
{
    struct trace_owners *o = arg;
    bool has_to_end[MESSAGE_TRACES_MAX] = { false };

    if (result->failure != NULL) {
        finish(o, false);
        return;
    }
    const struct message_traces_answer *a = &result->answer->traces_answer;

    (void)pthread_mutex_lock(&o->lock);
    for (uint32_t i = 0; i < a->trace_count; i++) {
        has_to_end[i] = a->traces[i].end_reason == 0 && judge(o, &a->traces[i]);
    }
    (void)pthread_mutex_unlock(&o->lock);
    for (uint32_t i = 0; i < a->trace_count; i++) {
        if (a->traces[i].end_reason == 0) {
            trace_leases_forsake(o->leases, a->traces[i].trace_id, has_to_end[i]);
        }
    }
    if (a->more != 0 && a->trace_count > 0) {
        ask(o, a->traces[a->trace_count - 1].domain.domid + 1U);
    } else {
        finish(o, true);
    }
}

void trace_owners_rules_changed(struct trace_owners *o)
{
    (void)pthread_mutex_lock(&o->lock);
    o->is_due = true;
    (void)pthread_mutex_unlock(&o->lock);
}

void trace_owners_look(struct trace_owners *o, struct policy *policy, struct access *access)
{
    (void)pthread_mutex_lock(&o->lock);
    bool begins = o->is_due && !o->is_looking;

    if (begins) {
        o->is_due = false;
        o->is_looking = true;
        o->some_have_to_end = false;
        o->number++;
        o->policy = policy_ref(policy);
        o->access = access != NULL ? access_ref(access) : NULL;
    }
    (void)pthread_mutex_unlock(&o->lock);
    if (begins) {
        ask(o, 0);
    }
}
