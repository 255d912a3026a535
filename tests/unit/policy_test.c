/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/policy_rule.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/unit.h"

/* One identity pattern and one domain pattern: what a rule is to most tests here. */
struct small_rule {
    bool allow;
    const char *identity;
    enum domain_pattern_kind kind;
    const char *name;
    uint8_t uuid; /* its first byte */
    uint32_t types, actions;
};

static char *copy_of(const char *text)
{
    char *copy = strdup(text);

    assert_non_null(copy);
    return copy;
}

static void add_domain(struct policy_rule *rule, const struct small_rule *small)
{
    struct domain_pattern *pattern = &rule->domains[rule->domain_count++];

    pattern->kind = small->kind;
    pattern->uuid[0] = small->uuid;
    pattern->glob = small->kind == DOMAIN_PATTERN_NAME ? copy_of(small->name) : NULL;
}

static struct policy *policy_of(const struct small_rule *small, size_t count)
{
    struct policy_rule *rules = calloc(count + 1, sizeof *rules);
    struct policy *policy = NULL;

    assert_non_null(rules);
    for (size_t i = 0; i < count; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "rule %zu", i);
        rules[i] = (struct policy_rule){ .name = copy_of(name),
                                         .line = (unsigned)i + 1,
                                         .allow = small[i].allow,
                                         .types = small[i].types,
                                         .actions = small[i].actions };
        rules[i].identities.patterns = calloc(1, sizeof *rules[i].identities.patterns);
        rules[i].domains = calloc(1, sizeof *rules[i].domains);
        assert_true(rules[i].identities.patterns != NULL && rules[i].domains != NULL);
        rules[i].identities.patterns[rules[i].identities.count++].glob = copy_of(small[i].identity);
        add_domain(&rules[i], &small[i]);
    }
    assert_int_equal(
        policy_new(&(struct policy_parts){ .rules = rules, .rule_count = count }, &policy, NULL),
        0);
    return policy;
}

static const struct identity alice = { .text = "cn:alice" }, bob = { .text = "cn:bob" };
static const struct domain_identity web = { .domid = 1, .name = "web-1", .uuid = { 7 } },
                                    dom0 = { .domid = 0, .name = "Domain-0" },
                                    nameless = { .domid = 2 }, cut = { .domid = 3, .name_cut = 1 };

#define ALL_TYPES   POLICY_ALL_TYPES
#define ALL_ACTIONS POLICY_ALL_ACTIONS

static struct policy_verdict decide(const struct small_rule *small, size_t count,
                                    const struct identity *who,
                                    const struct domain_identity *domain, int type)
{
    struct policy *policy = policy_of(small, count);
    struct policy_question q = {
        .who = who, .domain = domain, .type = type, .action = ACTION_SNAPSHOT
    };
    struct policy_verdict v = policy_decide(policy, &q);

    if (v.rule != NULL) { /* it lives no longer than the policy */
        assert_memory_equal(v.rule, "rule ", 5);
        assert_int_equal(v.line, strtoul(v.rule + 5, NULL, 10) + 1);
        v.rule = "";
    }
    policy_unref(policy);
    return v;
}

static bool allows(const struct small_rule *small, size_t count,
                   const struct domain_identity *domain)
{
    return decide(small, count, &alice, domain, RESOURCE_GRANT_TABLE).allowed;
}

static void nothing_is_allowed_by_no_rule(void **state)
{
    struct policy_verdict v = decide(NULL, 0, &alice, &web, RESOURCE_GRANT_TABLE);

    (void)state;
    assert_false(v.allowed);
    assert_null(v.rule);
    assert_int_equal(v.line, 0);
}

