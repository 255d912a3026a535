/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/policy_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/unit.h"

/* A rule with one part exchanged: tests say only what they are about. */
#define RULE(name, effect, identities, domains, types, actions)                                    \
    "rule \"" name "\" {\n" effect "\n" identities "\n" domains "\n" types "\n" actions "\n}\n"
#define EFFECT     "effect = allow"
#define IDENTITIES "identities = { \"cn:alice\" }"
#define DOMAINS    "domains = { \"all\" }"
#define TYPES      "types = { \"all\" }"
#define ACTIONS    "actions = { \"all\" }"
#define GOOD       RULE("good", EFFECT, IDENTITIES, DOMAINS, TYPES, ACTIONS)

static struct policy *load(const char *text, struct buffer *faults)
{
    char *copy = strdup(text);
    struct policy *policy = NULL;
    struct failure f = { 0 };
    int result;

    assert_non_null(copy);
    buffer_init(faults, 65536);
    result = policy_file_parse("p.conf", copy, strlen(copy), &policy, faults, &f);
    free(copy);
    assert_int_equal(result, policy != NULL ? 0 : -ERROR_INVALID_ARGUMENT);
    assert_int_equal(faults->len_bytes > 0, policy == NULL);
    return policy;
}

static void assert_good(const char *text)
{
    BUFFER_AUTO(faults, 0);
    struct policy *policy = load(text, &faults);

    if (policy == NULL) {
        fail_msg("%s", buffer_string(&faults));
    }
    policy_unref(policy);
}

static void assert_faults(const char *text, const char *expected)
{
    BUFFER_AUTO(faults, 0);

    assert_null(load(text, &faults));
    assert_string_equal(buffer_string(&faults), expected);
}

/* The one fault's beginning: its wording behind that may get better. */
static void assert_fault(const char *text, const char *begins)
{
    BUFFER_AUTO(faults, 0);

    assert_null(load(text, &faults));
    if (strncmp(buffer_string(&faults), begins, strlen(begins)) != 0) {
        fail_msg("expected \"%s\", found \"%s\"", begins, buffer_string(&faults));
    }
    assert_ptr_equal(strchr(buffer_string(&faults), '\n'),
                     buffer_string(&faults) + faults.len_bytes - 1);
}

static bool allows(const char *text, const char *who, const struct domain_identity *domain,
                   int type, enum action action)
{
    BUFFER_AUTO(faults, 0);
    struct policy *policy = load(text, &faults);
    struct identity identity = { 0 };
    struct policy_question q = {
        .who = &identity, .domain = domain, .type = type, .action = action
    };
    bool allowed;

    if (policy == NULL) {
        fail_msg("%s", buffer_string(&faults));
    }
    strcpy(identity.text, who);
    allowed = policy_decide(policy, &q).allowed;
    policy_unref(policy);
    return allowed;
}

static const struct domain_identity web = { .domid = 5,
                                            .name = "web-1",
                                            .uuid = { 0x6f, 0x1c, 0x3b, 0x0e, 0x8f, 0x1d, 0x4b,
                                                      0x52, 0x9d, 0x4e, 0x2f, 0x6a, 0x1c, 0x0b,
                                                      0x7e, 0x55 } };
static const struct domain_identity dom0 = { .domid = 0, .name = "Domain-0" };

static void a_rule_is_read_as_it_stands(void **state)
{
    static const char text[] =
        RULE("r", EFFECT, "identities = { \"dns:a*\", \"cn:bob\" }",
             "domains = { \"uuid:6F1C3B0E-8f1d-4b52-9d4e-2f6a1c0b7e55\" }",
             "types = { grant_table, \"vmtrace_buf\" }", "actions = snapshot");

    (void)state;
    assert_true(allows(text, "cn:bob", &web, RESOURCE_GRANT_TABLE, ACTION_SNAPSHOT));
    assert_true(allows(text, "dns:a.b", &web, RESOURCE_VMTRACE_BUF, ACTION_SNAPSHOT));
    assert_false(allows(text, "cn:bo", &web, RESOURCE_GRANT_TABLE, ACTION_SNAPSHOT));
    assert_false(allows(text, "cn:bob", &web, RESOURCE_IOREQ_SERVER, ACTION_SNAPSHOT));
    assert_false(allows(text, "cn:bob", &web, RESOURCE_GRANT_TABLE, ACTION_DECODE));
    assert_false(allows(text, "cn:bob", &dom0, RESOURCE_GRANT_TABLE, ACTION_SNAPSHOT));
}

