/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/present_domain.h"

#include <string.h>

#include "common/text.h"

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

static void present_tags(struct pool *p, const struct domain_identity *d, Xenres__V1__Domain *m)
{
    m->tags_unknown = d->tags_unknown != 0;
    m->tags = pool_array(p, MESSAGE_TAGS_MAX, sizeof(*m->tags));
    while (m->tags != NULL && m->n_tags < MESSAGE_TAGS_MAX && d->tags[m->n_tags][0] != '\0') {
        m->tags[m->n_tags] = pool_string(p, d->tags[m->n_tags]);
        m->n_tags++;
    }
}

Xenres__V1__Domain *present_domain(struct pool *p, const struct message_domain *row)
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
        if (row->identity.tags_unknown != 0 || row->identity.tags[0][0] != '\0') {
            present_tags(p, &row->identity, m);
        }
    }
    return m;
}

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

int present_filter_check(const Xenres__V1__DomainFilter *filter, struct failure *f)
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

bool present_filter_fits(const Xenres__V1__DomainFilter *filter, const struct message_domain *row)
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

bool present_filter_digest(struct pool *p, const Xenres__V1__DomainFilter *filter,
                           XXH128_canonical_t *digest)
{
    size_t len = filter != NULL ? xenres__v1__domain_filter__get_packed_size(filter) : 0;
    uint8_t *packed = pool_alloc(p, len + 1);

    if (packed == NULL) {
        return false;
    }
    if (len > 0) {
        (void)xenres__v1__domain_filter__pack(filter, packed);
    }
    XXH128_canonicalFromHash(digest, XXH3_128bits(packed, len));
    return true;
}
