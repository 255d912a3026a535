/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/rpc/query.h"

static void expect_refused(const char *text)
{
    struct query q = { .count = 99 };
    struct failure f = { 0 };

    if (query_parse(text, &q, &f) != -ERROR_INVALID_ARGUMENT) {
        fail_msg("%.100s was taken", text);
    }
    assert_int_equal(q.count, 99); /* not touched */
    assert_true(f.message[0] != '\0' && f.next_step[0] != '\0');
    assert_int_equal(query_parse(text, &q, NULL), -ERROR_INVALID_ARGUMENT);
}

static void expect_found(const char *text, const char *name, const char *value, size_t value_len)
{
    struct query q;

    assert_int_equal(query_parse(text, &q, NULL), 0);
    const struct query_parameter *p = query_find(&q, name);

    assert_non_null(p);
    assert_string_equal(p->name, name);
    assert_int_equal(p->name_len, strlen(name));
    assert_int_equal(p->value_len, value_len);
    assert_memory_equal(p->value, value, value_len);
    assert_int_equal(p->value[value_len], '\0');
    query_done(&q);
}

static void names_and_values_are_decoded(void **state)
{
    (void)state;
    expect_found("message=abc", "message", "abc", 3);
    expect_found("a=1&message=abc&z", "message", "abc", 3);
    expect_found("m=a+b%2B", "m", "a b+", 4);
    expect_found("m=%00%ff%7F", "m", "\x00\xff\x7f", 3);
    expect_found("m=a=b=", "m", "a=b=", 4);
    expect_found("%6d=1", "m", "1", 1);
    expect_found("m+n=1", "m n", "1", 1);
    expect_found("m", "m", "", 0);
    expect_found("m=", "m", "", 0);
    expect_found("&&m=1&&", "m", "1", 1);
    expect_found("=1", "", "1", 1);
    expect_found("m={\"a\":1}", "m", "{\"a\":1}", 7); /* as some clients write it */
    expect_found("m=%25%32%36", "m", "%26", 3);       /* once, not twice */
}

static void what_is_not_there_is_not_found(void **state)
{
    struct query q;

    (void)state;
    assert_int_equal(query_parse("", &q, NULL), 0);
    assert_int_equal(q.count, 0);
    assert_null(query_find(&q, ""));
    assert_null(query_text(&q, "message"));
    query_done(&q);
    assert_int_equal(query_parse("Message=1", &q, NULL), 0);
    assert_null(query_find(&q, "message"));
    query_done(&q);
    query_done(&q);
}

static void incomplete_escapes_are_refused(void **state)
{
    static const char *const wrong[] = { "m=%",    "m=%4", "m=%g1", "m=%1g", "m=%%41",
                                         "m=%4&x", "%=1",  "%4=11", "m=% 1", "m=%-1" };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect_refused(wrong[i]);
    }
}

static void a_parameter_twice_is_refused(void **state)
{
    (void)state;
    expect_refused("m=1&m=1");
    expect_refused("m=1&x=2&%6d=3");
    expect_refused("m&m");
    expect_refused("=1&=2");
}

static void a_name_ends_at_no_nul(void **state)
{
    struct query q;

    (void)state;
    expect_refused("message%00x=1");
    expect_refused("%00=1");
    assert_int_equal(query_parse("encoding=json%00x&m=%00&n=n", &q, NULL), 0);
    assert_string_not_equal(query_text(&q, "encoding"), "json");
    assert_string_not_equal(query_text(&q, "m"), "");
    assert_string_equal(query_text(&q, "n"), "n");
    query_done(&q);
}

static void the_most_parameters_pass_and_one_more_does_not(void **state)
{
    char text[QUERY_PARAMETERS_MAX * 8 + 8] = "";
    struct query q;
    size_t len = 0;

    (void)state;
    for (int i = 0; i < QUERY_PARAMETERS_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "p%d=%d&", i, i);
    }
    assert_int_equal(query_parse(text, &q, NULL), 0);
    assert_int_equal(q.count, QUERY_PARAMETERS_MAX);
    assert_string_equal(query_find(&q, "p31")->value, "31");
    query_done(&q);
    (void)snprintf(text + len, sizeof(text) - len, "x");
    expect_refused(text);
}

static void the_longest_passes_and_one_byte_more_does_not(void **state)
{
    char *text = malloc(QUERY_MAX_BYTES + 2);
    struct query q;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', QUERY_MAX_BYTES + 1);
    text[1] = '=';
    text[QUERY_MAX_BYTES] = '\0';
    assert_int_equal(query_parse(text, &q, NULL), 0);
    assert_int_equal(query_find(&q, "x")->value_len, QUERY_MAX_BYTES - 2);
    query_done(&q);
    text[QUERY_MAX_BYTES] = 'x';
    text[QUERY_MAX_BYTES + 1] = '\0';
    expect_refused(text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_are_decoded),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(incomplete_escapes_are_refused),
        cmocka_unit_test(a_parameter_twice_is_refused),
        cmocka_unit_test(a_name_ends_at_no_nul),
        cmocka_unit_test(the_most_parameters_pass_and_one_more_does_not),
        cmocka_unit_test(the_longest_passes_and_one_byte_more_does_not),
    };

    return UNIT_RUN(tests);
}