static void all_in_an_allow_rule_leaves_out_what_has_to_be_named(void **state)
{
    static const char named[] = RULE("n", EFFECT, IDENTITIES, "domains = { \"all\", \"dom0\" }",
                                     TYPES, "actions = { \"all\", \"trace.control\", \"admin\" }");

    (void)state;
    assert_true(allows(GOOD, "cn:alice", &web, -1, ACTION_TRACE_READ));
    assert_false(allows(GOOD, "cn:alice", &web, -1, ACTION_TRACE_CONTROL));
    assert_false(allows(GOOD, "cn:alice", &web, -1, ACTION_ADMIN));
    assert_false(allows(GOOD, "cn:alice", &dom0, -1, ACTION_LIST));
    assert_true(allows(named, "cn:alice", &web, -1, ACTION_TRACE_CONTROL));
    assert_true(allows(named, "cn:alice", &web, -1, ACTION_ADMIN));
    assert_true(allows(named, "cn:alice", &dom0, -1, ACTION_LIST));
}

static void all_in_a_deny_rule_leaves_out_nothing(void **state)
{
    static const char text[] = RULE("a", EFFECT, "identities = all", "domains = { \"dom0\" }",
                                    TYPES, "actions = { \"admin\", \"trace.control\" }")
        RULE("d", "effect = deny", IDENTITIES, DOMAINS, TYPES, ACTIONS);

    (void)state;
    assert_true(allows(text, "cn:bob", &dom0, -1, ACTION_ADMIN));
    assert_false(allows(text, "cn:alice", &dom0, -1, ACTION_ADMIN));
    assert_false(allows(text, "cn:alice", &dom0, -1, ACTION_TRACE_CONTROL));
}

static void comments_do_not_move_the_lines(void **state)
{
    (void)state;
    assert_good("# one\n// two\n/* three\n four */\n" GOOD);
    assert_fault(
        "# one\n// two\n/* three\n four */\n\n" RULE("a", "bogus = 1 " EFFECT, IDENTITIES, DOMAINS,
                                                     TYPES, ACTIONS),
        "p.conf:7: no such option 'bogus'; expected one of: effect, identities, domains, types, "
        "actions, require_bound");
}

static void every_fault_is_said(void **state)
{
    (void)state;
    assert_faults(
        "rule \"one\" {\n"
        "    effect = permit\n"
        "    identities = { \"alice\",\n"
        "                   \"dns:Host\" }\n"
        "    domains = { \"web-1\", \"uuid:12\" }\n"
        "    types = { \"grant\" }\n"
        "    actions = { \"read\" }\n"
        "}\n"
        "rule \"two\" {\n"
        "    efect = allow\n"
        "    types = all\n"
        "    types = all\n"
        "}\n",
        "p.conf:10: no such option 'efect'; expected one of: effect, identities, domains, types, "
        "actions, require_bound\n"
        "p.conf:12: types stands twice in one section\n"
        "p.conf:2: effect \"permit\": expected allow or deny\n"
        "p.conf:3: identity \"alice\": expected all, or a pattern that begins with "
        "spiffe:, dns:, cn:, jwt:, token: or group:\n"
        "p.conf:4: identity \"dns:Host\": names of hosts are compared in lower case: "
        "write them so\n"
        "p.conf:5: domain \"web-1\": expected all, dom0, name:PATTERN, uuid:UUID or tag:TAG\n"
        "p.conf:5: domain \"uuid:12\": expected uuid: and 8-4-4-4-12 hexadecimal digits\n"
        "p.conf:6: type \"grant\": expected one of all, ioreq_server, grant_table, "
        "vmtrace_buf, vcpu_stats\n"
        "p.conf:7: action \"read\": expected one of all, list, snapshot, watch, decode, "
        "trace.read, "
        "trace.control, admin\n"
        "p.conf:9: rule \"two\" has no effect; expected effect = allow or deny\n"
        "p.conf:9: rule \"two\" has no identities; expected a list with at least one\n"
        "p.conf:9: rule \"two\" has no domains; expected a list with at least one\n"
        "p.conf:9: rule \"two\" has no actions; expected a list with at least one\n");
}

