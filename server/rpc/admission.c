/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/admission.h"

#include "common/clock.h"
#include "common/log.h"
#include "server/rpc/audited.h"
#include "server/rpc/bearer.h"

static int64_t now_s(void)
{
    return (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S);
}

void admission_take(struct exchange *x)
{
    struct rpc *rpc = x->rpc;

    access_unref(x->access);
    pthread_mutex_lock(&rpc->lock);
    x->access = rpc->access != NULL ? access_ref(rpc->access) : NULL;
    x->access_number = atomic_load(&rpc->rules_number);
    pthread_mutex_unlock(&rpc->lock);
}

static int expired(struct failure *f)
{
    int result = failure_set(f, ERROR_UNAUTHENTICATED, "what was shown to the gateway has expired");

    return failure_next(f, result, "connect with a certificate or token that is valid");
}

static int revoked(struct failure *f, enum error_code code)
{
    int result = failure_set(f, code, "what was shown to the gateway is not accepted any more");

    failure_cause(f, result, "it was revoked, or nobody can say any more whether it was");
    return failure_next(f, result, "ask the operator of the gateway for access");
}

/* What is not accepted any more, for the operator and the audit; NULL: all is. */
static const char *find_fault(const struct exchange *x, enum identity_fault *fault,
                              struct failure *said)
{
    *fault = IDENTITY_OK;
    if (x->access == NULL) {
        return NULL;
    }
    if (access_still(x->access, x->call.who, now_s(), fault, said) != 0) {
        return *fault == IDENTITY_EXPIRED ? "expired" : "deny_list";
    }
    bool is_taken_by_others = x->bearer != NULL && x->bearer->access_number != x->access_number;

    return is_taken_by_others && access_token_still(x->access, &x->bearer->token, said) != 0
               ? "token"
               : NULL;
}

/* 0, or why not: what the operator reads stays here. Of an open stream the audit is told that it was revoked:
 * what was not begun yet is told as all that fails for nobody known. */
static int look(struct exchange *x, bool is_open, struct failure *f)
{
    enum identity_fault fault;
    struct failure said = { 0 };
    const char *why = find_fault(x, &fault, &said);

    if (why == NULL) {
        return 0;
    }
    log_failure(is_open ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, x->head.peer_address, &said);
    x->refused = fault == IDENTITY_EXPIRED ? "expired" : "revoked";
    if (x->bearer != NULL) {
        bearer_refused(x, fault == IDENTITY_EXPIRED ? TOKEN_EXPIRED : TOKEN_REVOKED);
    }
    if (fault == IDENTITY_EXPIRED) {
        return expired(f);
    }
    if (!is_open) {
        return revoked(f, ERROR_UNAUTHENTICATED);
    }
    audited_revoked(x, why, said.message);
    return revoked(f, ERROR_PERMISSION_DENIED);
}

/* By his connection, which looks at its certificate again, and counts it where it is not accepted any
 * more. */
static bool is_vouched_for(struct exchange *x)
{
    x->until_s = INT64_MAX;
    return x->head.still == NULL || x->head.still(x->head.arg, &x->until_s);
}

int64_t admission_end_s(const struct exchange *x)
{
    return x->until_s < x->call.who->not_after_s ? x->until_s : x->call.who->not_after_s;
}

int admission_begin(struct exchange *x)
{
    admission_take(x);
    /* Its head may have come long before its body, and the rules have changed in between. */
    bool stays = is_vouched_for(x);
    int result = look(x, false, &x->failure);

    if (result == 0 && !stays) {
        x->refused = "revoked";
        result = revoked(&x->failure, ERROR_UNAUTHENTICATED);
    }
    if (result != 0) {
        x->reply.close = true; /* what its connection showed is worth nothing now */
    }
    return result;
}

bool admission_is_over(struct exchange *x)
{
    bool changed = atomic_load(&x->rpc->rules_number) != x->access_number;

    if (x->access != NULL && now_s() > admission_end_s(x)) {
        (void)expired(&x->failure);
        return true;
    }
    if (!changed) {
        return false;
    }
    admission_take(x);
    bool stays = is_vouched_for(x);

    if (look(x, true, &x->failure) != 0) {
        return true;
    }
    if (stays) {
        streams_retime(&x->rpc->streams, &x->entry, admission_end_s(x));
        return false;
    }
    audited_revoked(x, "certificate", "the client's certificate is not accepted any more");
    (void)revoked(&x->failure, ERROR_PERMISSION_DENIED);
    return true;
}
