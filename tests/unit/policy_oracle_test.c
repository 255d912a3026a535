/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Random files of rules and limits, read by auth/policy_file and asked by auth/policy, against the manual
 * page as tests/lib/policy_oracle.h spells it. The seed is fixed.
 */
#include "tests/lib/policy_oracle.h"

#include <stdio.h>

#include "auth/policy_file.h"

enum { POLICIES = 6000, QUESTIONS = 40, LIMITS_MAX = 4 };

#define PICK(words) (words)[oracle_pick(sizeof(words) / sizeof((words)[0]))]

static const char *const identities[] = {
    "all",
    "cn:*",
    "cn:alice",
    "cn:b?b",
    "dns:*",
    "jwt:corp:*",
    "jwt:*",
    "token:ci",
    "group:ops",
    "group:dev*",
    "group:*",
    "group:none",
    "spiffe:spiffe://example.org/?",
};
static const char *const domains[] = {
    "all",
    "dom0",
    "name:*",
    "name:web-?",
    "name:db",
    "tag:prod",
    "tag:web",
    "tag:none",
    "name:Domain-0",
    "uuid:01000000-0000-0000-0000-000000000000",
    "uuid:04000000-0000-0000-0000-000000000000",
};

static void add(struct oracle_list *list, const char *word)
{
    memcpy(list->words[list->count++], word, strlen(word) + 1);
}

static void random_rule(struct oracle_rule *r)
{
    memset(r, 0, sizeof(*r));
    r->allow = oracle_pick(3) > 0;
    r->require_bound = r->allow && oracle_pick(4) == 0;
    for (unsigned i = 0; i <= oracle_pick(3); i++) {
        add(&r->identities, PICK(identities));
        add(&r->domains, PICK(domains));
    }
    for (unsigned i = 0; i <= oracle_pick(3); i++) {
        unsigned type = oracle_pick(RESOURCE_TYPE_COUNT + 2);

        add(&r->types, type < RESOURCE_TYPE_COUNT ? resource_type_name(type) : "all");
        unsigned action = oracle_pick(ACTION_COUNT + 3);

        add(&r->actions, action < ACTION_COUNT ? action_name((enum action)action) : "all");
    }
}

static void write_list(struct buffer *text, const char *name, const struct oracle_list *list)
{
    buffer_printf(text, "    %s = {", name);
    for (size_t i = 0; i < list->count; i++) {
        buffer_printf(text, "%s \"%s\"", i > 0 ? "," : "", list->words[i]);
    }
    buffer_append_string(text, " }\n");
}

static void write_rule(struct buffer *text, size_t number, const struct oracle_rule *r)
{
    buffer_printf(text, "rule \"r%zu\" {\n    effect = %s\n", number, r->allow ? "allow" : "deny");
    write_list(text, "identities", &r->identities);
    write_list(text, "domains", &r->domains);
    write_list(text, "types", &r->types);
    write_list(text, "actions", &r->actions);
    if (r->require_bound || (oracle_pick(8) == 0)) {
        buffer_printf(text, "    require_bound = %s\n", r->require_bound ? "true" : "false");
    }
    buffer_append_string(text, "}\n");
}

static struct policy *parse(struct buffer *text)
{
    BUFFER_AUTO(faults, 1 << 20);
    struct policy *policy = NULL;

    assert_non_null(buffer_string(text));
    if (policy_file_parse("p", (char *)text->data, text->len_bytes, &policy, &faults, NULL) != 0) {
        fail_msg("%s", buffer_string(&faults));
    }
    return policy;
}

static bool same(const struct policy_verdict *a, const struct policy_verdict *b)
{
    return a->allowed == b->allowed && a->rule == b->rule && a->line == b->line;
}

/* By rules that were found out beforehand the verdict is the same, its rule too. */
static bool same_beforehand(const struct policy *policy, struct policy_question q,
                            const struct policy_verdict *expected)
{
    struct policy_rules his, about;

    if (q.who == NULL) {
        return true;
    }
    policy_rules_of(policy, q.who, &his);
    q.rules = &his;
    struct policy_verdict found = policy_decide(policy, &q);

    if (!same(&found, expected) || q.domain == NULL) {
        return same(&found, expected);
    }
    policy_rules_about(policy, &his, q.domain, &about);
    q.rules = &about;
    found = policy_decide(policy, &q);
    return same(&found, expected);
}

