/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* TraceService, second half: the traces of all domains, those that the caller may see. */
#include "xenres/v1/trace.pb-c.h"

#include <string.h>

#include "server/rpc/page.h"
#include "server/rpc/present_trace.h"
#include "server/rpc/services.h"
#include "server/rpc/trace_choice.h"

#define PAGE_TRACES "page.traces"

/* What a token says: where the mapper's next page begins, and which trace of that domain was told last;
 * zero: none was. */
struct place {
    uint32_t next_domid;
    uint8_t told[16];
};

struct traces {
    uint32_t page_size;
    struct place place;
    Xenres__V1__Trace **rows;
    uint32_t count;
    bool more; /* there is another one, from the place on */
};

static int traces_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__ListTracesRequest *r = (const void *)c->request;
    struct traces *l = pool_alloc(&c->pool, sizeof(*l));

    if (l == NULL) {
        return call_no_memory(f);
    }
    c->state = l;
    c->type = RESOURCE_VMTRACE_BUF;
    int result = page_size(r->page_size, &l->page_size, f);

    if (result == 0) {
        result = page_token_open(c, PAGE_TRACES, r->page_token, &l->place, sizeof(l->place), f);
    }
    if (result == 0) {
        l->rows = pool_array(&c->pool, l->page_size, sizeof(struct Xenres__V1__Trace *));
        result = l->rows != NULL ? 0 : call_no_memory(f);
    }
    return result;
}

static void traces_ask(struct call *c, union message *m)
{
    const struct traces *l = c->state;

    m->head.type = MESSAGE_TRACES;
    m->traces.first_domid = l->place.next_domid;
}

/* Where to go on in this answer: behind the trace that was told last, if it is still there. */
static uint32_t first_of(const struct place *place, const struct message_traces_answer *a)
{
    for (uint32_t i = 0; i < a->trace_count && a->traces[i].domain.domid == place->next_domid;
         i++) {
        if (memcmp(a->traces[i].trace_id, place->told, sizeof(place->told)) == 0) {
            return i + 1;
        }
    }
    return 0;
}

static int traces_take(struct call *c, const union message *answer, struct mapper_slot *slot,
                       struct failure *f)
{
    struct traces *l = c->state;
    const struct message_traces_answer *a = &answer->traces_answer;

    (void)slot;
    (void)f;
    for (uint32_t i = first_of(&l->place, a); i < a->trace_count; i++) {
        const struct message_trace *t = &a->traces[i];

        if (!trace_choice_allows(c, t, ACTION_TRACE_READ)) {
            continue;
        }
        if (l->count == l->page_size) {
            l->more = true;
            return HANDLER_DONE;
        }
        l->rows[l->count++] = present_trace(&c->pool, t);
        l->place.next_domid = t->domain.domid;
        memcpy(l->place.told, t->trace_id, sizeof(l->place.told));
    }
    if (a->more == 0) {
        return HANDLER_DONE;
    }
    /* Of one domain all are in one answer. */
    l->place = (struct place){ .next_domid = a->traces[a->trace_count - 1].domain.domid + 1U };
    return HANDLER_ASK_AGAIN;
}

static int traces_respond(struct call *c, struct failure *f)
{
    const struct traces *l = c->state;
    Xenres__V1__ListTracesResponse *m =
        PRESENT_NEW(&c->pool, Xenres__V1__ListTracesResponse, xenres__v1__list_traces_response);

    if (m == NULL) {
        return call_no_memory(f);
    }
    m->traces = l->rows;
    m->n_traces = l->count;
    c->response = &m->base;
    return l->more ? page_token_make(c, PAGE_TRACES, &l->place, sizeof(l->place),
                                     &m->next_page_token, f)
                   : 0;
}

const struct handler trace_service_list_traces = {
    .prepare = traces_prepare,
    .needs_domains = true,
    .ask = traces_ask,
    .take = traces_take,
    .respond = traces_respond,
};
