/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/policy.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "auth/policy_memo.h"
#include "auth/policy_rule.h"
#include "common/message_tags.h"

struct policy {
    atomic_uint references;
    struct policy_parts parts;
    uint64_t digest;
    struct policy_memo *memo;
};

static const char *const ACTION_NAMES[ACTION_COUNT] = {
    [ACTION_LIST] = "list",
    [ACTION_SNAPSHOT] = "snapshot",
    [ACTION_WATCH] = "watch",
    [ACTION_DECODE] = "decode",
    [ACTION_TRACE_READ] = "trace.read",
    [ACTION_TRACE_CONTROL] = "trace.control",
    [ACTION_ADMIN] = "admin",
};

const char *action_name(enum action a)
{
    assert((unsigned)a < ACTION_COUNT);
    return ACTION_NAMES[a];
}

int action_from_name(const char *name)
{
    for (int i = 0; i < ACTION_COUNT; i++) {
        if (strcmp(ACTION_NAMES[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

static void free_identities(struct identity_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->patterns[i].glob);
    }
    free(list->patterns);
}

static void free_rule(struct policy_rule *rule)
{
    for (size_t i = 0; i < rule->domain_count; i++) {
        free(rule->domains[i].glob);
    }
    free_identities(&rule->identities);
    free(rule->domains);
    free(rule->name);
}

void policy_parts_done(struct policy_parts *parts)
{
    for (size_t i = 0; i < parts->rule_count; i++) {
        free_rule(&parts->rules[i]);
    }
    for (size_t i = 0; i < parts->section_count; i++) {
        free_identities(&parts->sections[i].identities);
        free(parts->sections[i].name);
    }
    free(parts->rules);
    free(parts->sections);
    memset(parts, 0, sizeof *parts);
}

int policy_new(struct policy_parts *parts, struct policy **out, struct failure *f)
{
    struct policy *p = calloc(1, sizeof *p);

    assert(parts->rule_count <= POLICY_RULES_MAX);
    if (p != NULL) {
        p->memo = policy_memo_new();
    }
    if (p == NULL || p->memo == NULL) {
        free(p);
        policy_parts_done(parts);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for the policy");
    }
    atomic_init(&p->references, 1);
    p->parts = *parts;
    memset(parts, 0, sizeof *parts);
    *out = p;
    return 0;
}

void policy_set_text(struct policy *p, const char *text, size_t len_bytes)
{
    p->digest = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < len_bytes; i++) {
        p->digest = (p->digest ^ (uint8_t)text[i]) * UINT64_C(1099511628211);
    }
}

uint64_t policy_digest(const struct policy *p)
{
    return p->digest;
}

struct policy *policy_ref(struct policy *p)
{
    unsigned before = atomic_fetch_add_explicit(&p->references, 1, memory_order_relaxed);

    assert(before > 0 && before < UINT32_MAX);
    return p;
}

void policy_unref(struct policy *p)
{
    if (p == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&p->references, 1, memory_order_acq_rel);

    assert(before > 0);
    if (before == 1) {
        policy_parts_done(&p->parts);
        policy_memo_free(p->memo);
        free(p);
    }
}

static bool any_group_matches(const char *glob, const struct identity *who)
{
    const char *end = who->groups + sizeof who->groups;

    for (const char *group = who->groups; group < end && *group != '\0';
         group += strlen(group) + 1) {
        if (text_glob(glob, group)) {
            return true;
        }
    }
    return false;
}

static bool identity_matches(const struct identity_list *list, const struct identity *who)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct identity_pattern *pattern = &list->patterns[i];

        if (pattern->kind == IDENTITY_PATTERN_GROUP ? any_group_matches(pattern->glob, who)
                                                    : text_glob(pattern->glob, who->text)) {
            return true;
        }
    }
    return false;
}

static bool rule_is_for(const struct policy_rule *rule, const struct identity *who)
{
    return (!rule->require_bound || who->is_bound) && identity_matches(&rule->identities, who);
}

void policy_rules_of(const struct policy *p, const struct identity *who, struct policy_rules *out)
{
    if (policy_memo_find(p->memo, who, out)) {
        return;
    }
    *out = (struct policy_rules){ 0 };
    for (size_t i = 0; i < p->parts.rule_count; i++) {
        out->words[i / 64] |= (uint64_t)rule_is_for(&p->parts.rules[i], who) << i % 64;
    }
    policy_memo_keep(p->memo, who, out);
}

/* The first of his from this one on; POLICY_RULES_MAX: there is none. */
static size_t next_rule(const struct policy_rules *his, size_t from)
{
    for (size_t word = from / 64; word < POLICY_RULES_WORDS; word++) {
        uint64_t left =
            his->words[word] & (word == from / 64 ? UINT64_MAX << from % 64 : UINT64_MAX);

        if (left != 0) {
            return word * 64 + (size_t)__builtin_ctzll(left);
        }
    }
    return POLICY_RULES_MAX;
}

/* The toolstack has given none yet, or one too long for us to know. */
static bool name_is_unknown(const struct domain_identity *domain)
{
    return domain->name_cut != 0 || domain->name[0] == '\0';
}

/* In doubt, an allow rule does not match, and a deny rule does: a domain whose name or tags cannot be
 * compared must not slip through a deny rule that was written for it. */
static bool pattern_matches(const struct domain_pattern *pattern, bool allow,
                            const struct domain_identity *domain)
{
    if (allow && domain->domid == 0) {
        return pattern->kind == DOMAIN_PATTERN_DOM0; /* never by a glob that happens to fit */
    }
    switch (pattern->kind) {
    case DOMAIN_PATTERN_ALL: return true;
    case DOMAIN_PATTERN_DOM0: return domain->domid == 0;
    case DOMAIN_PATTERN_NAME:
        return name_is_unknown(domain) ? !allow : text_glob(pattern->glob, domain->name);
    case DOMAIN_PATTERN_UUID: return memcmp(pattern->uuid, domain->uuid, UUID_BYTES) == 0;
    case DOMAIN_PATTERN_TAG:
        return domain->tags_unknown != 0 ? !allow : domain_has_tag(domain, pattern->glob);
    }
    return !allow;
}

