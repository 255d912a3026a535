/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/settings_text.h"

#include <stdlib.h>

#include "common/settings.h"
#include "tests/lib/unit.h"

/* "" when the text passed, else its fault. */
static const char *fault_of(const char *text, size_t len)
{
    static char shown[256];
    BUFFER_AUTO(faults, sizeof shown - 1);
    char *copy = malloc(len + 1);
    bool good;

    assert_non_null(copy);
    memcpy(copy, text, len);
    copy[len] = '\0';
    good = settings_text_check("x", copy, len, &faults);
    strcpy(shown, buffer_string(&faults));
    assert_int_equal(good, shown[0] == '\0');
    free(copy);
    return shown;
}

static void assert_fault(const char *text, const char *begins)
{
    assert_memory_equal(fault_of(text, strlen(text)), begins, strlen(begins));
}

static void assert_good(const char *text)
{
    assert_string_equal(fault_of(text, strlen(text)), "");
}

static void what_the_manuals_show_passes(void **state)
{
    (void)state;
    assert_good("");
    assert_good("a = 1\nb = -1.5\nc = /etc/x\nd = { a, \"b c\" }\ne { f = 127.0.0.1:80 }\n");
    assert_good("s \"t\" { a = \"x\\\"y\\\\\" }\r\n");
    assert_good("a += { b }");
}

static void comments_become_spaces_and_lines_stay(void **state)
{
    char text[] = "a # b\nc // \"d\n/* e\n } */f = \"# // /* g\"";

    (void)state;
    assert_true(settings_text_check("x", text, strlen(text), NULL));
    assert_string_equal(text, "a    \nc      \n    \n     f = \"# // /* g\"");
}

static void the_environment_is_not_read(void **state)
{
    (void)state;
    assert_fault("a = 1\nb = ${HOME}", "x:2: ${ is not allowed");
    assert_fault("a = \"b${HOME}\"", "x:1: ${ is not allowed");
    assert_good("# ${HOME}\n/* ${HOME} */ a = \"$HOME {}\"");
}

static void strings_end_on_their_line(void **state)
{
    (void)state;
    assert_fault("a = \"b\n\"", "x:1: a string is not closed");
    assert_fault("a = 1\nb = \"c", "x:2: a string is not closed");
    assert_fault("a = \"b\\", "x:1: in a string");
    assert_fault("a = \"b\\\n\"", "x:1: in a string");
    assert_fault("a = \"\\n\"", "x:1: in a string");
    assert_fault("a = \"\t\"", "x:1: a control character");
}

static void comments_end(void **state)
{
    (void)state;
    assert_fault("a = 1\n/* b", "x:2: a comment is not closed");
    assert_fault("/*/", "x:1: a comment is not closed");
    assert_good("/**/");
    assert_good("#");
}

static void a_comment_within_a_word_is_refused(void **state)
{
    (void)state;
    assert_fault("a = b/*c*/", "x:1: a comment within a word");
    assert_fault("a = b//c", "x:1: a comment within a word");
    assert_good("a = 1 #c");
    assert_good("a = 1#c");
}

static void braces_are_in_pairs(void **state)
{
    (void)state;
    assert_fault("a {\nb {\n}\n", "x:4: the file ends within what { opened in line 1");
    assert_fault("a {\n}\n}", "x:3: a } that closes nothing");
}

static void other_characters_stand_in_strings(void **state)
{
    (void)state;
    assert_fault("a = b*", "x:1: '*' may only");
    assert_fault("a = 'b'", "x:1: ''' may only");
    assert_fault("a(b)", "x:1: '(' may only");
    assert_fault("a = b+c", "x:1: '+' may only");
    assert_fault("a = \303\244", "x:1: byte 195 may only");
    assert_good("a = \"\303\244\"");
}

static void names_are_words(void **state)
{
    (void)state;
    assert_fault("s t { }\n\"s=t|a\" = 1", "x:2: names of options");
    assert_fault("\"s\" { }", "x:1: names of options");
    assert_fault("s { \"a\" = 1 }", "x:1: names of options");
    assert_fault("a = \"b\" \"c\" = d", "x:1: names of options");
    assert_good("a = \"b\" c = \"d\"");
}

static void only_text_is_text(void **state)
{
    (void)state;
    assert_memory_equal(fault_of("a\n\0b", 4), "x:2: a NUL byte", 15);
    assert_fault("a = \"\377\"", "x: not UTF-8");
    assert_fault("# \300\200", "x: not UTF-8");
}

