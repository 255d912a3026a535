/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A policy's file, damaged. Proven of it, on every caller, domain, type and action of the oracle's world:
 *   - space and comments between words change no decision;
 *   - whatever bytes are taken out of a rule that denies: the file is refused, or nothing is allowed that
 *     would not be without that rule (all of its pieces are tried);
 *   - a file that was cut short is refused, or was cut between sections (at every length): those who
 *     write it have to exchange it whole, which the manual page says;
 *   - any other damage: refused, or every decision is what the damaged text says, as it is read here by
 *     forty lines that share nothing with libconfuse and the checks before it.
 * So no damage is understood as more than what stands there. The seeds are fixed.
 */
#include "tests/lib/policy_oracle.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/policy_file.h"
#include "tests/lib/settings_reader.h"

enum { TEXT_MAX = 4096, SPACES = 2000, DAMAGES = 120000, CHANGES_MAX = 3 };

static const char original[] =
    "# who may\n"
    "rule \"ops\" {\n"
    "    effect = allow\n"
    "    identities = { \"group:ops\", \"cn:al*\" }\n"
    "    domains = { \"all\", \"dom0\" }\n"
    "    types = { all }\n"
    "    actions = { \"all\", \"trace.control\" }\n"
    "}\n"
    "rule \"vault\" {\n"
    "    effect = deny // in any case\n"
    "    identities = { \"all\" }\n"
    "    domains = { \"tag:prod\", \"name:db\", \"uuid:01000000-0000-0000-"
    "0000-000000000000\" }\n"
    "    types = { grant_table, vmtrace_buf }\n"
    "    actions = { snapshot, watch, \"trace.read\" }\n"
    "}\n"
    "/* those who have\n   a key */\n"
    "rule \"keys\" {\n"
    "    effect = allow\n"
    "    identities = { \"jwt:corp:*\", \"spiffe:spiffe://example.org/a\" }\n"
    "    require_bound = true\n"
    "    domains = \"name:web-?\"\n"
    "    types = grant_table\n"
    "    actions += { \"decode\" }\n"
    "}\n"
    "limits \"few\" { identities = { \"cn:*\" } streams = 4 }\n";

/* NULL: it is refused, with faults said. */
static struct policy *parse(const char *text, size_t len)
{
    BUFFER_AUTO(faults, 1 << 20);
    struct policy *policy = NULL;
    char *copy = malloc(len + 1); /* exactly: so that a read beyond it is seen */

    assert_non_null(copy);
    memcpy(copy, text, len);
    copy[len] = '\0';
    int result = policy_file_parse("p", copy, len, &policy, &faults, NULL);

    free(copy);
    assert_int_equal(result == 0, policy != NULL);
    assert_int_equal(result == 0, faults.len_bytes == 0);
    return policy;
}

static bool allows(const struct policy *policy, unsigned number)
{
    const struct policy_question q = oracle_question(number);

    return policy_decide(policy, &q).allowed;
}

/* --- the text, read by other means ------------------------------------------------------------------- */

/* NAME = WORD, NAME = { WORD, … }, or with += more of them. */
static bool read_option(struct settings_reader *r, struct oracle_list *list)
{
    bool ok = settings_reader_next(r), is_more = ok && settings_reader_is(r, "+"), is_list;

    ok = ok && (!is_more || settings_reader_next(r)) && settings_reader_is(r, "=") &&
         settings_reader_next(r);
    if (!is_more) {
        list->count = 0;
    }
    is_list = ok && settings_reader_is(r, "{");
    for (ok = ok && (!is_list || settings_reader_next(r));
         ok && !(is_list && settings_reader_is(r, "}")); ok = settings_reader_next(r)) {
        if (!settings_reader_is(r, ",")) {
            if (list->count == ORACLE_MEMBERS_MAX) {
                return false;
            }
            memcpy(list->words[list->count++], r->word, sizeof(r->word));
        }
        if (!is_list) {
            return true;
        }
    }
    return ok;
}