static void identities_that_nobody_has_are_faults(void **state)
{
    (void)state;
#define IDENTITY_FAULT(pattern)                                                                    \
    assert_fault(RULE("r", EFFECT, "identities = { \"" pattern "\" }", DOMAINS, TYPES, ACTIONS),   \
                 "p.conf:3: identity \"" pattern "\"")
    IDENTITY_FAULT("");
    IDENTITY_FAULT("*");
    IDENTITY_FAULT("cn:");
    IDENTITY_FAULT("cn:a b");
    IDENTITY_FAULT("spiffe:example.org/a");
    IDENTITY_FAULT("spiffe:SPIFFE://example.org/a");
    assert_good(RULE("r", EFFECT, "identities = { \"spiffe:*\", \"spiffe:spi*\", \"cn:?\" }",
                     DOMAINS, TYPES, ACTIONS));
}

static void domains_that_mean_nothing_are_faults(void **state)
{
    (void)state;
#define DOMAIN_FAULT(pattern)                                                                      \
    assert_fault(RULE("r", EFFECT, IDENTITIES, "domains = { \"" pattern "\" }", TYPES, ACTIONS),   \
                 "p.conf:4: domain \"" pattern "\"")
    DOMAIN_FAULT("");
    DOMAIN_FAULT("*");
    DOMAIN_FAULT("5");
    DOMAIN_FAULT("name:");
    DOMAIN_FAULT("uuid:");
    DOMAIN_FAULT("uuid:00000000-0000-0000-0000-000000000000");
    assert_good(RULE("r", "effect = deny", IDENTITIES,
                     "domains = { \"uuid:00000000-0000-0000-0000-000000000000\" }", TYPES,
                     ACTIONS));
}

static void identities_of_tokens_and_groups_are_read(void **state)
{
    (void)state;
    IDENTITY_FAULT("group:");
    IDENTITY_FAULT("jwt:corp");
    IDENTITY_FAULT("jwt:");
    IDENTITY_FAULT("token:");
    IDENTITY_FAULT("token:a b");
    assert_good(
        RULE("r", EFFECT,
             "identities = { \"group:Domain Admins\", \"jwt:*\", \"jwt:corp:a\", \"token:?\" }",
             DOMAINS, TYPES, ACTIONS));
}

static void groups_and_identities_have_maxima(void **state)
{
    char pattern[IDENTITY_TEXT_BYTES + 1], text[2048];

    (void)state;
    for (size_t len = IDENTITY_GROUPS_BYTES - 2; len <= IDENTITY_GROUPS_BYTES - 1; len++) {
        memset(pattern, 'g', len);
        pattern[len] = '\0';
        (void)snprintf(text, sizeof text,
                       RULE("r", EFFECT, "identities = \"group:%s\"", DOMAINS, TYPES, ACTIONS),
                       pattern);
        if (len < IDENTITY_GROUPS_BYTES - 1) {
            assert_good(text);
        } else {
            assert_fault(text, "p.conf:3: identity \"group:ggg");
        }
    }
}

static void tags_are_words_and_no_patterns(void **state)
{
    (void)state;
    DOMAIN_FAULT("tag:");
    DOMAIN_FAULT("tag:Prod");
    DOMAIN_FAULT("tag:prod*");
    DOMAIN_FAULT("tag:aaaaaaaaaabbbbbbbbbbccccccccccdd");
    assert_good(RULE("r", EFFECT, IDENTITIES,
                     "domains = { \"tag:aaaaaaaaaabbbbbbbbbbccccccccccd\", \"tag:a-1\" }", TYPES,
                     ACTIONS));
}

