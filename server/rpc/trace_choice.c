/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/trace_choice.h"

#include <string.h>

#include "common/text.h"
#include "server/resource/domain_list.h"
#include "server/rpc/method.h"

void trace_choice_of_domain(struct call *c, const char *domain, const char *incarnation)
{
    c->domain = domain;
    c->incarnation = incarnation;
    c->type = RESOURCE_VMTRACE_BUF;
}

/* Of a domain that was renamed into what he may not see, its old name would be a way around the policy. */
bool trace_choice_allows(struct call *c, const struct message_trace *t, enum action action)
{
    struct domain_identity now;

    return call_allows(c, &t->domain, RESOURCE_VMTRACE_BUF, action) &&
           (!call_finds_life(c, &t->domain, &now) ||
            call_allows(c, &now, RESOURCE_VMTRACE_BUF, action));
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

void trace_choice_ask(const struct call *c, const struct trace_choice *choice, union message *m)
{
    m->head.type = MESSAGE_TRACES;
    m->traces.first_domid = c->is_absent ? choice->next_domid : c->identity.domid;
    m->traces.one = !c->is_absent;
}

/* --- of a domain that there is ------------------------------------------------------------------ */

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

static int find(const struct call *c, const struct trace_choice *choice,
                const struct message_traces_answer *a, enum error_code if_none,
                const struct message_trace **out, struct failure *f)
{
    for (uint32_t i = 0; i < a->trace_count; i++) { /* the running one first, says the mapper */
        if (is_meant(c, choice, &a->traces[i])) {
            *out = &a->traces[i];
            return HANDLER_DONE;
        }
    }
    if (choice->has_id) {
        return not_that_one(c, f);
    }
    int result = failure_set(f, if_none, "domain %s is not traced", c->domain);

    failure_cause(f, result, "no trace of it runs, and none that ended is held");
    return failure_next(f, result, "start one");
}

/* --- of one that is no more --------------------------------------------------------------------- */

struct wanted {
    struct domain_spelling spelling;
    bool has_incarnation;
    uint8_t incarnation[16];
};

static int read_wanted(const struct call *c, struct wanted *out, struct failure *f)
{
    int result = domain_spelling_parse(c->domain, &out->spelling, f);

    out->has_incarnation = c->incarnation[0] != '\0';
    return result == 0 && out->has_incarnation ? call_read_incarnation(c, out->incarnation, f)
                                               : result;
}

/* It is the name of then that counts, and the policy's word on that, and on who it is. */
static bool may_be_meant(struct call *c, const struct trace_choice *choice,
                         const struct wanted *wanted, const struct message_trace *t)
{
    return domain_spelling_means(&wanted->spelling, &t->domain) &&
           (!wanted->has_incarnation ||
            memcmp(wanted->incarnation, t->domain.incarnation, sizeof(wanted->incarnation)) == 0) &&
           (!choice->has_id || memcmp(t->trace_id, choice->id, sizeof(choice->id)) == 0) &&
           trace_choice_allows(c, t, c->method->action);
}

/* Lives of one domain have its UUID: what is asked for is the last of them. */
static void consider(struct trace_choice *choice, const struct message_trace *t)
{
    const struct message_trace *found = &choice->found;

    if (choice->is_found && memcmp(found->domain.uuid, t->domain.uuid, UUID_BYTES) != 0) {
        choice->is_ambiguous = true;
    }
    if (!choice->is_found || t->started_monotonic_ns > found->started_monotonic_ns) {
        choice->found = *t;
    }
    choice->is_found = true;
}

static int several(const struct call *c, struct failure *f)
{
    int result = failure_set(f, ERROR_FAILED_PRECONDITION,
                             "several domains that were traced were called %s", c->domain);

    failure_cause(f, result, "none of them is there any more, and of each a trace is held");
    return failure_next(f, result, "see the list of traces, and name the domain by its UUID");
}

static int search(struct call *c, struct trace_choice *choice,
                  const struct message_traces_answer *a, const struct message_trace **out,
                  struct failure *f)
{
    struct wanted wanted;
    int result = read_wanted(c, &wanted, f);

    for (uint32_t i = 0; result == 0 && i < a->trace_count; i++) {
        if (may_be_meant(c, choice, &wanted, &a->traces[i])) {
            consider(choice, &a->traces[i]);
        }
    }
    if (result != 0) {
        return result;
    }
    if (a->more != 0) { /* of one domain all are in one answer */
        choice->next_domid = a->traces[a->trace_count - 1].domain.domid + 1U;
        return HANDLER_ASK_AGAIN;
    }
    if (choice->is_ambiguous || !choice->is_found) {
        return choice->is_ambiguous ? several(c, f) : domain_list_none(c->domain, f);
    }
    c->identity = choice->found.domain;
    *out = &choice->found;
    return HANDLER_DONE;
}

int trace_choice_take(struct call *c, struct trace_choice *choice,
                      const struct message_traces_answer *a, enum error_code if_none,
                      const struct message_trace **out, struct failure *f)
{
    return c->is_absent ? search(c, choice, a, out, f) : find(c, choice, a, if_none, out, f);
}
