/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/audited.h"

#include "common/clock.h"
#include "common/text.h"
#include "server/rpc/method.h"

static struct audit *audit_of(const struct exchange *x)
{
    return x->rpc->options.audit;
}

/* What every record of an exchange has. */
static struct audit_record record_of(const struct exchange *x, enum audit_event event)
{
    const struct call *c = &x->call;
    bool is_resolved = c->domain != NULL && c->identity.incarnation[0] != 0;

    for (size_t i = 1; !is_resolved && i < sizeof(c->identity.incarnation); i++) {
        is_resolved = c->domain != NULL && c->identity.incarnation[i] != 0;
    }
    return (struct audit_record){
        .event = event,
        .who = c->who,
        .peer = x->head.peer_address,
        .domain = is_resolved ? &c->identity : NULL,
        .named = c->domain,
        .type = c->type >= 0 ? resource_type_name((uint32_t)c->type) : NULL,
        .has_id = c->has_id,
        .id = c->id,
        .action = c->method != NULL && !c->method->open ? action_name(c->method->action) : NULL,
    };
}

/* Of what was allowed. */
static struct audit_record allowed_record_of(const struct exchange *x, enum audit_event event)
{
    struct audit_record r = record_of(x, event);

    r.rule = x->verdict.rule;
    r.line = x->verdict.line;
    return r;
}

int audited_check(struct exchange *x)
{
    return audit_check(audit_of(x), &x->failure);
}

void audited_denial(const struct exchange *x, enum action action, const struct policy_verdict *v)
{
    struct audit_record r = record_of(x, AUDIT_DENIED);

    r.action = action_name(action);
    r.rule = v->rule;
    r.line = v->line;
    r.outcome = ERROR_PERMISSION_DENIED;
    (void)audit_write(audit_of(x), &r, NULL);
}

void audited_unseen(const struct exchange *x)
{
    struct audit_record r = record_of(x, AUDIT_DENIED);

    r.domain = NULL;
    r.outcome = ERROR_NOT_FOUND;
    (void)audit_write(audit_of(x), &r, NULL);
}

static struct audit_record snapshot_record_of(const struct exchange *x, uint64_t bytes)
{
    struct audit_record r = allowed_record_of(x, AUDIT_SNAPSHOT);

    r.has_bytes = true;
    r.bytes = bytes;
    return r;
}

bool audited_gather(struct exchange *x)
{
    struct rpc *rpc = x->rpc;
    size_t len_bytes;

    /* Of messages it is not known yet how long they are. */
    if (audit_of(x) == NULL || x->failure.code != 0 || x->call.method->kind != METHOD_RAW ||
        x->call.method->cost != METHOD_COST_COPY || x->call.slot == NULL) {
        return false;
    }
    (void)mapper_slot_bytes(x->call.slot, &len_bytes);
    const struct audit_record r = snapshot_record_of(x, len_bytes);
    uint64_t wall_ns = clock_wall_ns();

    if (!audit_batch_add(&rpc->batch, &r, wall_ns)) {
        audited_gathered(rpc);
        (void)audit_batch_add(&rpc->batch, &r, wall_ns); /* now it has room */
    }
    return true;
}

void audited_gathered(struct rpc *rpc)
{
    struct audit_receipt receipt;
    struct exchange *x;

    audit_write_batch(rpc->options.audit, &rpc->batch, &receipt);
    audit_batch_clear(&rpc->batch);
    STAILQ_FOREACH(x, &rpc->gathered, gathered)
    {
        if (!x->has_receipt) {
            x->receipt = receipt;
            x->has_receipt = true;
        }
    }
}

int audited_answer(struct exchange *x, uint64_t bytes)
{
    if (audit_of(x) == NULL || x->call.method->cost != METHOD_COST_COPY) {
        return 0;
    }
    if (x->has_receipt) {
        return audit_settle(audit_of(x), &x->receipt, &x->failure);
    }
    const struct audit_record r = snapshot_record_of(x, bytes);

    return audit_write(audit_of(x), &r, &x->failure);
}

int audited_stream(struct exchange *x)
{
    size_t len_bytes = 0;

    if (audit_of(x) == NULL) {
        return 0;
    }
    if (x->call.method->cost == METHOD_COST_COPY) { /* one copy, in pieces */
        (void)mapper_slot_bytes(x->call.slot, &len_bytes);
        return audited_answer(x, len_bytes);
    }
    if (x->call.method->handler->leave == NULL) {
        return 0;
    }
    struct audit_record r = allowed_record_of(x, AUDIT_STREAM_OPENED);
    int result = audit_write(audit_of(x), &r, &x->failure);

    x->is_audited = result == 0;
    return result;
}

void audited_stream_end(struct exchange *x)
{
    if (!x->is_audited) {
        return;
    }
    struct audit_record r = record_of(x, AUDIT_STREAM_ENDED);

    x->is_audited = false;
    r.reason = x->call.end;
    r.outcome = x->failure.code;
    r.has_counts = true;
    r.messages = x->messages;
    r.bytes = x->streamed_bytes;
    r.lost = x->call.lost;
    (void)audit_write(audit_of(x), &r, NULL);
}

void audited_revoked(const struct exchange *x, const char *why, const char *detail)
{
    struct audit_record r = record_of(x, AUDIT_REVOKED);

    r.outcome = ERROR_PERMISSION_DENIED;
    r.reason = why;
    r.detail = detail;
    (void)audit_write(audit_of(x), &r, NULL);
}

int audited_control(struct call *c, const char *done, const struct message_trace *t,
                    struct failure *f)
{
    const struct exchange *x = exchange_of(c);
    struct audit_record r = allowed_record_of(x, AUDIT_TRACE_CONTROL);
    char id[HEX128_TEXT_BYTES];

    if (audit_of(x) == NULL) {
        return 0;
    }
    text_from_hex(t->trace_id, sizeof(t->trace_id), id);
    r.reason = done;
    r.detail = id;
    return audit_write(audit_of(x), &r, f);
}

void audited_failure(const struct exchange *x)
{
    bool is_limit = x->failure.code == ERROR_RESOURCE_EXHAUSTED;

    if (audit_of(x) == NULL || (!is_limit && x->failure.code != ERROR_UNAUTHENTICATED)) {
        return;
    }
    struct audit_record r = record_of(x, is_limit ? AUDIT_LIMIT : AUDIT_AUTHENTICATION_FAILED);

    r.outcome = x->failure.code;
    r.reason = is_limit ? NULL : x->refused;
    r.detail = x->failure.message;
    (void)audit_write(audit_of(x), &r, NULL);
}
