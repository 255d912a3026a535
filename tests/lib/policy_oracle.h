/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What xenresd-policy(5) says, spelled out a rule at a time and a pattern at a time, on the very words
 * of the file: against this auth/policy is held. And a small world to ask about, whose members differ
 * in all that a rule can look at.
 */
#ifndef XENRES_TESTS_POLICY_ORACLE_H
#define XENRES_TESTS_POLICY_ORACLE_H

#include <strings.h>

#include "auth/policy.h"
#include "common/message_tags.h"
#include "tests/lib/unit.h"

enum { ORACLE_MEMBERS_MAX = 24, ORACLE_RULES_MAX = 16, ORACLE_WORD_BYTES = 300 };

struct oracle_list {
    char words[ORACLE_MEMBERS_MAX][ORACLE_WORD_BYTES];
    size_t count;
};

struct oracle_rule {
    bool allow, require_bound;
    struct oracle_list identities, domains, types, actions;
};

struct oracle_policy {
    struct oracle_rule rules[ORACLE_RULES_MAX];
    size_t count;
};

static inline bool oracle_has(const struct oracle_list *list, const char *word)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->words[i], word) == 0) {
            return true;
        }
    }
    return false;
}

/* What is behind "kind:"; NULL where it is another kind. */
static inline const char *oracle_behind(const char *word, const char *kind)
{
    return strncmp(word, kind, strlen(kind)) == 0 ? word + strlen(kind) : NULL;
}

static inline bool oracle_is(const struct oracle_rule *r, const struct identity *who)
{
    if (r->require_bound && !who->is_bound) {
        return false;
    }
    for (size_t i = 0; i < r->identities.count; i++) {
        const char *word = r->identities.words[i], *group = oracle_behind(word, "group:");

        if (strcmp(word, "all") == 0 || (group == NULL && text_glob(word, who->text))) {
            return true;
        }
        for (const char *g = who->groups; group != NULL && *g != '\0'; g += strlen(g) + 1) {
            if (text_glob(group, g)) {
                return true;
            }
        }
    }
    return false;
}

static inline bool oracle_uuid_is(const char *text, const struct domain_identity *d)
{
    char uuid[UUID_TEXT_BYTES];

    text_from_uuid(d->uuid, uuid);
    return strcasecmp(text, uuid) == 0;
}

static inline bool oracle_word_means(const char *word, bool allow, const struct domain_identity *d)
{
    const char *name = oracle_behind(word, "name:"), *uuid = oracle_behind(word, "uuid:"),
               *tag = oracle_behind(word, "tag:");
    bool nameless = d->name_cut != 0 || d->name[0] == '\0';

    if (allow && d->domid == 0) {
        return strcmp(word, "dom0") == 0;
    }
    if (name != NULL) {
        return nameless ? !allow : text_glob(name, d->name);
    }
    if (tag != NULL) {
        return d->tags_unknown != 0 ? !allow : domain_has_tag(d, tag);
    }
    return uuid != NULL                ? oracle_uuid_is(uuid, d)
           : strcmp(word, "dom0") == 0 ? d->domid == 0
                                       : strcmp(word, "all") == 0;
}

static inline bool oracle_means(const struct oracle_rule *r, const struct domain_identity *d)
{
    for (size_t i = 0; i < r->domains.count; i++) {
        if (d == NULL ? r->allow || strcmp(r->domains.words[i], "all") == 0
                      : oracle_word_means(r->domains.words[i], r->allow, d)) {
            return true;
        }
    }
    return false;
}

static inline bool oracle_acts(const struct oracle_rule *r, enum action action)
{
    bool is_named_only = action == ACTION_TRACE_CONTROL || action == ACTION_ADMIN;

    return oracle_has(&r->actions, action_name(action)) ||
           (oracle_has(&r->actions, "all") && !(r->allow && is_named_only));
}

/* Of one type. `without`: a rule that is left out, or SIZE_MAX. */
static inline bool oracle_allows_type(const struct oracle_policy *p,
                                      const struct policy_question *q, int type, size_t without)
{
    bool allowed = false, denied = false;

    for (size_t i = 0; i < p->count; i++) {
        const struct oracle_rule *r = &p->rules[i];
        bool of_type = oracle_has(&r->types, "all") ||
                       oracle_has(&r->types, resource_type_name((uint32_t)type));

        if (i != without && of_type && oracle_acts(r, q->action) && oracle_is(r, q->who) &&
            oracle_means(r, q->domain)) {
            *(r->allow ? &allowed : &denied) = true;
        }
    }
    return allowed && !denied;
}

static inline bool oracle_allows(const struct oracle_policy *p, const struct policy_question *q,
                                 size_t without)
{
    bool allowed = false;

    for (int type = 0; type < RESOURCE_TYPE_COUNT; type++) {
        allowed |= (q->type == -1 || q->type == type) && oracle_allows_type(p, q, type, without);
    }
    return allowed;
}

/* --- the world ---------------------------------------------------------------------------------- */

static const struct identity oracle_callers[] = {
    { .text = "cn:alice", .is_bound = true },
    { .text = "cn:bob", .is_bound = true, .groups = "ops\0dev\0" },
    { .text = "jwt:corp:alice", .groups = "ops\0" },
    { .text = "jwt:corp:bob", .groups = "dev-2\0", .is_bound = true },
    { .text = "token:ci" },
    { .text = "spiffe:spiffe://example.org/a", .is_bound = true },
};
static const struct domain_identity oracle_domains[] = {
    { .domid = 0, .name = "Domain-0", .tags = { "prod" } },
    { .domid = 1, .name = "web-1", .uuid = { 1 }, .tags = { "prod", "web" } },
    { .domid = 2, .name = "db", .uuid = { 2 } },
    { .domid = 3, .name_cut = 1, .uuid = { 3 }, .tags = { "web" } },
    { .domid = 4, .name = "web-2", .uuid = { 4 }, .tags_unknown = 1 },
    { .domid = 5 },
};
enum {
    ORACLE_CALLERS = sizeof(oracle_callers) / sizeof(oracle_callers[0]),
    ORACLE_DOMAINS = sizeof(oracle_domains) / sizeof(oracle_domains[0]),
    ORACLE_TYPES = RESOURCE_TYPE_COUNT + 1,
    /* Every caller, domain or none, type or any, and action. */
    ORACLE_QUESTIONS = ORACLE_CALLERS * (ORACLE_DOMAINS + 1) * ORACLE_TYPES * ACTION_COUNT,
};

static inline struct policy_question oracle_question(unsigned number)
{
    unsigned domain = number / ACTION_COUNT / ORACLE_TYPES % (ORACLE_DOMAINS + 1);

    return (struct policy_question){
        .who = &oracle_callers[number / ACTION_COUNT / ORACLE_TYPES / (ORACLE_DOMAINS + 1) %
                               ORACLE_CALLERS],
        .domain = domain < ORACLE_DOMAINS ? &oracle_domains[domain] : NULL,
        .type = (int)(number / ACTION_COUNT % ORACLE_TYPES) - 1,
        .action = (enum action)(number % ACTION_COUNT),
    };
}

/* --- chance --------------------------------------------------------------------------------------- */

static uint64_t oracle_random_state = 42;

static inline unsigned oracle_pick(size_t count)
{
    oracle_random_state =
        oracle_random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((oracle_random_state >> 33) % count);
}

#endif
