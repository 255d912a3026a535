/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/rpc/cors.h"

static struct cors *parsed(const char *list)
{
    struct cors *c = NULL;
    struct failure f = { 0 };

    if (cors_parse(list, &c, &f) != 0) {
        fail_msg("%s: %s", list, f.message);
    }
    return c;
}

static void expect_refused(const char *list)
{
    struct cors *c = NULL;
    struct failure f = { 0 };

    if (cors_parse(list, &c, &f) != -ERROR_INVALID_ARGUMENT) {
        fail_msg("%s was taken", list);
    }
    assert_null(c);
    assert_true(f.message[0] != '\0' && f.next_step[0] != '\0');
    assert_int_equal(cors_parse(list, &c, NULL), -ERROR_INVALID_ARGUMENT);
}

static void an_empty_list_is_none(void **state)
{
    (void)state;
    assert_null(parsed(""));
    assert_null(parsed("   "));
    assert_false(cors_allows(NULL, "https://a"));
    cors_free(NULL);
}

static void exactly_the_origins_of_the_list_are_allowed(void **state)
{
    static const char *const allowed[] = { "https://dash.example", "http://localhost:8080",
                                           "https://[2001:db8::1]:8443" };
    static const char *const others[] = {
        "",
        "null",
        "*",
        "https://dash.example/",
        "https://dash.example:443",
        "https://dash.example.evil",
        "https://evil.dash.example",
        "http://dash.example",
        "HTTPS://DASH.EXAMPLE",
        "https://dash.exampl",
        "https://dash.example http://localhost:8080",
        "http://localhost",
        "http://localhost:80801",
    };
    struct cors *c =
        parsed("  https://dash.example http://localhost:8080   https://[2001:db8::1]:8443 ");

    (void)state;
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        assert_true(cors_allows(c, allowed[i]));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (cors_allows(c, others[i])) {
            fail_msg("%s was allowed", others[i]);
        }
    }
    cors_free(c);
}

static void what_is_no_origin_is_refused(void **state)
{
    static const char *const wrong[] = {
        "*",
        "null",
        "dash.example",
        "https://",
        "https:// ",
        "https:///",
        "ftp://dash.example",
        "https://dash.example/",
        "https://dash.example/path",
        "https://user@dash.example",
        "https://Dash.example",
        "HTTPS://dash.example",
        "https://*.example",
        "https://dash.example?x",
        "https://a,https://b",
        "https://a\thttps://b",
        "https://a https://b/",
        "https://d\xc3\xa4sh.example",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect_refused(wrong[i]);
    }
}

static void the_longest_passes_and_one_byte_more_does_not(void **state)
{
    char text[CORS_ORIGIN_MAX_BYTES + 1] = "https://";

    (void)state;
    memset(text + 8, 'a', sizeof(text) - 9);
    text[sizeof(text) - 1] = '\0';
    expect_refused(text);
    text[sizeof(text) - 2] = '\0';
    struct cors *c = parsed(text);

    assert_true(cors_allows(c, text));
    cors_free(c);
}

static void the_most_pass_and_one_more_does_not(void **state)
{
    char list[(CORS_ORIGINS_MAX + 1) * 16] = "";
    size_t len = 0;

    (void)state;
    for (int i = 0; i < CORS_ORIGINS_MAX; i++) {
        len += (size_t)snprintf(list + len, sizeof(list) - len, "https://a%d ", i);
    }
    struct cors *c = parsed(list);

    assert_true(cors_allows(c, "https://a0") && cors_allows(c, "https://a15"));
    cors_free(c);
    (void)snprintf(list + len, sizeof(list) - len, "https://b");
    expect_refused(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list_is_none),
        cmocka_unit_test(exactly_the_origins_of_the_list_are_allowed),
        cmocka_unit_test(what_is_no_origin_is_refused),
        cmocka_unit_test(the_longest_passes_and_one_byte_more_does_not),
        cmocka_unit_test(the_most_pass_and_one_more_does_not),
    };

    return UNIT_RUN(tests);
}