/* With no domain, the question is whether some domain may be meant: any pattern of an allow rule
 * says yes, and only a deny rule that leaves none out says no. */
static bool domain_matches(const struct policy_rule *rule, const struct domain_identity *domain)
{
    for (size_t i = 0; i < rule->domain_count; i++) {
        const struct domain_pattern *pattern = &rule->domains[i];
        bool matches = domain != NULL ? pattern_matches(pattern, rule->allow, domain)
                                      : rule->allow || pattern->kind == DOMAIN_PATTERN_ALL;

        if (matches) {
            return true;
        }
    }
    return false;
}

void policy_rules_about(const struct policy *p, const struct policy_rules *his,
                        const struct domain_identity *domain, struct policy_rules *out)
{
    *out = (struct policy_rules){ 0 };
    for (size_t i = next_rule(his, 0); i < p->parts.rule_count; i = next_rule(his, i + 1)) {
        out->words[i / 64] |= (uint64_t)domain_matches(&p->parts.rules[i], domain) << i % 64;
    }
}

static struct policy_verdict verdict(bool allowed, const struct policy_rule *rule)
{
    return (struct policy_verdict){ .allowed = allowed, .rule = rule->name, .line = rule->line };
}

struct policy_verdict policy_decide(const struct policy *p, const struct policy_question *q)
{
    const struct policy_rule *first_allow[RESOURCE_TYPE_COUNT] = { NULL };
    const struct policy_rule *first_deny[RESOURCE_TYPE_COUNT] = { NULL };
    const struct policy_rule *denied_by = NULL;
    const struct policy_rules *his = q->rules;
    struct policy_rules found;
    uint32_t wanted = q->type == -1                                   ? POLICY_ALL_TYPES
                      : q->type >= 0 && q->type < RESOURCE_TYPE_COUNT ? UINT32_C(1) << q->type
                                                                      : 0;

    if (q->who == NULL || (unsigned)q->action >= ACTION_COUNT) {
        return (struct policy_verdict){ 0 };
    }
    if (his == NULL) {
        policy_rules_of(p, q->who, &found);
        his = &found;
    }
    for (size_t i = next_rule(his, 0); i < p->parts.rule_count; i = next_rule(his, i + 1)) {
        const struct policy_rule *rule = &p->parts.rules[i];
        const struct policy_rule **first = rule->allow ? first_allow : first_deny;
        uint32_t types = rule->types & wanted;

        if (types == 0 || (rule->actions >> q->action & 1) == 0 ||
            !domain_matches(rule, q->domain)) {
            continue;
        }
        for (unsigned type = 0; type < RESOURCE_TYPE_COUNT; type++) {
            if ((types >> type & 1) != 0 && first[type] == NULL) {
                first[type] = rule;
            }
        }
    }
    for (unsigned type = 0; type < RESOURCE_TYPE_COUNT; type++) {
        if (first_allow[type] != NULL && first_deny[type] == NULL) {
            return verdict(true, first_allow[type]);
        }
        if (denied_by == NULL) {
            denied_by = first_deny[type];
        }
    }
    return denied_by != NULL ? verdict(false, denied_by) : (struct policy_verdict){ 0 };
}

bool policy_find(const struct policy *p, const struct policy_question *q, bool allow,
                 enum policy_domain_part part, struct policy_verdict *out)
{
    static const enum domain_pattern_kind kinds[] = {
        [POLICY_BY_NAME] = DOMAIN_PATTERN_NAME,
        [POLICY_BY_UUID] = DOMAIN_PATTERN_UUID,
        [POLICY_BY_TAG] = DOMAIN_PATTERN_TAG,
    };

    for (size_t i = 0; i < p->parts.rule_count; i++) {
        const struct policy_rule *rule = &p->parts.rules[i];
        bool has_kind = false;

        for (size_t n = 0; n < rule->domain_count; n++) {
            has_kind |= rule->domains[n].kind == kinds[part];
        }
        if (has_kind && rule->allow == allow && (rule->types >> q->type & 1) != 0 &&
            (rule->actions >> q->action & 1) != 0 && rule_is_for(rule, q->who) &&
            !domain_matches(rule, q->domain)) {
            *out = verdict(allow, rule);
            return true;
        }
    }
    return false;
}

/* --- limits ----------------------------------------------------------------------------------- */

static uint64_t smaller_set(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

void policy_limits_of(const struct policy *p, const struct identity *who, struct policy_limits *out)
{
    struct policy_limits least = { 0 };

    for (size_t i = 0; i < p->parts.section_count; i++) {
        const struct policy_limit_section *section = &p->parts.sections[i];
        const struct policy_limits *l = &section->limits;

        if (!identity_matches(&section->identities, who)) {
            continue;
        }
        least.requests_per_second = smaller_set(least.requests_per_second, l->requests_per_second);
        least.bytes_per_second = smaller_set(least.bytes_per_second, l->bytes_per_second);
        least.snapshots = (uint32_t)smaller_set(least.snapshots, l->snapshots);
        least.streams = (uint32_t)smaller_set(least.streams, l->streams);
        least.spool_mib = (uint32_t)smaller_set(least.spool_mib, l->spool_mib);
        least.pauses_per_second =
            (uint32_t)smaller_set(least.pauses_per_second, l->pauses_per_second);
    }
    *out = least;
}
