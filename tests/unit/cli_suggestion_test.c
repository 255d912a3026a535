/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* "Did you mean": what is offered for what was typed wrong, and that nothing far-fetched is. */
#include "tests/lib/unit.h"

#include "client/cli/suggestion.h"

static const char *suggest(const char *given)
{
    static const char *const names[] = { "host",   "domains", "resources",           "describe",
                                         "grants", "stats",   "HostService/GetHost", "--all" };
    static struct suggestion s;

    suggestion_begin(&s, given, strlen(given));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        suggestion_offer(&s, names[i]);
    }
    return s.best;
}

static void slips_find_their_word(void **state)
{
    static const char *const slips[][2] = {
        { "hots", "host" },
        { "domians", "domains" },
        { "domain", "domains" },
        { "resorces", "resources" },
        { "grnts", "grants" },
        { "grantss", "grants" },
        { "GRANTS", "grants" },
        { "de", "describe" },
        { "GetHost", "HostService/GetHost" },
        { "--al", "--all" },
        { "--alll", "--all" },
        { "gethost", "HostService/GetHost" },
        { "--lal", "--all" },
        { "descrieb", "describe" },
        { "stat", "stats" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]); i++) {
        assert_string_equal(suggest(slips[i][0]), slips[i][1]);
    }
}

static void other_words_find_nothing(void **state)
{
    static const char *const words[] = { "",     "-",       "--", "x",   "-x",      "h",
                                         "fish", "restart", "--", "--x", "nonsense" };

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        assert_string_equal(suggest(words[i]), "");
    }
}

static void the_nearest_counts(void **state)
{
    struct suggestion s;
    char text[SUGGESTION_TEXT_BYTES];

    (void)state;
    suggestion_begin(&s, "statss=x", 6);
    suggestion_offer(&s, "starts");
    suggestion_offer(&s, "stats");
    suggestion_offer(&s, "states");
    assert_string_equal(suggestion_text(&s, text), " (did you mean \"stats\"?)");
}

/* At the longest length, and one beyond: on either side. */
static void long_words_are_let_be(void **state)
{
    char name[SUGGESTION_NAME_MAX_BYTES + 2], given[SUGGESTION_NAME_MAX_BYTES + 2];
    char text[SUGGESTION_TEXT_BYTES];
    struct suggestion s;

    (void)state;
    memset(name, 'a', sizeof(name));
    memset(given, 'a', sizeof(given));
    given[0] = 'b';
    name[SUGGESTION_NAME_MAX_BYTES] = '\0';
    suggestion_begin(&s, given, SUGGESTION_NAME_MAX_BYTES);
    suggestion_offer(&s, name);
    assert_string_equal(s.best, name);
    assert_int_equal(strlen(suggestion_text(&s, text)),
                     strlen(" (did you mean \"\"?)") + SUGGESTION_NAME_MAX_BYTES);
    suggestion_begin(&s, given, SUGGESTION_NAME_MAX_BYTES + 1);
    suggestion_offer(&s, name);
    assert_string_equal(suggestion_text(&s, text), "");
    name[SUGGESTION_NAME_MAX_BYTES] = 'a';
    name[SUGGESTION_NAME_MAX_BYTES + 1] = '\0';
    suggestion_begin(&s, given, SUGGESTION_NAME_MAX_BYTES);
    suggestion_offer(&s, name);
    assert_string_equal(s.best, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_find_their_word),
        cmocka_unit_test(other_words_find_nothing),
        cmocka_unit_test(the_nearest_counts),
        cmocka_unit_test(long_words_are_let_be),
    };

    return UNIT_RUN(tests);
}