static void a_tag_is_one_of_the_domain_and_unknown_ones_are_denied(void **state)
{
    static const char allow[] =
        RULE("a", EFFECT, IDENTITIES, "domains = \"tag:prod\"", TYPES, ACTIONS);
    static const char deny[] =
        GOOD RULE("d", "effect = deny", IDENTITIES, "domains = \"tag:prod\"", TYPES, ACTIONS);
    const struct domain_identity none = { .domid = 1, .name = "a" };
    const struct domain_identity tagged = { .domid = 1, .name = "a", .tags = { "prod", "web" } };
    const struct domain_identity other = { .domid = 1, .name = "a", .tags = { "prod-2" } };
    const struct domain_identity unknown = { .domid = 1, .name = "a", .tags_unknown = 1 };

    (void)state;
    assert_true(allows(allow, "cn:alice", &tagged, -1, ACTION_LIST));
    assert_false(allows(allow, "cn:alice", &none, -1, ACTION_LIST));
    assert_false(allows(allow, "cn:alice", &other, -1, ACTION_LIST));
    assert_false(allows(allow, "cn:alice", &unknown, -1, ACTION_LIST));
    assert_false(allows(deny, "cn:alice", &tagged, -1, ACTION_LIST));
    assert_true(allows(deny, "cn:alice", &none, -1, ACTION_LIST));
    assert_true(allows(deny, "cn:alice", &other, -1, ACTION_LIST));
    assert_false(allows(deny, "cn:alice", &unknown, -1, ACTION_LIST));
}

static void who_is_not_bound_may_not_what_asks_for_it(void **state)
{
    BUFFER_AUTO(faults, 0);
    struct policy *policy = load(RULE("r", EFFECT " require_bound = true",
                                      "identities = \"group:ops\"", DOMAINS, TYPES, ACTIONS),
                                 &faults);
    struct identity who = { .text = "jwt:a:b", .groups = "dev\0ops\0" };
    struct policy_question q = { .who = &who, .domain = &web, .type = -1, .action = ACTION_LIST };

    (void)state;
    assert_non_null(policy);
    assert_false(policy_decide(policy, &q).allowed);
    who.is_bound = true;
    assert_true(policy_decide(policy, &q).allowed);
    memset(who.groups, 0, sizeof who.groups);
    assert_false(policy_decide(policy, &q).allowed);
    policy_unref(policy);
    assert_good(RULE("r", EFFECT "\nrequire_bound = false", IDENTITIES, DOMAINS, TYPES, ACTIONS));
    assert_fault(RULE("r", EFFECT "\nrequire_bound = yes", IDENTITIES, DOMAINS, TYPES, ACTIONS),
                 "p.conf:3: require_bound \"yes\": expected true or false");
    assert_fault(
        RULE("r", "effect = deny\nrequire_bound = true", IDENTITIES, DOMAINS, TYPES, ACTIONS),
        "p.conf:3: require_bound: who is not bound would get round");
}

static void limits_are_read_and_bounded(void **state)
{
    (void)state;
    assert_good(GOOD "limits \"l\" { identities = all requests_per_second = 1000000\n"
                     "bytes_per_second = 1099511627776 snapshots = 65536 streams = 1000000\n"
                     "spool_mib = 1048576 pauses_per_second = 1000000 }\n");
    assert_faults(
        GOOD "limits \"l\" {\n"
             "    identities = { \"bob\" }\n"
             "    requests_per_second = 1000001\n"
             "    bytes_per_second = 1099511627777\n"
             "    snapshots = 0\n"
             "    streams = -1\n"
             "    spool_mib = 1.5\n"
             "    pauses_per_second = many\n"
             "}\n",
        "p.conf:9: identity \"bob\": expected all, or a pattern that begins with spiffe:, "
        "dns:, cn:, jwt:, token: or group:\n"
        "p.conf:10: requests_per_second \"1000001\": expected a whole number from 1 to "
        "1000000\n"
        "p.conf:11: bytes_per_second \"1099511627777\": expected a whole number from 1 to "
        "1099511627776\n"
        "p.conf:12: snapshots \"0\": expected a whole number from 1 to 65536\n"
        "p.conf:13: streams \"-1\": expected a whole number from 1 to 1000000\n"
        "p.conf:14: spool_mib \"1.5\": expected a whole number from 1 to 1048576\n"
        "p.conf:15: pauses_per_second \"many\": expected a whole number from 1 to 1000000\n");
    assert_fault(GOOD "limits \"l\" { identities = all }\n",
                 "p.conf:8: limits \"l\" sets no limit");
    assert_fault(GOOD "limits \"l\" { streams = 1 }\n", "p.conf:8: limits \"l\" has no identities");
    assert_fault(GOOD "limits \"l\" { identities = all streams = 1 effect = allow }\n",
                 "p.conf:8: no such option 'effect'");
    assert_fault("limits \"l\" { identities = all streams = 1 }\n", "p.conf: no rule");
}

