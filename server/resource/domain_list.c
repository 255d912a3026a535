/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/domain_list.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/scope.h"

struct domain_list {
    atomic_uint refs;
    size_t count, capacity;
    struct domain_entry *entries;        /* ascending by domid */
    const struct domain_entry **by_name; /* without those that have none */
    size_t named_count;
    const struct domain_entry **by_uuid;
};

int domain_list_none(const char *text, struct failure *f)
{
    int result = failure_set(f, ERROR_NOT_FOUND, "there is no domain %s", text);

    failure_call(f, result, "", ESRCH);
    failure_cause(f, result, "it does not exist, or you may not see it");
    return failure_next(f, result, "list the domains that you may see");
}

static int parse_domid(const char *text, const char *digits, struct domain_spelling *out,
                       struct failure *f)
{
    uint64_t number;

    if (!text_to_u64(digits, UINT16_MAX, &number)) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "%s is no domid", text);

        failure_call(f, result, "", EINVAL);
        failure_cause(f, result, "domids are 0 to %d, without leading zeros", DOMAIN_LIST_MAX - 1);
        return failure_next(f, result, "if it is a name, write name: before it");
    }
    if (number >= DOMAIN_LIST_MAX) { /* DOMID_SELF, DOMID_IO, … are no domains to look into */
        return domain_list_none(text, f);
    }
    out->kind = DOMAIN_BY_DOMID;
    out->domid = (uint16_t)number;
    return 0;
}

static int parse_uuid(const char *text, const char *uuid, struct domain_spelling *out,
                      struct failure *f)
{
    if (!text_to_uuid(uuid, out->uuid)) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "%s is no UUID", text);

        failure_cause(f, result, "a UUID is 8-4-4-4-12 hexadecimal digits");
        return failure_next(f, result, "copy it from the list of domains");
    }
    out->kind = DOMAIN_BY_UUID;
    return 0;
}

static int parse_name(const char *text, const char *name, struct domain_spelling *out,
                      struct failure *f)
{
    if (name[0] == '\0' || strlen(text) > DOMAIN_SPELLING_MAX_BYTES) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "%s domain is named",
                                 name[0] == '\0' ? "no" : "too long a");

        failure_cause(f, result, "a domain is named by domid, UUID or name");
        return failure_next(f, result, "list the domains that you may see");
    }
    out->kind = DOMAIN_BY_NAME;
    out->name = name;
    return 0;
}

static const char *behind(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

int domain_spelling_parse(const char *text, struct domain_spelling *out, struct failure *f)
{
    struct domain_spelling s = { .text = text };
    const char *rest;
    int result;

    if ((rest = behind(text, "domid:")) != NULL) {
        result = parse_domid(text, rest, &s, f);
    } else if ((rest = behind(text, "uuid:")) != NULL) {
        result = parse_uuid(text, rest, &s, f);
    } else if ((rest = behind(text, "name:")) != NULL) {
        result = parse_name(text, rest, &s, f);
    } else if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0') {
        result = parse_domid(text, text, &s, f);
    } else if (text_to_uuid(text, s.uuid)) {
        s.kind = DOMAIN_BY_UUID;
        result = 0;
    } else {
        result = parse_name(text, text, &s, f);
    }
    if (result == 0) {
        *out = s;
    }
    return result;
}

/* As the API shows a name: such a form differs from the name itself where it has a backslash. */
static bool is_shown_as(const char *name, const char *shown)
{
    char escaped[TEXT_ESCAPED_MAX * MESSAGE_NAME_BYTES];

    return strcmp(text_escape(escaped, sizeof(escaped), name, TEXT_UTF8), shown) == 0;
}

bool domain_spelling_means(const struct domain_spelling *spelling, const struct domain_identity *d)
{
    switch (spelling->kind) {
    case DOMAIN_BY_DOMID: return d->domid == spelling->domid;
    case DOMAIN_BY_UUID: return memcmp(d->uuid, spelling->uuid, UUID_BYTES) == 0;
    case DOMAIN_BY_NAME: break;
    }
    return strcmp(d->name, spelling->name) == 0 || is_shown_as(d->name, spelling->name);
}

static int no_memory(struct failure *f)
{
    return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the list of domains");
}

int domain_list_new(struct domain_list **out, struct failure *f)
{
    struct domain_list *l = calloc(1, sizeof(*l));

    if (l == NULL) {
        return no_memory(f);
    }
    atomic_init(&l->refs, 1);
    *out = l;
    return 0;
}

int domain_list_add(struct domain_list *l, const struct message_domain *domains, size_t count,
                    struct failure *f)
{
    if (l->count + count > l->capacity) {
        size_t capacity = l->capacity * 2 > l->count + count ? l->capacity * 2 : l->count + count;
        struct domain_entry *grown = reallocarray(l->entries, capacity, sizeof(*grown));

        if (grown == NULL) {
            return no_memory(f);
        }
        l->entries = grown;
        l->capacity = capacity;
    }
    for (size_t i = 0; i < count; i++) {
        /* mapper_answer refuses any other order, and numbers beyond the last. */
        assert(l->count == 0 ||
               l->entries[l->count - 1].identity.domid < domains[i].identity.domid);
        l->entries[l->count++] = (struct domain_entry){ .identity = domains[i].identity,
                                                        .max_vcpus = domains[i].max_vcpus,
                                                        .dying = domains[i].state == DOMAIN_DYING };
    }
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct domain_entry *const *left = a;
    const struct domain_entry *const *right = b;

    return strcmp((*left)->identity.name, (*right)->identity.name);
}

