/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The library's pure parts: times, names, and who is meant. */
#include "tests/lib/unit.h"

#include "client/target.h"
#include "client/timestamp.h"

static void expect_time(const char *text, int64_t seconds, uint32_t nanoseconds)
{
    int64_t s = -99;
    uint32_t n = 99;

    assert_true(timestamp_parse(text, &s, &n));
    assert_int_equal(s, seconds);
    assert_int_equal(n, nanoseconds);
}

static void times_are_read(void **state)
{
    (void)state;
    expect_time("1970-01-01T00:00:00Z", 0, 0);
    expect_time("2000-02-29T00:00:00Z", 951782400, 0);
    expect_time("2026-01-31T23:59:59.5Z", 1769903999, 500000000);
    expect_time("2026-01-31T23:59:59.000000007Z", 1769903999, 7);
    expect_time("0001-01-01T00:00:00Z", INT64_C(-62135596800), 0);
    expect_time("9999-12-31T23:59:59.999999999Z", INT64_C(253402300799), 999999999);
}

static void other_texts_are_no_times(void **state)
{
    static const char *const bad[] = {
        "",
        "2026",
        "2026-01-31",
        "2026-01-31T23:59:59",
        "2026-01-31 23:59:59Z",
        "0000-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.0123456789Z",
        "2026-01-01T00:00:00Zz",
        "2026-01-01T00:00:00+01:00",
        "2026-1-1T0:0:0Z",
    };
    int64_t s;
    uint32_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (timestamp_parse(bad[i], &s, &n)) {
            fail_msg("taken: %s", bad[i]);
        }
    }
}

static void resource_types_have_names(void **state)
{
    (void)state;
    for (uint32_t type = 1; type <= 4; type++) {
        assert_int_equal(xenres_resource_type_from_name(xenres_resource_type_name(type)), type);
    }
    assert_string_equal(xenres_resource_type_name(0), "");
    assert_string_equal(xenres_resource_type_name(5), "");
    assert_string_equal(xenres_resource_type_name(UINT32_MAX), "");
    assert_int_equal(xenres_resource_type_from_name("nothing"), 0);
    assert_int_equal(xenres_resource_type_from_name(""), 0);
    assert_int_equal(xenres_resource_type_from_name(NULL), 0);
}

static void codes_have_connects_names(void **state)
{
    (void)state;
    assert_string_equal(xenres_code_name(XENRES_NOT_FOUND), "not_found");
    assert_string_equal(xenres_code_name(0), "unknown");
    assert_string_equal(xenres_code_name(UINT32_MAX), "unknown");
}

static void domains_are_checked_before_they_are_asked_for(void **state)
{
    static char long_name[TARGET_MAX_BYTES + 2];
    struct fault fault = { 0 };

    (void)state;
    memset(long_name, 'a', TARGET_MAX_BYTES);
    assert_int_equal(target_check(long_name, NULL, &fault), 0);
    long_name[TARGET_MAX_BYTES] = 'a';
    assert_int_equal(target_check(long_name, NULL, &fault), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(target_check(NULL, NULL, &fault), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(target_check("", NULL, &fault), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(target_check("\xff", NULL, &fault), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(target_check("a", "", &fault), 0);
    assert_int_equal(target_check("a", "0123", &fault), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(target_check("a", "0123456789abcdef0123456789abcdeg", &fault),
                     -ERROR_INVALID_ARGUMENT);
    assert_int_equal(target_check("a", "0123456789abcdef0123456789ABCDEF", &fault), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(other_texts_are_no_times),
        cmocka_unit_test(resource_types_have_names),
        cmocka_unit_test(codes_have_connects_names),
        cmocka_unit_test(domains_are_checked_before_they_are_asked_for),
    };

    return UNIT_RUN(tests);
}