static bool read_rule(struct settings_reader *r, struct oracle_rule *rule)
{
    struct oracle_list effect = { 0 }, bound = { 0 }, ignored = { 0 };
    const struct {
        const char *name;
        struct oracle_list *list;
    } options[] = { { "effect", &effect },         { "identities", &rule->identities },
                    { "domains", &rule->domains }, { "types", &rule->types },
                    { "actions", &rule->actions }, { "require_bound", &bound },
                    { "streams", &ignored } };
    bool ok = settings_reader_next(r) && settings_reader_next(r) && settings_reader_is(r, "{");

    while (ok && (ok = settings_reader_next(r)) && !settings_reader_is(r, "}")) {
        struct oracle_list *list = NULL;

        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
            list = strcmp(options[i].name, r->word) == 0 ? options[i].list : list;
        }
        ok = list != NULL && read_option(r, list);
    }
    rule->allow = oracle_has(&effect, "allow");
    rule->require_bound = oracle_has(&bound, "true");
    return ok;
}

static bool read_policy(const char *text, struct oracle_policy *p)
{
    struct settings_reader r = { .at = text };

    memset(p, 0, sizeof(*p));
    while (settings_reader_next(&r) && r.word[0] != '\0') {
        bool is_rule = strcmp(r.word, "rule") == 0;

        if ((!is_rule && strcmp(r.word, "limits") != 0) || p->count == ORACLE_RULES_MAX ||
            !read_rule(&r, &p->rules[p->count])) {
            return false;
        }
        if (!is_rule) {
            memset(&p->rules[p->count], 0, sizeof(p->rules[0]));
        }
        p->count += is_rule;
    }
    return *r.at == '\0';
}

/* --- tests -------------------------------------------------------------------------------------------- */

static void the_two_readings_agree_on_the_whole_file(void **state)
{
    static struct oracle_policy p;
    struct policy *policy = parse(original, strlen(original));
    unsigned allowed = 0;

    (void)state;
    assert_non_null(policy);
    assert_true(read_policy(original, &p));
    assert_int_equal(p.count, 3);
    for (unsigned n = 0; n < ORACLE_QUESTIONS; n++) {
        const struct policy_question q = oracle_question(n);

        assert_int_equal(allows(policy, n), oracle_allows(&p, &q, SIZE_MAX));
        allowed += allows(policy, n);
    }
    assert_in_range(allowed, ORACLE_QUESTIONS / 20, ORACLE_QUESTIONS / 2);
    policy_unref(policy);
}

static void space_and_comments_change_nothing(void **state)
{
    static const char *const pieces[] = { " ",
                                          "\t",
                                          "\n",
                                          "\r\n",
                                          " # x = { \"all\" }\n",
                                          " // rule \"a\" {\n",
                                          " /* } effect = allow */ ",
                                          " /* \" */ " };
    struct policy *policy = parse(original, strlen(original));

    (void)state;
    for (int i = 0; i < SPACES; i++) {
        BUFFER_AUTO(text, TEXT_MAX * 8);
        bool in_string = false;
        const char *comment_end = original; /* that of the last */

        for (const char *at = original; *at != '\0'; at++) {
            if (!in_string && at >= comment_end && (*at == '#' || *at == '/')) {
                comment_end = at[1] == '*' ? strstr(at, "*/") + 1 : strchr(at, '\n');
            }
            bool in_comment = at < comment_end;

            in_string ^= *at == '"' && !in_comment;
            buffer_append_byte(&text, (uint8_t)*at);
            if ((*at == ' ' || *at == '\n') && !in_string && !in_comment && oracle_pick(6) == 0) {
                buffer_append_string(&text,
                                     pieces[oracle_pick(sizeof(pieces) / sizeof(pieces[0]))]);
            }
        }
        struct policy *same = parse((const char *)text.data, text.len_bytes);

        if (same == NULL) {
            fail_msg("refused: %.*s", (int)text.len_bytes, (const char *)text.data);
        }
        for (unsigned n = 0; n < ORACLE_QUESTIONS; n++) {
            assert_int_equal(allows(same, n), allows(policy, n));
        }
        policy_unref(same);
    }
    policy_unref(policy);
}

