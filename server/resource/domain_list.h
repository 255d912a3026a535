/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The domains of the host as they were once listed, and how a spelling finds one in them.
 *
 * A list is filled by one thread, then indexed, and from then on immutable and counted: lookups
 * take no lock. Domids are unique in it; names and UUIDs need not be.
 */
#ifndef XENRES_RESOURCE_DOMAIN_LIST_H
#define XENRES_RESOURCE_DOMAIN_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/message.h"

enum {
    DOMAIN_LIST_MAX = 32752,          /* DOMID_FIRST_RESERVED: so many numbers there are */
    DOMAIN_SPELLING_MAX_BYTES = 1100, /* "name:", and each byte of a name escaped */
    DOMAIN_LIST_NAMED_MAX = 8,        /* domids that an ambiguous answer names */
};

/* How a client names a domain: digits are a domid, the usual form of a UUID is one, else a name.
 * `domid:`, `uuid:` or `name:` before it says which is meant. A name is found as the toolstack
 * wrote it, and as the API shows it (escaped). */
struct domain_spelling {
    enum { DOMAIN_BY_DOMID, DOMAIN_BY_UUID, DOMAIN_BY_NAME } kind;
    const char *text; /* all of it, as given: lives as long as the caller's */
    const char *name; /* within `text` */
    uint16_t domid;
    uint8_t uuid[UUID_BYTES];
};

/* -ERROR_INVALID_ARGUMENT; -ERROR_NOT_FOUND for a number that no domain can have. */
int domain_spelling_parse(const char *text, struct domain_spelling *out, struct failure *f);

/* Whether it means this domain, which need not be there any more. */
bool domain_spelling_means(const struct domain_spelling *spelling,
                           const struct domain_identity *domain);

/* What a list keeps of a domain. */
struct domain_entry {
    struct domain_identity identity;
    uint32_t max_vcpus; /* the number that it was built with: it does not change */
    bool dying;
};

struct domain_list;

int domain_list_new(struct domain_list **out, struct failure *f);
/* In the order of their domids, each above those before (asserted). */
int domain_list_add(struct domain_list *l, const struct message_domain *domains, size_t count,
                    struct failure *f);
int domain_list_index(struct domain_list *l, struct failure *f);
struct domain_list *domain_list_ref(struct domain_list *l);
void domain_list_unref(struct domain_list *l); /* NULL is fine */

/* Domains for which it answers false are looked through as if they were not there. */
struct domain_filter {
    bool (*visible)(void *arg, const struct domain_identity *domain);
    void *arg;
};

/*
 * The one domain that is meant. Of several with one name or UUID, those that are dying give way.
 * -ERROR_NOT_FOUND, in the same words for what is not there and for what is not visible;
 * -ERROR_FAILED_PRECONDITION where several are left: names their domids.
 */
int domain_list_find(const struct domain_list *l, const struct domain_spelling *spelling,
                     const struct domain_filter *filter, struct domain_entry *out,
                     struct failure *f);
/* The domain of that number, whoever may see it; NULL: there is none. As long as the list. */
const struct domain_entry *domain_list_at(const struct domain_list *l, uint16_t domid);
/* Those words, for who finds out later that one is not visible: -ERROR_NOT_FOUND. */
int domain_list_none(const char *text, struct failure *f);

#endif
