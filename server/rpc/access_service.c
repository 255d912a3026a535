/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * AccessService: who the caller is, and what it may do. Never by which rule: that would tell what else
 * there is. What is not to be seen is resolved by dispatch as what is not there.
 */
#include "xenres/v1/access.pb-c.h"

#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "server/rpc/present.h"
#include "server/rpc/services.h"
#include "server/rpc/snapshot.h"
#include "server/rpc/state.h"

/* --- who -------------------------------------------------------------------------------------------- */

static Xenres__V1__CallerKind kind_of(const char *identity)
{
    static const struct {
        const char *prefix;
        Xenres__V1__CallerKind kind;
    } kinds[] = {
        { "spiffe:", XENRES__V1__CALLER_KIND__CALLER_KIND_SPIFFE },
        { "dns:", XENRES__V1__CALLER_KIND__CALLER_KIND_DNS },
        { "cn:", XENRES__V1__CALLER_KIND__CALLER_KIND_COMMON_NAME },
        { "jwt:", XENRES__V1__CALLER_KIND__CALLER_KIND_JWT },
        { "token:", XENRES__V1__CALLER_KIND__CALLER_KIND_TOKEN },
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strncmp(identity, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) {
            return kinds[i].kind;
        }
    }
    return XENRES__V1__CALLER_KIND__CALLER_KIND_UNSPECIFIED;
}

static void say_groups(struct pool *p, const struct identity *who, Xenres__V1__Caller *m)
{
    const char *end = who->groups + sizeof(who->groups);

    /* Each has a byte and its NUL. */
    m->groups = pool_array(p, sizeof(who->groups) / 2, sizeof(*m->groups));
    for (const char *group = who->groups; m->groups != NULL && group < end && group[0] != '\0';
         group += strlen(group) + 1) {
        m->groups[m->n_groups++] = present_text(p, group);
    }
}

static Xenres__V1__Caller *say_caller(struct pool *p, const struct identity *who)
{
    static const uint8_t none[sizeof(who->fingerprint)];
    Xenres__V1__Caller *m = PRESENT_NEW(p, Xenres__V1__Caller, xenres__v1__caller);
    char hex[2 * sizeof(who->fingerprint) + 1] = "";

    if (m == NULL) {
        return NULL;
    }
    if (memcmp(who->fingerprint, none, sizeof(none)) != 0) {
        text_from_hex(who->fingerprint, sizeof(who->fingerprint), hex);
    }
    m->identity = pool_string(p, who->text);
    m->kind = kind_of(who->text);
    m->not_after = present_time(p, (uint64_t)who->not_after_s * CLOCK_NS_PER_S);
    m->is_bound = who->is_bound;
    m->token_id = present_text(p, who->token_id);
    m->certificate_sha256 = pool_string(p, hex);
    if (who->groups[0] != '\0') {
        say_groups(p, who, m);
    }
    return m;
}

enum { BYTES_A_MIB = 1 << 20 };

/* Those that count: the gateway's for each, or the policy's for this one, where they are smaller. */
static Xenres__V1__CallerLimits *say_limits(struct call *c)
{
    Xenres__V1__CallerLimits *m =
        PRESENT_NEW(&c->pool, Xenres__V1__CallerLimits, xenres__v1__caller_limits);
    struct quota_share share;

    quota_share_of(exchange_of(c)->rpc->options.quota, c->who, &share);
    if (m != NULL) {
        m->requests_per_second = share.requests_per_second;
        m->bytes_per_second = share.bytes_per_second;
        m->snapshots = share.snapshots;
        m->streams = share.streams;
        m->spool_mib = (uint32_t)(share.spool_bytes / BYTES_A_MIB);
        m->pauses_per_second = share.pauses_per_second;
    }
    return m;
}

static int who_prepare(struct call *c, struct failure *f)
{
    (void)f;
    c->type = -1;
    return 0;
}

static int who_respond(struct call *c, struct failure *f)
{
    Xenres__V1__WhoAmIResponse *m =
        PRESENT_NEW(&c->pool, Xenres__V1__WhoAmIResponse, xenres__v1__who_am_iresponse);

    if (m == NULL) {
        return call_no_memory(f);
    }
    m->caller = say_caller(&c->pool, c->who);
    m->limits = say_limits(c);
    c->response = &m->base;
    return 0;
}

const struct handler access_service_who_am_i = { .prepare = who_prepare, .respond = who_respond };

/* --- may it ----------------------------------------------------------------------------------------- */

static const struct {
    Xenres__V1__Action asked;
    enum action action;
} actions[] = {
    { XENRES__V1__ACTION__ACTION_LIST, ACTION_LIST },
    { XENRES__V1__ACTION__ACTION_SNAPSHOT, ACTION_SNAPSHOT },
    { XENRES__V1__ACTION__ACTION_WATCH, ACTION_WATCH },
    { XENRES__V1__ACTION__ACTION_DECODE, ACTION_DECODE },
    { XENRES__V1__ACTION__ACTION_TRACE_READ, ACTION_TRACE_READ },
    { XENRES__V1__ACTION__ACTION_TRACE_CONTROL, ACTION_TRACE_CONTROL },
    { XENRES__V1__ACTION__ACTION_ADMIN, ACTION_ADMIN },
};
_Static_assert(sizeof(actions) / sizeof(actions[0]) == ACTION_COUNT, "all");

struct question {
    int type; /* -1: any */
    enum action action;
};

static int read_action(Xenres__V1__Action asked, enum action *out, struct failure *f)
{
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        if (actions[i].asked == asked) {
            *out = actions[i].action;
            return 0;
        }
    }
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "there is no action %d", (int)asked);

    failure_field(f, result, "action");
    return failure_next(f, result, "use one of enum Action in proto/xenres/v1/access.proto");
}

static int explain_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__ExplainAccessRequest *r = (const void *)c->request;
    struct question *q = pool_alloc(&c->pool, sizeof(*q));
    bool has_type = r->type != XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_UNSPECIFIED;

    if (q == NULL) {
        return call_no_memory(f);
    }
    c->state = q;
    c->domain = r->domain;
    c->incarnation = "";
    c->type = q->type = has_type ? present_to_resource_type(r->type) : -1;
    if (has_type && q->type < 0) {
        return snapshot_bad_type((int32_t)r->type, f);
    }
    return read_action(r->action, &q->action, f);
}

static int explain_respond(struct call *c, struct failure *f)
{
    Xenres__V1__ExplainAccessResponse *m = PRESENT_NEW(&c->pool, Xenres__V1__ExplainAccessResponse,
                                                       xenres__v1__explain_access_response);
    const struct question *q = c->state;

    if (m == NULL) {
        return call_no_memory(f);
    }
    m->domain = present_identity(&c->pool, &c->identity);
    m->allowed = call_allows(c, &c->identity, q->type, q->action);
    c->response = &m->base;
    return 0;
}

const struct handler access_service_explain_access = { .prepare = explain_prepare,
                                                       .respond = explain_respond };
