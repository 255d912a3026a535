/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include <stdio.h>

#include "client/cli/arguments.h"

static const struct option global[] = { { .name = "format", .letter = 'o', .argument = "F" },
                                        { .name = "server", .argument = "URL" },
                                        { .name = "help", .letter = 'h' },
                                        { 0 } };
static const struct option own[] = { { .name = "all" },
                                     { .name = "first", .argument = "N" },
                                     { .name = "each", .argument = "E", .repeats = true },
                                     { 0 } };

static bool find_verb(void *arg, const char *name, const struct option **options,
                      size_t *operands_max, char text[USAGE_MAX_BYTES])
{
    (void)arg;
    (void)snprintf(text, USAGE_MAX_BYTES, "%s", strcmp(name, "verb") == 0 ? "" : "no such verb");
    if (strcmp(name, "bare") == 0) {
        *options = NULL;
        *operands_max = 0;
        return true;
    }
    *options = own;
    *operands_max = 2;
    return strcmp(name, "verb") == 0;
}

static struct arguments parsed;
static char usage[USAGE_MAX_BYTES];

/* `line` is split at spaces. */
static bool parse(const char *line)
{
    static char copy[256];
    static char program[] = "xenres";
    char *argv[16] = { program };
    int argc = 1;

    (void)snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    usage[0] = '\0';
    bool ok = arguments_parse(argc, argv, global, find_verb, NULL, &parsed, usage);

    assert_true(ok || usage[0] != '\0');
    return ok;
}

static void options_stand_anywhere(void **state)
{
    (void)state;
    assert_true(parse("-o json verb a --first 3 b --server=x"));
    assert_string_equal(arguments_value(&parsed, "format"), "json");
    assert_string_equal(arguments_value(&parsed, "first"), "3");
    assert_string_equal(arguments_value(&parsed, "server"), "x");
    assert_null(arguments_value(&parsed, "all"));
    assert_int_equal(parsed.operand_count, 2);
    assert_string_equal(parsed.operands[1], "b");
    assert_true(parse("verb -ojson --first=5"));
    assert_string_equal(arguments_value(&parsed, "format"), "json");
    assert_string_equal(arguments_value(&parsed, "first"), "5");
    assert_true(parse("verb --first="));
    assert_string_equal(arguments_value(&parsed, "first"), "");
}

static void double_dash_ends_the_options(void **state)
{
    (void)state;
    assert_true(parse("verb -- --all -"));
    assert_null(arguments_value(&parsed, "all"));
    assert_string_equal(parsed.operands[0], "--all");
    assert_string_equal(parsed.operands[1], "-");
}

static void abbreviations_are_no_options(void **state)
{
    (void)state;
    assert_false(parse("verb --al"));
    assert_false(parse("verb --firs 3"));
    assert_false(parse("--hel"));
    assert_false(parse("verb --"
                       "firstly 3"));
}

static void wrong_lines_are_refused(void **state)
{
    static const char *const lines[] = {
        "noverb",
        "verb a b c",
        "bare a",
        "bare --all",
        "--all verb",
        "verb --first",
        "verb --all=1",
        "verb --all --all",
        "verb -x",
        "verb -hx",
        "-o",
        "verb --=3",
        "verb --first 1 --first 1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (parse(lines[i])) {
            fail_msg("taken: %s", lines[i]);
        }
    }
    assert_true(parse(""));
    assert_true(parse("bare"));
}

static void options_that_repeat_keep_their_order(void **state)
{
    static const char *const expected[] = { "a", "b", "a" };
    const char *value;
    size_t at = 0, count = 0;

    (void)state;
    assert_true(parse("verb --each a --all --each=b --each a"));
    while ((value = arguments_next_value(&parsed, "each", &at)) != NULL) {
        assert_true(count < 3);
        assert_string_equal(value, expected[count++]);
    }
    assert_int_equal(count, 3);
    assert_string_equal(arguments_value(&parsed, "each"), "a");
    at = 0;
    assert_null(arguments_next_value(&parsed, "first", &at));
}

static void options_are_counted(void **state)
{
    static char program[] = "xenres", verb[] = "verb", each[] = "--each=x";
    char *argv[OPTIONS_MAX + 3] = { program, verb };

    (void)state;
    for (int i = 0; i <= OPTIONS_MAX; i++) {
        argv[2 + i] = each;
    }
    assert_true(arguments_parse(2 + OPTIONS_MAX, argv, global, find_verb, NULL, &parsed, usage));
    assert_int_equal(parsed.option_count, OPTIONS_MAX);
    assert_false(arguments_parse(3 + OPTIONS_MAX, argv, global, find_verb, NULL, &parsed, usage));
}

/* The verb's own and those of all, and none where none is near. */
static void near_options_are_offered(void **state)
{
    (void)state;
    assert_false(parse("verb --al"));
    assert_non_null(strstr(usage, "(did you mean \"--all\"?)"));
    assert_false(parse("verb --fromat=json"));
    assert_non_null(strstr(usage, "(did you mean \"--format\"?)"));
    assert_false(parse("verb --nonsense"));
    assert_null(strstr(usage, "did you mean"));
}

static void numbers_are_strict(void **state)
{
    uint32_t n = 7;

    (void)state;
    assert_true(arguments_number("N", "4294967295", UINT32_MAX, &n, usage));
    assert_int_equal(n, UINT32_MAX);
    assert_false(arguments_number("N", "4294967296", UINT32_MAX, &n, usage));
    assert_false(arguments_number("N", "-1", UINT32_MAX, &n, usage));
    assert_false(arguments_number("N", "", UINT32_MAX, &n, usage));
    assert_false(arguments_number("N", "0x10", UINT32_MAX, &n, usage));
    assert_false(arguments_number("N", "8", 7, &n, usage));
}

static void durations_have_units(void **state)
{
    uint32_t ms = 0;

    (void)state;
    assert_true(arguments_duration("T", "30", 3600000, &ms, usage));
    assert_int_equal(ms, 30000);
    assert_true(arguments_duration("T", "500ms", 3600000, &ms, usage));
    assert_int_equal(ms, 500);
    assert_true(arguments_duration("T", "2m", 3600000, &ms, usage));
    assert_int_equal(ms, 120000);
    assert_true(arguments_duration("T", "3600s", 3600000, &ms, usage));
    assert_false(arguments_duration("T", "3601s", 3600000, &ms, usage));
    assert_false(arguments_duration("T", "0", 3600000, &ms, usage));
    assert_false(arguments_duration("T", "5x", 3600000, &ms, usage));
    assert_false(arguments_duration("T", "s", 3600000, &ms, usage));
    assert_false(arguments_duration("T", "1.5s", 3600000, &ms, usage));
    assert_false(arguments_duration("T", "99999999999999999999s", 3600000, &ms, usage));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(double_dash_ends_the_options),
        cmocka_unit_test(abbreviations_are_no_options),
        cmocka_unit_test(wrong_lines_are_refused),
        cmocka_unit_test(options_that_repeat_keep_their_order),
        cmocka_unit_test(options_are_counted),
        cmocka_unit_test(near_options_are_offered),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(durations_have_units),
    };

    return UNIT_RUN(tests);
}