static void sections_are_found_where_they_open(void **state)
{
    static const char text[] = "a = {\n1 }\ns \"t\" {\n s \"x\" { }\n}\nb = 2 s \"v\"\n{ }\n"
                               "ss \"t\" { }\nr \"s\" { }";
    unsigned lines[2] = { 0 };

    (void)state;
    assert_int_equal(settings_text_sections(text, strlen(text), "s", lines, 1), 2);
    assert_int_equal(lines[0], 3);
    assert_int_equal(lines[1], 0);
    assert_int_equal(settings_text_sections(text, strlen(text), "s", lines, 2), 2);
    assert_int_equal(lines[1], 7);
    assert_int_equal(settings_text_sections(text, strlen(text), "r", lines, 2), 1);
    assert_int_equal(lines[0], 9);
    assert_int_equal(settings_text_sections(text, strlen(text), "q", lines, 2), 0);
    assert_int_equal(settings_text_sections("", 0, "s", lines, 2), 0);
}

/* libconfuse by itself counts a comment's line three times. */
static void a_parsed_fault_has_its_own_line(void **state)
{
    cfg_opt_t options[] = { CFG_INT("a", 0, CFGF_NONE), CFG_END() };
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    char text[] = "# one\n# two\na = 1\nb = 2\n";
    BUFFER_AUTO(faults, 1024);
    bool is_whole;

    (void)state;
    assert_int_equal(settings_parse_text(cfg, "x", text, strlen(text), &faults, &is_whole, NULL),
                     -ERROR_INVALID_ARGUMENT);
    assert_string_equal(buffer_string(&faults), "x:4: no such option 'b'; expected one of: a\n");
    assert_true(is_whole);
    assert_int_equal(cfg_free(cfg), CFG_SUCCESS);
}

/* libconfuse ends at the first of them. */
static void what_is_unknown_is_told_and_passed_over(void **state)
{
    cfg_opt_t inner[] = { CFG_INT("n", 0, CFGF_NONE), CFG_STR("t", "", CFGF_NONE), CFG_END() };
    cfg_opt_t outer[] = { CFG_SEC("in", inner, CFGF_NONE), CFG_STR_LIST("l", NULL, CFGF_NONE),
                          CFG_END() };
    cfg_opt_t options[] = { CFG_SEC("s", outer, CFGF_MULTI | CFGF_TITLE),
                            CFG_INT("a", 0, CFGF_NONE), CFG_END() };
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    char text[] = "x = {\n 1, \"}\" }\n"
                  "y \"title\" { s { a = 1\n } }\n"
                  "s \"one\" {\n"
                  "  z += \"q\" l = { \"e\", f }\n"
                  "  in { n = many t = u\n w = w n = \"1x\" }\n"
                  "  a = 1\n"
                  "}\n"
                  "a = 7 b = c\n"
                  "a = = 8\n"
                  "never = 1\n";
    BUFFER_AUTO(faults, 4096);
    bool is_whole;

    (void)state;
    assert_int_equal(settings_parse_text(cfg, "f", text, strlen(text), &faults, &is_whole, NULL),
                     -ERROR_INVALID_ARGUMENT);
    assert_string_equal(
        buffer_string(&faults),
        "f:1: no such option 'x'; expected one of: s, a\n"
        "f:3: no such option 'y'; expected one of: s, a\n"
        "f:6: no such option 'z'; expected one of: in, l\n"
        "f:7: invalid integer value for option 'n'; expected a whole number without quotes\n"
        "f:8: no such option 'w'; expected one of: n, t\n"
        "f:8: invalid integer value for option 'n'; expected a whole number without quotes\n"
        "f:9: no such option 'a'; expected one of: in, l\n"
        "f:11: no such option 'b'; expected one of: s, a\n"
        "f:12: unexpected token '='\n");
    assert_false(is_whole);
    assert_int_equal(cfg_getint(cfg, "a"), 7);
    assert_string_equal(cfg_getnstr(cfg_getnsec(cfg, "s", 0), "l", 1), "f");
    assert_string_equal(cfg_getstr(cfg_getsec(cfg_getnsec(cfg, "s", 0), "in"), "t"), "u");
    assert_int_equal(cfg_free(cfg), CFG_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_manuals_show_passes),
        cmocka_unit_test(comments_become_spaces_and_lines_stay),
        cmocka_unit_test(the_environment_is_not_read),
        cmocka_unit_test(strings_end_on_their_line),
        cmocka_unit_test(comments_end),
        cmocka_unit_test(what_is_unknown_is_told_and_passed_over),
        cmocka_unit_test(a_comment_within_a_word_is_refused),
        cmocka_unit_test(braces_are_in_pairs),
        cmocka_unit_test(other_characters_stand_in_strings),
        cmocka_unit_test(names_are_words),
        cmocka_unit_test(only_text_is_text),
        cmocka_unit_test(sections_are_found_where_they_open),
        cmocka_unit_test(a_parsed_fault_has_its_own_line),
    };

    return UNIT_RUN(tests);
}
