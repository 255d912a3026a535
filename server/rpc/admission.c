/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/admission.h"

#include "common/clock.h"
#include "common/log.h"
#include "server/rpc/audited.h"

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

/* 0, or why not: what the operator reads stays here. */
static int look(const struct exchange *x, enum error_code when_revoked, enum log_level level,
                struct failure *f)
{
    enum identity_fault fault = IDENTITY_OK;
    struct failure said = { 0 };
    int result = 0;

    if (x->access != NULL) {
        result = access_still(x->access, x->call.who, now_s(), &fault, &said);
    }
    if (result == 0 && x->access != NULL && x->bearer != NULL) {
        result = access_token_still(x->access, x->bearer, &said);
    }
    if (result == 0) {
        return 0;
    }
    log_failure(level, x->head.peer_address, &said);
    return fault == IDENTITY_EXPIRED ? expired(f) : revoked(f, when_revoked);
}

/* By his connection. */
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
    int result = is_vouched_for(x) ? look(x, ERROR_UNAUTHENTICATED, LOG_LEVEL_DEBUG, &x->failure)
                                   : revoked(&x->failure, ERROR_UNAUTHENTICATED);

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
    int result = is_vouched_for(x) ? look(x, ERROR_PERMISSION_DENIED, LOG_LEVEL_INFO, &x->failure)
                                   : revoked(&x->failure, ERROR_PERMISSION_DENIED);

    if (result == 0) {
        streams_retime(&x->rpc->streams, &x->entry, admission_end_s(x));
    }
    if (result == -ERROR_PERMISSION_DENIED) { /* and not for its time alone */
        audited_revocation(x);
    }
    return result != 0;
}