static void a_rule_allows_what_it_says_and_no_more(void **state)
{
    const struct small_rule rule[] = { { true, "cn:al*", DOMAIN_PATTERN_NAME, "web-?", 0,
                                         1 << RESOURCE_GRANT_TABLE, 1 << ACTION_SNAPSHOT } };
    const struct domain_identity other = { .domid = 4, .name = "web-10" };
    struct policy *policy = policy_of(rule, 1);
    struct policy_question q = {
        .who = &alice, .domain = &web, .type = RESOURCE_GRANT_TABLE, .action = ACTION_SNAPSHOT
    };

    (void)state;
    assert_true(policy_decide(policy, &q).allowed);
    q.action = ACTION_LIST;
    assert_false(policy_decide(policy, &q).allowed);
    q = (struct policy_question){
        .who = &bob, .domain = &web, .type = RESOURCE_GRANT_TABLE, .action = ACTION_SNAPSHOT
    };
    assert_false(policy_decide(policy, &q).allowed);
    q = (struct policy_question){
        .who = &alice, .domain = &web, .type = RESOURCE_IOREQ_SERVER, .action = ACTION_SNAPSHOT
    };
    assert_false(policy_decide(policy, &q).allowed);
    q = (struct policy_question){
        .who = &alice, .domain = &other, .type = RESOURCE_GRANT_TABLE, .action = ACTION_SNAPSHOT
    };
    assert_false(policy_decide(policy, &q).allowed);
    policy_unref(policy);
}

static void deny_wins_in_any_order(void **state)
{
    const struct small_rule allow = {
        true, "*", DOMAIN_PATTERN_ALL, NULL, 0, ALL_TYPES, ALL_ACTIONS
    };
    const struct small_rule deny = { false,
                                     "cn:alice",
                                     DOMAIN_PATTERN_UUID,
                                     NULL,
                                     7,
                                     1 << RESOURCE_GRANT_TABLE,
                                     1 << ACTION_SNAPSHOT };
    const struct small_rule first[] = { deny, allow }, last[] = { allow, deny };

    (void)state;
    assert_false(allows(first, 2, &web));
    assert_false(allows(last, 2, &web));
    assert_true(allows(first, 2, &nameless));
    assert_true(decide(last, 2, &bob, &web, RESOURCE_GRANT_TABLE).allowed);
    assert_true(decide(last, 2, &alice, &web, RESOURCE_IOREQ_SERVER).allowed);
}

static void dom0_is_allowed_by_its_name_alone(void **state)
{
    struct small_rule rule = { true, "*", DOMAIN_PATTERN_ALL, NULL, 0, ALL_TYPES, ALL_ACTIONS };

    (void)state;
    assert_false(allows(&rule, 1, &dom0));
    rule.kind = DOMAIN_PATTERN_NAME;
    rule.name = "*";
    assert_false(allows(&rule, 1, &dom0));
    rule.kind = DOMAIN_PATTERN_UUID;
    assert_false(allows(&rule, 1, &dom0));
    rule.kind = DOMAIN_PATTERN_DOM0;
    assert_true(allows(&rule, 1, &dom0));
    assert_false(allows(&rule, 1, &web));
}

static void dom0_is_denied_by_whatever_fits(void **state)
{
    struct small_rule rules[] = {
        { true, "*", DOMAIN_PATTERN_DOM0, NULL, 0, ALL_TYPES, ALL_ACTIONS },
        { false, "*", DOMAIN_PATTERN_ALL, NULL, 0, ALL_TYPES, ALL_ACTIONS },
    };

    (void)state;
    assert_true(allows(rules, 1, &dom0));
    assert_false(allows(rules, 2, &dom0));
    rules[1].kind = DOMAIN_PATTERN_NAME;
    rules[1].name = "Domain-*";
    assert_false(allows(rules, 2, &dom0));
    rules[1].name = "web-*";
    assert_true(allows(rules, 2, &dom0));
}

static void a_name_that_is_not_known_is_allowed_by_no_name_pattern(void **state)
{
    const struct small_rule rule = {
        true, "*", DOMAIN_PATTERN_NAME, "*", 0, ALL_TYPES, ALL_ACTIONS
    };

    (void)state;
    assert_true(allows(&rule, 1, &web));
    assert_false(allows(&rule, 1, &cut));
    assert_false(allows(&rule, 1, &nameless));
}

static void a_name_that_is_not_known_dodges_no_deny_rule(void **state)
{
    const struct small_rule rules[] = {
        { true, "*", DOMAIN_PATTERN_ALL, NULL, 0, ALL_TYPES, ALL_ACTIONS },
        { false, "*", DOMAIN_PATTERN_NAME, "vault-*", 0, ALL_TYPES, ALL_ACTIONS },
    };

    (void)state;
    assert_true(allows(rules, 2, &web));
    assert_false(allows(rules, 2, &cut));
    assert_false(allows(rules, 2, &nameless));
}