static void an_option_that_stands_twice_is_a_fault(void **state)
{
    (void)state;
    assert_fault(RULE("r", EFFECT, IDENTITIES, DOMAINS " " DOMAINS, TYPES, ACTIONS),
                 "p.conf:4: domains stands twice");
    assert_fault(RULE("r", EFFECT, IDENTITIES, DOMAINS " domains = { }", TYPES, ACTIONS),
                 "p.conf:1: rule \"r\" has no domains");
    assert_good(
        RULE("r", EFFECT, IDENTITIES " identities += { \"cn:bob\" }", DOMAINS, TYPES, ACTIONS));
}

static void a_rules_name_is_its_own(void **state)
{
    (void)state;
    assert_fault(GOOD GOOD, "p.conf:8: found duplicate title 'good'");
    assert_fault(RULE("", EFFECT, IDENTITIES, DOMAINS, TYPES, ACTIONS), "p.conf:1: rule \"\"");
    assert_fault(RULE("\303\244", EFFECT, IDENTITIES, DOMAINS, TYPES, ACTIONS), "p.conf:1: rule ");
}

static void syntax_is_a_fault_with_its_line(void **state)
{
    (void)state;
    assert_fault("rule \"r\" {\n effect = { \"allow\" }\n}\n", "p.conf:2: unexpected token '{'");
    assert_fault("rule {\n}\n", "p.conf:1: missing title");
    assert_fault("\nfoo = 1\n" GOOD,
                 "p.conf:2: no such option 'foo'; expected one of: rule, limits");
    assert_fault("rule \"r\" {\n effect = \"${HOME}\"\n}\n", "p.conf:2: ${ is not allowed");
    assert_fault("rule \"r\" {\n effect = allow\n", "p.conf:3: the file ends within");
    assert_fault("\"rule|effect\" = allow\n",
                 "p.conf:1: names of options are written without quotes");
}

static void a_file_without_a_rule_is_a_fault(void **state)
{
    (void)state;
    assert_fault("", "p.conf: no rule");
    assert_fault("# rule\n", "p.conf: no rule");
}

/* `count` times `piece`, its number, `rest`. */
static char *many(const char *before, const char *piece, const char *rest, size_t count)
{
    BUFFER_AUTO(text, POLICY_FILE_MAX_BYTES);
    size_t len;

    buffer_append_string(&text, before);
    for (size_t i = 0; i < count; i++) {
        buffer_printf(&text, "%s%zu%s", piece, i, rest);
    }
    buffer_append_string(&text, before[0] != '\0' ? "} }" : "");
    buffer_append_byte(&text, 0);
    assert_false(text.failed);
    return (char *)buffer_take(&text, &len);
}

static void rules_and_patterns_have_maxima(void **state)
{
    static const char begin[] = "rule \"r";
    static const char rest[] =
        "\" {\n" EFFECT "\n" IDENTITIES "\n" DOMAINS "\n" TYPES "\n" ACTIONS "\n}\n";
    static const char before[] =
        "rule \"r\" { effect = allow domains = all types = all actions = all\n"
        "identities = {";
    static const char limits[] = "limits \"l",
                      limits_rest[] = "\" { identities = all streams = 1 }\n";
    char *texts[] = {
        many("", begin, rest, POLICY_RULES_MAX),
        many("", begin, rest, POLICY_RULES_MAX + 1),
        many(before, "\"cn:", "\",\n", POLICY_PATTERNS_MAX),
        many(before, "\"cn:", "\",\n", POLICY_PATTERNS_MAX + 1),
        many("", limits, limits_rest, POLICY_LIMITS_MAX),
        many("", limits, limits_rest, POLICY_LIMITS_MAX + 1),
    };

    (void)state;
    assert_good(texts[0]);
    assert_fault(texts[1], "p.conf:7169: more than 1024 sections of rule");
    assert_good(texts[2]);
    assert_fault(texts[3], "p.conf:258: more than 256 identities");
    assert_fault(texts[4], "p.conf: no rule"); /* and nothing else */
    assert_faults(texts[5],
                  "p.conf:257: more than 256 sections of limits\np.conf: no rule; expected at "
                  "least one (with effect = deny, to keep all out)\n");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        free(texts[i]);
    }
}

