/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Targets: what is taken apart, and what is refused. */
#include "tests/lib/unit.h"

#include "server/rpc/uri.h"

static void parse(const char *target, struct uri *u)
{
    memset(u, 0, sizeof(*u));
    assert_int_equal(uri_parse(target, u, NULL), 0);
}

static void segments_and_parameters_are_decoded(void **state)
{
    struct uri u;

    (void)state;
    parse("/v1/a%20b/%C3%A4%2f/?x=1&y=%26%3D&z", &u);
    assert_int_equal(u.segment_count, 4);
    assert_string_equal(u.segments[0], "v1");
    assert_string_equal(u.segments[1], "a b");
    assert_string_equal(u.segments[2], "\xc3\xa4/");
    assert_string_equal(u.segments[3], "");
    assert_int_equal(u.parameter_count, 3);
    assert_string_equal(uri_parameter(&u, "x"), "1");
    assert_string_equal(uri_parameter(&u, "y"), "&=");
    assert_string_equal(uri_parameter(&u, "z"), "");
    assert_null(uri_parameter(&u, "w"));
    uri_done(&u);
}

static void a_plus_is_a_plus_and_a_second_question_mark_a_character(void **state)
{
    struct uri u;

    (void)state;
    parse("/a+b?c=d+e&f=g?h/i=j", &u);
    assert_string_equal(u.segments[0], "a+b");
    assert_string_equal(uri_parameter(&u, "c"), "d+e");
    assert_string_equal(uri_parameter(&u, "f"), "g?h/i=j");
    uri_done(&u);
}

static void empty_queries_have_no_parameters(void **state)
{
    static const char *const targets[] = { "/", "/?", "/?&", "/?&&" };

    (void)state;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct uri u;

        parse(targets[i], &u);
        assert_int_equal(u.segment_count, 1);
        assert_int_equal(u.parameter_count, 0);
        uri_done(&u);
    }
}

static void malformed_targets_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",           "a",    "*",         "http://host/", "/%",         "/%4",
        "/%4g",       "/%00", "/a?b=%00",  "/a?%00=b",     "/%ff",       "/a?b=%c3",
        "/%ed%a0%80", "/a b", "/a\tb",     "/a\"b",        "/a\\b",      "/a<",
        "/a|",        "/a^",  "/a`",       "/\xc3\xa4",    "/a#b",       "/a?b#c",
        "/a/../b",    "/a/.", "/a/%2e%2E", "/%2e",         "/a?b=1&b=2", "/a?b=1&%62=2",
        "/a?b&b",     "/a[b", "/a?b={",    "/\x7f",
    };
    struct failure f;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct uri u = { .storage = NULL };

        if (uri_parse(wrong[i], &u, &f) != -ERROR_INVALID_ARGUMENT) {
            fail_msg("taken: %s", wrong[i]);
        }
        assert_null(u.storage);
        assert_true(f.next_step[0] != '\0');
    }
}

static void the_longest_target_passes_and_one_byte_more_does_not(void **state)
{
    static char target[URI_MAX_BYTES + 2];
    struct uri u;

    (void)state;
    memset(target, 'a', sizeof(target) - 1);
    target[0] = '/';
    assert_int_equal(uri_parse(target, &u, NULL), -ERROR_INVALID_ARGUMENT);
    target[URI_MAX_BYTES] = '\0';
    parse(target, &u);
    assert_int_equal(strlen(u.segments[0]), URI_MAX_BYTES - 1);
    uri_done(&u);
}

static void as_many_segments_and_parameters_as_named_pass(void **state)
{
    char target[128] = "";
    struct uri u;

    (void)state;
    for (int i = 0; i < URI_SEGMENTS_MAX; i++) {
        memcpy(target + 2 * i, "/a", 3);
    }
    parse(target, &u);
    assert_int_equal(u.segment_count, URI_SEGMENTS_MAX);
    uri_done(&u);
    memcpy(target + 2 * URI_SEGMENTS_MAX, "/a", 3);
    assert_int_equal(uri_parse(target, &u, NULL), -ERROR_INVALID_ARGUMENT);
    memcpy(target, "/?", 3);
    for (int i = 0; i < URI_PARAMETERS_MAX; i++) {
        const char pair[3] = { (char)('a' + i), '&', '\0' };

        memcpy(target + 2 + 2 * i, pair, 3);
    }
    parse(target, &u);
    assert_int_equal(u.parameter_count, URI_PARAMETERS_MAX);
    uri_done(&u);
    memcpy(target + 2 + 2 * URI_PARAMETERS_MAX, "z", 2);
    assert_int_equal(uri_parse(target, &u, NULL), -ERROR_INVALID_ARGUMENT);
}

static void patterns_match_whole_paths(void **state)
{
    static const struct {
        const char *target, *pattern;
        bool matches;
    } cases[] = {
        { "/v1/x/frames", "/v1/{d}/frames", true },     { "/v1//frames", "/v1/{d}/frames", false },
        { "/v1/x/frames/", "/v1/{d}/frames", false },   { "/v1/x/frame", "/v1/{d}/frames", false },
        { "/v1/x/framesx", "/v1/{d}/frames", false },   { "/v1/x", "/v1/{d}/frames", false },
        { "/v1/a%2Fb/frames", "/v1/{d}/frames", true }, { "/V1/x/frames", "/v1/{d}/frames", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct uri u;

        parse(cases[i].target, &u);
        assert_int_equal(uri_matches(&u, cases[i].pattern), cases[i].matches);
        uri_done(&u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_and_parameters_are_decoded),
        cmocka_unit_test(a_plus_is_a_plus_and_a_second_question_mark_a_character),
        cmocka_unit_test(empty_queries_have_no_parameters),
        cmocka_unit_test(malformed_targets_are_refused),
        cmocka_unit_test(the_longest_target_passes_and_one_byte_more_does_not),
        cmocka_unit_test(as_many_segments_and_parameters_as_named_pass),
        cmocka_unit_test(patterns_match_whole_paths),
    };

    return UNIT_RUN(tests);
}