static void any_type_is_one_that_is_allowed_and_not_denied(void **state)
{
    const struct small_rule rules[] = {
        { true, "*", DOMAIN_PATTERN_ALL, NULL, 0, 1 << 0 | 1 << 1, ALL_ACTIONS },
        { false, "*", DOMAIN_PATTERN_ALL, NULL, 0, 1 << 0, ALL_ACTIONS },
        { false, "*", DOMAIN_PATTERN_ALL, NULL, 0, 1 << 1, ALL_ACTIONS },
    };

    (void)state;
    assert_true(decide(rules, 2, &alice, &web, -1).allowed);
    assert_false(decide(rules, 3, &alice, &web, -1).allowed);
}

static void any_domain_is_denied_by_deny_rules_for_all_only(void **state)
{
    struct small_rule rules[] = {
        { true, "*", DOMAIN_PATTERN_DOM0, NULL, 0, ALL_TYPES, ALL_ACTIONS },
        { false, "*", DOMAIN_PATTERN_NAME, "*", 0, ALL_TYPES, ALL_ACTIONS },
    };

    (void)state;
    assert_true(allows(rules, 2, NULL));
    rules[1].kind = DOMAIN_PATTERN_ALL;
    assert_false(allows(rules, 2, NULL));
    rules[1].types = 1 << RESOURCE_IOREQ_SERVER;
    assert_true(allows(rules, 2, NULL));
    assert_false(allows(NULL, 0, NULL));
}

static void what_is_no_type_or_nobody_is_denied(void **state)
{
    const struct small_rule rule = { true, "*", DOMAIN_PATTERN_ALL, NULL, 0, ~0U, ~0U };

    (void)state;
    assert_false(decide(&rule, 1, &alice, &web, RESOURCE_TYPE_COUNT).allowed);
    assert_false(decide(&rule, 1, &alice, &web, -2).allowed);
    assert_false(decide(&rule, 1, &alice, &web, 1000).allowed);
    assert_false(decide(&rule, 1, NULL, &web, RESOURCE_GRANT_TABLE).allowed);
}

static void the_first_rule_that_decided_is_named(void **state)
{
    const struct small_rule rules[] = {
        { true, "cn:bob", DOMAIN_PATTERN_ALL, NULL, 0, ALL_TYPES, ALL_ACTIONS },
        { true, "*", DOMAIN_PATTERN_ALL, NULL, 0, ALL_TYPES, ALL_ACTIONS },
        { true, "*", DOMAIN_PATTERN_ALL, NULL, 0, ALL_TYPES, ALL_ACTIONS },
        { false, "*", DOMAIN_PATTERN_UUID, NULL, 7, ALL_TYPES, ALL_ACTIONS },
        { false, "*", DOMAIN_PATTERN_ALL, NULL, 0, ALL_TYPES, ALL_ACTIONS },
    };

    (void)state;
    assert_int_equal(decide(rules, 3, &alice, &web, -1).line, 2);
    assert_int_equal(decide(rules, 5, &alice, &web, -1).line, 4);
}

static void action_names_come_back(void **state)
{
    (void)state;
    for (int i = 0; i < ACTION_COUNT; i++) {
        assert_int_equal(action_from_name(action_name((enum action)i)), i);
    }
    assert_int_equal(action_from_name("trace"), -1);
    assert_int_equal(action_from_name(""), -1);
    assert_string_equal(action_name(ACTION_TRACE_CONTROL), "trace.control");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_allowed_by_no_rule),
        cmocka_unit_test(a_rule_allows_what_it_says_and_no_more),
        cmocka_unit_test(deny_wins_in_any_order),
        cmocka_unit_test(dom0_is_allowed_by_its_name_alone),
        cmocka_unit_test(dom0_is_denied_by_whatever_fits),
        cmocka_unit_test(a_name_that_is_not_known_is_allowed_by_no_name_pattern),
        cmocka_unit_test(a_name_that_is_not_known_dodges_no_deny_rule),
        cmocka_unit_test(any_type_is_one_that_is_allowed_and_not_denied),
        cmocka_unit_test(any_domain_is_denied_by_deny_rules_for_all_only),
        cmocka_unit_test(what_is_no_type_or_nobody_is_denied),
        cmocka_unit_test(the_first_rule_that_decided_is_named),
        cmocka_unit_test(action_names_come_back),
    };

    return UNIT_RUN(tests);
}
