/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/call_pauses.h"

#include "server/rpc/state.h"

static struct quota *quota_of(struct call *c)
{
    return exchange_of(c)->rpc->options.quota;
}

uint32_t call_pauses_share(struct call *c)
{
    struct quota_share share;

    quota_share_of(quota_of(c), c->who, &share);
    return share.pauses_per_second;
}

bool call_pauses_are_limited(struct call *c)
{
    return call_pauses_share(c) > 0 || quota_pauses_in_all(quota_of(c)) > 0;
}

int call_pauses_begin(struct call *c, uint32_t pauses, struct failure *f)
{
    struct exchange *x = exchange_of(c);

    call_pauses_end(c);
    int result = quota_start_begin(quota_of(c), c->who, pauses, &x->pauses_round, f);

    x->pauses_taken = result == 0;
    x->pauses = pauses;
    return result;
}

int call_pauses_judge(struct call *c, const struct quota_running *running, struct failure *f)
{
    struct exchange *x = exchange_of(c);
    int result = quota_start_judge(quota_of(c), c->who, x->pauses, running, &x->pauses_round, f);

    return result == -ERROR_ABORTED ? HANDLER_ASK_AGAIN : result;
}

void call_pauses_end(struct call *c)
{
    struct exchange *x = exchange_of(c);

    if (x->pauses_taken) {
        quota_start_end(quota_of(c), c->who, x->pauses);
        x->pauses_taken = false;
    }
}
