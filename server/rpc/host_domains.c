/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* HostService, second half: the domains of the host, those that are asked for. */
#include "xenres/v1/host.pb-c.h"

#include <string.h>
#include <xxhash.h>

#include "common/text.h"
#include "server/rpc/page.h"
#include "server/rpc/present.h"
#include "server/rpc/services.h"

#define PAGE_DOMAINS "page.domains"

enum { FILTER_CHOICES_MAX = 16, FILTER_GLOB_MAX_BYTES = 256 };

static const struct {
    uint32_t type;
    Xenres__V1__DomainType presented;
} domain_types[] = {
    { DOMAIN_PV, XENRES__V1__DOMAIN_TYPE__DOMAIN_TYPE_PV },
    { DOMAIN_HVM, XENRES__V1__DOMAIN_TYPE__DOMAIN_TYPE_HVM },
    { DOMAIN_PVH, XENRES__V1__DOMAIN_TYPE__DOMAIN_TYPE_PVH },
};

static const struct {
    uint32_t state;
    Xenres__V1__DomainState presented;
} domain_states[] = {
    { DOMAIN_RUNNING, XENRES__V1__DOMAIN_STATE__DOMAIN_STATE_RUNNING },
    { DOMAIN_BLOCKED, XENRES__V1__DOMAIN_STATE__DOMAIN_STATE_BLOCKED },
    { DOMAIN_PAUSED, XENRES__V1__DOMAIN_STATE__DOMAIN_STATE_PAUSED },
    { DOMAIN_SHUTDOWN, XENRES__V1__DOMAIN_STATE__DOMAIN_STATE_SHUTDOWN },
    { DOMAIN_CRASHED, XENRES__V1__DOMAIN_STATE__DOMAIN_STATE_CRASHED },
    { DOMAIN_DYING, XENRES__V1__DOMAIN_STATE__DOMAIN_STATE_DYING },
};

static Xenres__V1__DomainType present_domain_type(uint32_t type)
{
    for (size_t i = 0; i < sizeof(domain_types) / sizeof(domain_types[0]); i++) {
        if (domain_types[i].type == type) {
            return domain_types[i].presented;
        }
    }
    return XENRES__V1__DOMAIN_TYPE__DOMAIN_TYPE_UNSPECIFIED;
}

static Xenres__V1__DomainState present_domain_state(uint32_t state)
{
    for (size_t i = 0; i < sizeof(domain_states) / sizeof(domain_states[0]); i++) {
        if (domain_states[i].state == state) {
            return domain_states[i].presented;
        }
    }
    return XENRES__V1__DOMAIN_STATE__DOMAIN_STATE_UNSPECIFIED;
}

/* --- the filter --------------------------------------------------------------------------------- */

static int bad_choice(struct failure *f, const char *field, size_t index, int32_t number)
{
    int result =
        failure_set(f, ERROR_INVALID_ARGUMENT, "filter.%s[%zu] is %d", field, index, number);

    failure_field(f, result, "filter.%s[%zu]", field, index);
    failure_cause(f, result, "no domain can be that");
    return failure_next(f, result, "use the names in proto/xenres/v1/host.proto");
}

static int too_many(struct failure *f, const char *field)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "filter.%s has more than %d", field,
                             (int)FILTER_CHOICES_MAX);

    failure_field(f, result, "filter.%s", field);
    return failure_next(f, result, "give each once, or leave them out for all");
}

static bool is_state(int32_t number)
{
    bool found = false;

    for (size_t i = 0; i < sizeof(domain_states) / sizeof(domain_states[0]); i++) {
        found |= (int32_t)domain_states[i].presented == number;
    }
    return found;
}

static bool is_type(int32_t number)
{
    bool found = false;

    for (size_t i = 0; i < sizeof(domain_types) / sizeof(domain_types[0]); i++) {
        found |= (int32_t)domain_types[i].presented == number;
    }
    return found;
}

static int check_filter(const Xenres__V1__DomainFilter *filter, struct failure *f)
{
    if (filter == NULL) {
        return 0;
    }
    if (strlen(filter->name_glob) > FILTER_GLOB_MAX_BYTES) {
        int result =
            failure_set(f, ERROR_INVALID_ARGUMENT, "filter.name_glob has more than %d bytes",
                        (int)FILTER_GLOB_MAX_BYTES);

        failure_field(f, result, "filter.name_glob");
        return failure_next(f, result, "give a shorter one");
    }
    if (filter->n_states > FILTER_CHOICES_MAX) {
        return too_many(f, "states");
    }
    if (filter->n_types > FILTER_CHOICES_MAX) {
        return too_many(f, "types");
    }
    for (size_t i = 0; i < filter->n_states; i++) {
        if (!is_state((int32_t)filter->states[i])) {
            return bad_choice(f, "states", i, (int32_t)filter->states[i]);
        }
    }
    for (size_t i = 0; i < filter->n_types; i++) {
        if (!is_type((int32_t)filter->types[i])) {
            return bad_choice(f, "types", i, (int32_t)filter->types[i]);
        }
    }
    return 0;
}

static bool fits(const Xenres__V1__DomainFilter *filter, const struct message_domain *row)
{
    if (filter == NULL) {
        return true;
    }
    bool state_fits = filter->n_states == 0, type_fits = filter->n_types == 0;

    for (size_t i = 0; i < filter->n_states; i++) {
        state_fits |= filter->states[i] == present_domain_state(row->state);
    }
    for (size_t i = 0; i < filter->n_types; i++) {
        type_fits |= filter->types[i] == present_domain_type(row->type);
    }
    return state_fits && type_fits &&
           (filter->name_glob[0] == '\0' || text_glob(filter->name_glob, row->identity.name));
}

/* Names it in a token. */
static int digest_of(struct call *c, const Xenres__V1__DomainFilter *filter,
                     XXH128_canonical_t *digest, struct failure *f)
{
    size_t len = filter != NULL ? xenres__v1__domain_filter__get_packed_size(filter) : 0;
    uint8_t *packed = pool_alloc(&c->pool, len + 1);

    if (packed == NULL) {
        return call_no_memory(f);
    }
    if (len > 0) {
        (void)xenres__v1__domain_filter__pack(filter, packed);
    }
    XXH128_canonicalFromHash(digest, XXH3_128bits(packed, len));
    return 0;
}

/* --- the list ----------------------------------------------------------------------------------- */

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
    int result = digest_of(c, d->filter, &digest, f);

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
        result = check_filter(d->filter, f);
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
        if (!fits(d->filter, row) || !call_allows(c, &row->identity, -1, ACTION_LIST)) {
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

static Xenres__V1__Domain *present_domain(struct pool *p, const struct message_domain *row)
{
    Xenres__V1__Domain *m = PRESENT_NEW(p, Xenres__V1__Domain, xenres__v1__domain);

    if (m != NULL) {
        m->identity = present_identity(p, &row->identity);
        m->type = present_domain_type(row->type);
        m->state = present_domain_state(row->state);
        m->online_vcpus = row->online_vcpus;
        m->max_vcpus = row->max_vcpus;
        m->memory_kib = row->memory_kib;
        m->cpu_time_ns = row->cpu_time_ns;
    }
    return m;
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