static void it_decides_as_the_manual_page_in_240000_cases(void **state)
{
    static struct oracle_policy p;
    unsigned allowed = 0;

    (void)state;
    for (int i = 0; i < POLICIES; i++) {
        BUFFER_AUTO(text, 1 << 20);

        p.count = 1 + oracle_pick(8);
        for (size_t r = 0; r < p.count; r++) {
            random_rule(&p.rules[r]);
            write_rule(&text, r, &p.rules[r]);
        }
        struct policy *policy = parse(&text);

        for (int c = 0; c < QUESTIONS; c++) {
            unsigned number = oracle_pick(ORACLE_QUESTIONS);
            struct policy_question q = oracle_question(number);
            bool expected = oracle_allows(&p, &q, SIZE_MAX);
            struct policy_verdict found = policy_decide(policy, &q);

            if (found.allowed != expected || !same_beforehand(policy, q, &found)) {
                fail_msg("policy %d, question %u: expected %d", i, number, expected);
            }
            allowed += expected;
        }
        policy_unref(policy);
    }
    /* There are enough of both. */
    assert_in_range(allowed, POLICIES * QUESTIONS / 20, POLICIES * QUESTIONS / 2);
}

/* --- limits -------------------------------------------------------------------------------------- */

struct section {
    const char *identity;
    unsigned requests, streams; /* 0: not there */
};

static unsigned least(const struct section *sections, size_t count, const struct identity *who,
                      bool of_streams)
{
    unsigned smallest = 0;

    for (size_t i = 0; i < count; i++) {
        struct oracle_rule r = { .identities.count = 1 };
        unsigned value = of_streams ? sections[i].streams : sections[i].requests;

        memcpy(r.identities.words[0], sections[i].identity, strlen(sections[i].identity) + 1);
        if (oracle_is(&r, who) && value > 0 && (smallest == 0 || value < smallest)) {
            smallest = value;
        }
    }
    return smallest;
}

static void limits_are_the_smallest_of_those_that_match(void **state)
{
    (void)state;
    for (int i = 0; i < POLICIES; i++) {
        struct section sections[LIMITS_MAX];
        size_t count = oracle_pick(LIMITS_MAX + 1);
        BUFFER_AUTO(text, 1 << 20);

        buffer_append_string(&text, "rule \"r\" { effect = deny identities = all domains = all "
                                    "types = all actions = all }\n");
        for (size_t s = 0; s < count; s++) {
            sections[s] = (struct section){ PICK(identities), oracle_pick(4), 1 + oracle_pick(4) };
            buffer_printf(&text, "limits \"l%zu\" {\nidentities = \"%s\"\nstreams = %u\n", s,
                          sections[s].identity, sections[s].streams);
            if (sections[s].requests > 0) {
                buffer_printf(&text, "requests_per_second = %u\n", sections[s].requests);
            }
            buffer_append_string(&text, "}\n");
        }
        struct policy *policy = parse(&text);

        for (size_t c = 0; c < ORACLE_CALLERS; c++) {
            struct policy_limits limits;

            policy_limits_of(policy, &oracle_callers[c], &limits);
            assert_int_equal(limits.requests_per_second,
                             least(sections, count, &oracle_callers[c], false));
            assert_int_equal(limits.streams, least(sections, count, &oracle_callers[c], true));
            assert_int_equal(limits.snapshots, 0);
        }
        policy_unref(policy);
    }
}

/* The first, the last, and those at the borders of what is remembered of them. */
static void rules_count_wherever_they_stand(void **state)
{
    const unsigned places[] = { 0, 1, 63, 64, 65, 127, 128, POLICY_RULES_MAX - 1 };
    BUFFER_AUTO(text, POLICY_FILE_MAX_BYTES);

    (void)state;
    for (unsigned n = 0; n < POLICY_RULES_MAX; n++) {
        buffer_printf(&text,
                      "rule \"r%u\" {\n effect = allow\n identities = { \"cn:c%u\" }\n"
                      " domains = { \"all\" }\n types = { \"all\" }\n actions = { \"list\" }\n}\n",
                      n, n);
    }
    struct policy *policy = parse(&text);

    for (unsigned n = 0; n < POLICY_RULES_MAX; n++) {
        struct identity who = { .text = "" };
        const struct domain_identity domain = { .domid = 1, .name = "web-1" };
        const struct policy_question q = { .who = &who, .domain = &domain, .action = ACTION_LIST };
        char name[16];

        (void)snprintf(who.text, sizeof who.text, "cn:c%u", n);
        (void)snprintf(name, sizeof name, "r%u", n);
        struct policy_verdict v = policy_decide(policy, &q);

        assert_true(v.allowed);
        assert_string_equal(v.rule, name);
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct identity who = { .text = "" };
        struct policy_rules rules;

        (void)snprintf(who.text, sizeof who.text, "cn:c%u", places[i]);
        policy_rules_of(policy, &who, &rules);
        for (unsigned word = 0; word < POLICY_RULES_WORDS; word++) {
            assert_int_equal(rules.words[word],
                             word == places[i] / 64 ? UINT64_C(1) << places[i] % 64 : 0);
        }
    }
    policy_unref(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_count_wherever_they_stand),
        cmocka_unit_test(it_decides_as_the_manual_page_in_240000_cases),
        cmocka_unit_test(limits_are_the_smallest_of_those_that_match),
    };

    return UNIT_RUN(tests);
}