static void long_names_have_maxima(void **state)
{
    char name[256 + 1], text[1024];

    (void)state;
    for (size_t len = 255; len <= 256; len++) {
        memset(name, 'n', len);
        name[len] = '\0';
        (void)snprintf(text, sizeof text,
                       RULE("r", EFFECT, IDENTITIES, "domains = { \"name:%s\" }", TYPES, ACTIONS),
                       name);
        if (len == 255) {
            assert_good(text);
        } else {
            assert_fault(text, "p.conf:4: domain \"name:nnn");
        }
    }
    for (size_t len = POLICY_NAME_MAX_BYTES; len <= POLICY_NAME_MAX_BYTES + 1; len++) {
        memset(name, 'n', len);
        name[len] = '\0';
        (void)snprintf(text, sizeof text, RULE("%s", EFFECT, IDENTITIES, DOMAINS, TYPES, ACTIONS),
                       name);
        if (len == POLICY_NAME_MAX_BYTES) {
            assert_good(text);
        } else {
            assert_fault(text, "p.conf:1: rule \"nnn");
        }
    }
}

/* --- the file itself -------------------------------------------------------------------------- */

static int load_file(const char *path, mode_t mode, struct failure *f)
{
    BUFFER_AUTO(faults, 65536);
    struct policy *policy = NULL;
    int result;

    assert_int_equal(chmod(path, mode), 0);
    result = policy_file_load(path, &policy, &faults, f);
    assert_int_equal(faults.len_bytes, 0);
    policy_unref(policy);
    return result;
}

static void a_file_that_others_can_write_is_refused(void **state)
{
    char path[] = "/tmp/policy.XXXXXX";
    int fd = mkstemp(path);
    struct failure f = { 0 };

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, GOOD, strlen(GOOD)), strlen(GOOD));
    assert_int_equal(close(fd), 0);
    assert_int_equal(load_file(path, 0644, &f), 0);
    assert_int_equal(load_file(path, 0664, &f), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(load_file(path, 0646, &f), -ERROR_FAILED_PRECONDITION);
    assert_memory_equal(f.next_step, "chmod go-w /tmp/policy.", 23);
    assert_int_equal(unlink(path), 0);
}

/* From the root of the tree, where the tests run. */
static void the_example_is_good(void **state)
{
    BUFFER_AUTO(faults, 65536);
    struct policy *policy = NULL;
    struct failure f = { 0 };

    (void)state;
    if (access("deploy/policy.conf.example", R_OK) != 0) {
        skip();
    }
    (void)policy_file_load("deploy/policy.conf.example", &policy, &faults, &f);
    assert_string_equal(buffer_string(&faults), "");
    assert_string_equal(f.message, "");
    assert_non_null(policy);
    policy_unref(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_is_read_as_it_stands),
        cmocka_unit_test(all_in_an_allow_rule_leaves_out_what_has_to_be_named),
        cmocka_unit_test(all_in_a_deny_rule_leaves_out_nothing),
        cmocka_unit_test(comments_do_not_move_the_lines),
        cmocka_unit_test(every_fault_is_said),
        cmocka_unit_test(identities_that_nobody_has_are_faults),
        cmocka_unit_test(domains_that_mean_nothing_are_faults),
        cmocka_unit_test(identities_of_tokens_and_groups_are_read),
        cmocka_unit_test(groups_and_identities_have_maxima),
        cmocka_unit_test(tags_are_words_and_no_patterns),
        cmocka_unit_test(a_tag_is_one_of_the_domain_and_unknown_ones_are_denied),
        cmocka_unit_test(who_is_not_bound_may_not_what_asks_for_it),
        cmocka_unit_test(limits_are_read_and_bounded),
        cmocka_unit_test(an_option_that_stands_twice_is_a_fault),
        cmocka_unit_test(a_rules_name_is_its_own),
        cmocka_unit_test(syntax_is_a_fault_with_its_line),
        cmocka_unit_test(a_file_without_a_rule_is_a_fault),
        cmocka_unit_test(rules_and_patterns_have_maxima),
        cmocka_unit_test(long_names_have_maxima),
        cmocka_unit_test(a_file_that_others_can_write_is_refused),
        cmocka_unit_test(the_example_is_good),
    };

    return UNIT_RUN(tests);
}
