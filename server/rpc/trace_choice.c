/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/trace_choice.h"

#include <string.h>

#include "common/text.h"

void trace_choice_of_domain(struct call *c, const char *domain, const char *incarnation)
{
    c->domain = domain;
    c->incarnation = incarnation;
    c->type = RESOURCE_VMTRACE_BUF;
}

int trace_choice_read(struct trace_choice *choice, const char *text, struct failure *f)
{
    choice->has_id = text[0] != '\0';
    if (!choice->has_id || text_to_hex(text, choice->id, sizeof(choice->id))) {
        return 0;
    }
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "trace_id is not 32 hex digits");

    failure_field(f, result, "trace_id");
    return failure_next(f, result, "copy it from an answer, or leave it out");
}

void trace_choice_ask(const struct call *c, union message *m)
{
    m->head.type = MESSAGE_TRACES;
    m->traces.first_domid = c->identity.domid;
    m->traces.one = 1;
}

/* By its name too: the policy has decided on the one of now, which a trace of before is not about. */
static bool is_meant(const struct call *c, const struct trace_choice *choice,
                     const struct message_trace *t)
{
    return domain_identity_equal(&t->domain, &c->identity) &&
           (!choice->has_id || memcmp(t->trace_id, choice->id, sizeof(choice->id)) == 0);
}

static int not_that_one(const struct call *c, struct failure *f)
{
    int result =
        failure_set(f, ERROR_ABORTED, "the trace of domain %s is another, or over", c->domain);

    failure_cause(f, result,
                  "it ended, and is held for a short while only, or the mapper is another");
    return failure_next(f, result, "see which one runs, or leave trace_id and cursor out");
}

int trace_choice_find(const struct call *c, const struct trace_choice *choice,
                      const struct message_traces_answer *a, enum error_code if_none,
                      const struct message_trace **out, struct failure *f)
{
    for (uint32_t i = 0; i < a->trace_count; i++) { /* the running one first, says the mapper */
        if (is_meant(c, choice, &a->traces[i])) {
            *out = &a->traces[i];
            return 0;
        }
    }
    if (choice->has_id) {
        return not_that_one(c, f);
    }
    int result = failure_set(f, if_none, "domain %s is not traced", c->domain);

    failure_cause(f, result, "no trace of it runs, and none that ended is held");
    return failure_next(f, result, "start one");
}