static int compare_uuids(const void *a, const void *b)
{
    const struct domain_entry *const *left = a;
    const struct domain_entry *const *right = b;

    return memcmp((*left)->identity.uuid, (*right)->identity.uuid, UUID_BYTES);
}

int domain_list_index(struct domain_list *l, struct failure *f)
{
    size_t room = l->count > 0 ? l->count : 1;

    l->by_name = calloc(room, sizeof(const struct domain_entry *));
    l->by_uuid = calloc(room, sizeof(const struct domain_entry *));
    if (l->by_name == NULL || l->by_uuid == NULL) {
        return no_memory(f);
    }
    for (size_t i = 0; i < l->count; i++) {
        l->by_uuid[i] = &l->entries[i];
        if (l->entries[i].identity.name[0] != '\0') {
            l->by_name[l->named_count++] = &l->entries[i];
        }
    }
    qsort(l->by_name, l->named_count, sizeof(const struct domain_entry *), compare_names);
    qsort(l->by_uuid, l->count, sizeof(const struct domain_entry *), compare_uuids);
    return 0;
}

struct domain_list *domain_list_ref(struct domain_list *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void domain_list_unref(struct domain_list *l)
{
    if (l == NULL || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    free(l->entries);
    free(l->by_name);
    free(l->by_uuid);
    free(l);
}

/* What a spelling has found so far, that the caller may see. */
struct found {
    const struct domain_filter *filter;
    size_t alive, dying;
    const struct domain_entry *first_alive, *first_dying;
    uint16_t domids[DOMAIN_LIST_NAMED_MAX]; /* of those alive, or of the dying without any */
};

static void consider(struct found *found, const struct domain_entry *e)
{
    if (!found->filter->visible(found->filter->arg, &e->identity)) {
        return;
    }
    if (e->dying) {
        if (found->alive == 0 && found->dying < DOMAIN_LIST_NAMED_MAX) {
            found->domids[found->dying] = e->identity.domid;
        }
        found->first_dying = found->dying++ == 0 ? e : found->first_dying;
        return;
    }
    if (found->alive < DOMAIN_LIST_NAMED_MAX) {
        found->domids[found->alive] = e->identity.domid;
    }
    found->first_alive = found->alive++ == 0 ? e : found->first_alive;
}

const struct domain_entry *domain_list_at(const struct domain_list *l, uint16_t domid)
{
    size_t low = 0;
    size_t high = l->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (l->entries[middle].identity.domid < domid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < l->count && l->entries[low].identity.domid == domid ? &l->entries[low] : NULL;
}

static void find_domid(const struct domain_list *l, uint16_t domid, struct found *found)
{
    const struct domain_entry *e = domain_list_at(l, domid);

    if (e != NULL) {
        consider(found, e);
    }
}

/* All that equal `key` by `compare` in a sorted index. */
static void find_equal(const struct domain_entry *const *index, size_t count,
                       const struct domain_entry *key, int (*compare)(const void *, const void *),
                       struct found *found)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(&index[middle], &key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < count && compare(&index[low], &key) == 0; low++) {
        consider(found, index[low]);
    }
}

/* Those that are shown so without being called so. */
static void find_shown(const struct domain_list *l, const char *shown, struct found *found)
{
    if (strchr(shown, '\\') == NULL) {
        return;
    }
    for (size_t i = 0; i < l->named_count; i++) {
        const char *name = l->by_name[i]->identity.name;

        if (strcmp(name, shown) != 0 && is_shown_as(name, shown)) {
            consider(found, l->by_name[i]);
        }
    }
}

static int ambiguous(const struct domain_spelling *spelling, const struct found *found,
                     struct failure *f)
{
    size_t count = found->alive > 0 ? found->alive : found->dying;
    char domids[DOMAIN_LIST_NAMED_MAX * 8] = "";
    size_t len = 0;

    for (size_t i = 0; i < count && i < DOMAIN_LIST_NAMED_MAX; i++) {
        len += (size_t)snprintf(domids + len, sizeof(domids) - len, "%s%u", i > 0 ? ", " : "",
                                (unsigned)found->domids[i]);
    }
    int result =
        failure_set(f, ERROR_FAILED_PRECONDITION, "%zu domains are called %s: domids %s%s", count,
                    spelling->text, domids, count > DOMAIN_LIST_NAMED_MAX ? ", …" : "");

    failure_cause(f, result, "names and UUIDs need not be unique on a Xen host");
    return failure_next(f, result, "name the domain by its domid");
}

int domain_list_find(const struct domain_list *l, const struct domain_spelling *spelling,
                     const struct domain_filter *filter, struct domain_entry *out,
                     struct failure *f)
{
    struct found found = { .filter = filter };
    struct domain_entry key;

    switch (spelling->kind) {
    case DOMAIN_BY_DOMID: find_domid(l, spelling->domid, &found); break;
    case DOMAIN_BY_UUID:
        memcpy(key.identity.uuid, spelling->uuid, UUID_BYTES);
        find_equal(l->by_uuid, l->count, &key, compare_uuids, &found);
        break;
    case DOMAIN_BY_NAME:
        if (strlen(spelling->name) < sizeof(key.identity.name)) {
            memcpy(key.identity.name, spelling->name, strlen(spelling->name) + 1);
            find_equal(l->by_name, l->named_count, &key, compare_names, &found);
        }
        find_shown(l, spelling->name, &found);
        break;
    }
    if (found.alive > 1 || (found.alive == 0 && found.dying > 1)) {
        return ambiguous(spelling, &found, f);
    }
    if (found.alive == 0 && found.dying == 0) {
        return domain_list_none(spelling->text, f);
    }
    *out = found.alive > 0 ? *found.first_alive : *found.first_dying;
    return 0;
}
