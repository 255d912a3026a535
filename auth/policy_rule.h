/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a policy is made of: for policy_file, which builds one, and policy, which decides by it.
 * Plain data until policy_new() takes it.
 */
#ifndef XENRES_AUTH_POLICY_RULE_H
#define XENRES_AUTH_POLICY_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/policy.h"

enum domain_pattern_kind {
    DOMAIN_PATTERN_ALL, /* in an allow rule: all but dom0 */
    DOMAIN_PATTERN_DOM0,
    DOMAIN_PATTERN_NAME,
    DOMAIN_PATTERN_UUID,
    DOMAIN_PATTERN_TAG,
};

struct domain_pattern {
    enum domain_pattern_kind kind;
    uint8_t uuid[UUID_BYTES];
    char *glob; /* of a name; the tag itself */
};

enum identity_pattern_kind {
    IDENTITY_PATTERN_TEXT,  /* the whole identity, its kind included */
    IDENTITY_PATTERN_GROUP, /* any of its groups */
};

struct identity_pattern {
    enum identity_pattern_kind kind;
    char *glob;
};

struct identity_list {
    struct identity_pattern *patterns;
    size_t count;
};

struct policy_rule {
    char *name;
    unsigned line;
    bool allow;
    bool require_bound; /* of an allow rule: matches who is bound alone */
    struct identity_list identities;
    struct domain_pattern *domains;
    size_t domain_count;
    uint32_t types;   /* bit n: enum resource_type n */
    uint32_t actions; /* bit n: enum action n */
};

#define POLICY_ALL_TYPES   ((UINT32_C(1) << RESOURCE_TYPE_COUNT) - 1)
#define POLICY_ALL_ACTIONS ((UINT32_C(1) << ACTION_COUNT) - 1)
/* What "all" means in an allow rule: what changes a guest or the gateway has to be named. */
#define POLICY_ALLOW_ALL_ACTIONS                                                                   \
    (POLICY_ALL_ACTIONS & ~(UINT32_C(1) << ACTION_TRACE_CONTROL | UINT32_C(1) << ACTION_ADMIN))

struct policy_limit_section {
    char *name;
    unsigned line;
    struct identity_list identities;
    struct policy_limits limits; /* 0: not set */
};

/* What a policy is made of: everything in it is from malloc(). */
struct policy_parts {
    struct policy_rule *rules;
    size_t rule_count;
    struct policy_limit_section *sections;
    size_t section_count;
};
void policy_parts_done(struct policy_parts *parts);

/* Takes the parts, in any case. */
int policy_new(struct policy_parts *parts, struct policy **out, struct failure *f);
/* Before anybody else has it: what it was read from. */
void policy_set_text(struct policy *p, const char *text, size_t len_bytes);

#endif
