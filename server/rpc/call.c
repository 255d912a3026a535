/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/call.h"

#include <string.h>

#include "common/text.h"
#include "server/rpc/wait.h"

int call_no_memory(struct failure *f)
{
    int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the answer");

    failure_cause(f, result, "it is larger than one call may take, or memory is short");
    return failure_next(f, result, "ask for less at a time, or try again in a moment");
}

int call_keep(struct call *c, const union message *answer, struct mapper_slot *slot,
              struct failure *f)
{
    size_t len_bytes = message_size(answer->head.type);
    void *copy = pool_alloc(&c->pool, len_bytes);

    if (copy == NULL) {
        return call_no_memory(f);
    }
    c->answer = memcpy(copy, answer, len_bytes);
    c->slot = slot != NULL ? mapper_slot_ref(slot) : NULL;
    return HANDLER_DONE;
}

int call_read_incarnation(const struct call *c, uint8_t out[16], struct failure *f)
{
    if (text_to_hex(c->incarnation, out, sizeof(c->identity.incarnation))) {
        return 0;
    }
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "incarnation is not 32 hex digits");

    failure_field(f, result, "incarnation");
    return failure_next(f, result, "copy it from an answer, or leave it out");
}

bool call_allows(const struct call *c, const struct domain_identity *domain, int type,
                 enum action action)
{
    const struct policy_question q = {
        .who = c->who, .rules = &c->rules, .domain = domain, .type = type, .action = action
    };

    return policy_decide(c->policy, &q).allowed;
}

void call_wake(struct call *c)
{
    wait_wake(&c->wait);
}
