/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* HostService, second half: the domains of the host, those that are asked for. */
#include "xenres/v1/host.pb-c.h"

#include <string.h>
#include <xxhash.h>

#include "server/rpc/page.h"
#include "server/rpc/present_domain.h"
#include "server/rpc/services.h"

#define PAGE_DOMAINS "page.domains"

/* What a token says: where the mapper's next page begins, and of which filter it is. */
struct place {
    uint32_t next_domid;
    XXH128_canonical_t filter;
};

struct domains {
    uint32_t page_size;
    struct place place;
    const Xenres__V1__DomainFilter *filter; /* NULL: all */
    struct message_domain *rows;
    uint32_t count;
    bool more; /* there is another one, from the place on */
};

static int open_place(struct call *c, struct domains *d, const char *token, struct failure *f)
{
    XXH128_canonical_t digest;
    int result = present_filter_digest(&c->pool, d->filter, &digest) ? 0 : call_no_memory(f);

    d->place.filter = digest;
    if (result == 0) {
        result = page_token_open(c, PAGE_DOMAINS, token, &d->place, sizeof(d->place), f);
    }
    if (result == 0 && memcmp(&d->place.filter, &digest, sizeof(digest)) != 0) {
        result = page_token_of_another(f);
    }
    return result;
}

static int domains_prepare(struct call *c, struct failure *f)
{
    const Xenres__V1__ListDomainsRequest *r = (const void *)c->request;
    struct domains *d = pool_alloc(&c->pool, sizeof(*d));

    if (d == NULL) {
        return call_no_memory(f);
    }
    c->state = d;
    d->filter = r->filter;
    int result = page_size(r->page_size, &d->page_size, f);

    if (result == 0) {
        result = present_filter_check(d->filter, f);
    }
    if (result == 0) {
        result = open_place(c, d, r->page_token, f);
    }
    if (result == 0) {
        d->rows = pool_array(&c->pool, d->page_size, sizeof(*d->rows));
        result = d->rows != NULL ? 0 : call_no_memory(f);
    }
    return result;
}

static void domains_ask(struct call *c, union message *m)
{
    const struct domains *d = c->state;

    m->domains.head.type = MESSAGE_DOMAINS;
    m->domains.first_domid = d->place.next_domid;
}

static int domains_take(struct call *c, const union message *answer, struct mapper_slot *slot,
                        struct failure *f)
{
    struct domains *d = c->state;
    const struct message_domains_answer *a = &answer->domains_answer;

    (void)slot;
    (void)f;
    for (uint32_t i = 0; i < a->domain_count; i++) {
        const struct message_domain *row = &a->domains[i];

        d->place.next_domid = row->identity.domid;
        if (!present_filter_fits(d->filter, row) ||
            !call_allows(c, &row->identity, -1, ACTION_LIST)) {
            continue;
        }
        if (d->count == d->page_size) {
            d->more = true;
            return HANDLER_DONE;
        }
        d->rows[d->count++] = *row;
    }
    d->place.next_domid++;
    return a->more != 0 ? HANDLER_ASK_AGAIN : HANDLER_DONE;
}

static int domains_respond(struct call *c, struct failure *f)
{
    const struct domains *d = c->state;
    struct pool *p = &c->pool;
    Xenres__V1__ListDomainsResponse *m =
        PRESENT_NEW(p, Xenres__V1__ListDomainsResponse, xenres__v1__list_domains_response);
    Xenres__V1__Domain **rows = pool_array(p, d->count, sizeof(*rows));

    if (m == NULL || rows == NULL) {
        return call_no_memory(f);
    }
    for (uint32_t i = 0; i < d->count; i++) {
        rows[i] = present_domain(p, &d->rows[i]);
    }
    m->domains = rows;
    m->n_domains = d->count;
    c->response = &m->base;
    return d->more ? page_token_make(c, PAGE_DOMAINS, &d->place, sizeof(d->place),
                                     &m->next_page_token, f)
                   : 0;
}

const struct handler host_service_list_domains = {
    .prepare = domains_prepare, .ask = domains_ask, .take = domains_take, .respond = domains_respond
};