/* Every piece of the rule, from any byte of it to any other. */
static void a_damaged_rule_that_denies_leaves_no_more_than_none(void **state)
{
    const char *begin = strstr(original, "rule \"vault\""), *end = strstr(begin, "}\n/*") + 1;
    size_t from = (size_t)(begin - original), to = (size_t)(end - original), loaded = 0;
    static struct oracle_policy p;
    static bool most[ORACLE_QUESTIONS];
    static char text[TEXT_MAX];

    (void)state;
    assert_true(read_policy(original, &p));
    for (unsigned n = 0; n < ORACLE_QUESTIONS; n++) {
        const struct policy_question q = oracle_question(n);

        most[n] = oracle_allows(&p, &q, 1);
    }
    for (size_t first = from; first < to; first++) {
        for (size_t last = first + 1; last <= to; last++) {
            memcpy(text, original, first);
            memcpy(text + first, original + last, strlen(original) + 1 - last);
            struct policy *policy = parse(text, strlen(text));

            for (unsigned n = 0; policy != NULL && n < ORACLE_QUESTIONS; n++) {
                if (allows(policy, n) && !most[n]) {
                    fail_msg("question %u: %s", n, text);
                }
            }
            loaded += policy != NULL;
            policy_unref(policy);
        }
    }
    assert_true(loaded > 100); /* it was tried */
}

static void a_file_cut_short_is_refused_but_between_sections(void **state)
{
    size_t loaded = 0;

    (void)state;
    for (size_t len = 0; len < strlen(original); len++) {
        struct policy *policy = parse(original, len);

        if (policy != NULL) {
            static char whole[TEXT_MAX];
            static struct oracle_policy p;
            const char *last = NULL;

            memcpy(whole, original, len);
            whole[len] = '\0';
            assert_true(read_policy(whole, &p)); /* each that has begun is whole */
            last = strrchr(whole, '}');
            assert_non_null(last);
            loaded++;
        }
        policy_unref(policy);
    }
    assert_true(loaded > 0);
}

static void damage(char *text)
{
    static const char marks[] = "{}=,\"\\#/*+ \n\tadenyalow*?:-.";
    size_t len = strlen(text), at = oracle_pick(len), piece = 1 + oracle_pick(40);
    size_t from = oracle_pick(len);

    piece = piece < len - at ? piece : len - at;
    switch (oracle_pick(5)) {
    case 0: text[at] = marks[oracle_pick(sizeof(marks) - 1)]; break;
    case 1: text[at] = (char)(1 + oracle_pick(255)); break;
    case 2: memmove(text + at, text + at + piece, len - at - piece + 1); break;
    case 3: /* what stands elsewhere, again */
        piece = piece < len - from ? piece : len - from;
        if (len + piece < TEXT_MAX) {
            char copy[40];

            memcpy(copy, text + from, piece);
            memmove(text + at + piece, text + at, len - at + 1);
            memcpy(text + at, copy, piece);
        }
        break;
    default:
        if (len + 1 < TEXT_MAX) {
            memmove(text + at + 1, text + at, len - at + 1);
            text[at] = marks[oracle_pick(sizeof(marks) - 1)];
        }
    }
}

static void damage_is_refused_or_decides_as_it_reads(void **state)
{
    static struct oracle_policy p;
    static char text[TEXT_MAX];
    unsigned loaded = 0;

    (void)state;
    for (int i = 0; i < DAMAGES; i++) {
        memcpy(text, original, sizeof(original));
        for (unsigned c = 0; c <= oracle_pick(CHANGES_MAX); c++) {
            damage(text);
        }
        struct policy *policy = parse(text, strlen(text));

        if (policy == NULL) {
            continue;
        }
        if (!read_policy(text, &p)) {
            fail_msg("number %d is taken, and is no policy: %s", i, text);
        }
        for (unsigned n = 0; n < ORACLE_QUESTIONS; n++) {
            const struct policy_question q = oracle_question(n);

            if (allows(policy, n) != oracle_allows(&p, &q, SIZE_MAX)) {
                fail_msg("number %d, question %u: %s", i, n, text);
            }
        }
        loaded++;
        policy_unref(policy);
    }
    assert_in_range(loaded, DAMAGES / 50, DAMAGES / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_two_readings_agree_on_the_whole_file),
        cmocka_unit_test(space_and_comments_change_nothing),
        cmocka_unit_test(a_damaged_rule_that_denies_leaves_no_more_than_none),
        cmocka_unit_test(a_file_cut_short_is_refused_but_between_sections),
        cmocka_unit_test(damage_is_refused_or_decides_as_it_reads),
    };

    return UNIT_RUN(tests);
}
