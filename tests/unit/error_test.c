/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/error.h"

#include <errno.h>
#include <stdlib.h>

#include "common/text.h"
#include "tests/lib/unit.h"

static const int codes[] = {
#define ERROR(name, number, connect, http, exit, text) (number),
#include "common/errors.def"
#undef ERROR
};

enum { CODE_COUNT = sizeof(codes) / sizeof(codes[0]) };

static void every_row_is_whole_and_found_by_its_connect_code_and_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODE_COUNT; i++) {
        assert_int_equal(error_from_connect_code(error_connect_code(codes[i])), codes[i]);
        assert_int_equal(error_from_exit_status(error_exit_status(codes[i])), codes[i]);
        assert_true(error_name(codes[i])[0] != '\0');
        assert_true(error_text(codes[i])[0] != '\0');
        assert_in_range(error_http_status(codes[i]), 400, 599);
    }
}

static void numbers_and_exit_statuses_are_distinct(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODE_COUNT; i++) {
        /* 0 is success, 1 and 2 the CLI's own; 126 and above are the shell's. */
        assert_in_range(error_exit_status(codes[i]), 3, 125);
        for (size_t k = i + 1; k < CODE_COUNT; k++) {
            assert_int_not_equal(codes[i], codes[k]);
            assert_int_not_equal(error_exit_status(codes[i]), error_exit_status(codes[k]));
        }
    }
}

static void a_number_in_no_row_is_unknown(void **state)
{
    static const int strange[] = { 0, -1, -5, CODE_COUNT + 1, 1 << 20, INT32_MIN, INT32_MAX };

    (void)state;
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        assert_string_equal(error_name(strange[i]), "UNKNOWN");
        assert_int_equal(error_http_status(strange[i]), 500);
    }
    assert_int_equal(error_from_connect_code("no_such_code"), ERROR_UNKNOWN);
    assert_int_equal(error_from_exit_status(0), ERROR_UNKNOWN);
    assert_int_equal(error_from_exit_status(127), ERROR_UNKNOWN);
    assert_int_equal(error_from_connect_code(""), ERROR_UNKNOWN);
}

static void errno_names_are_names(void **state)
{
    (void)state;
    assert_string_equal(error_errno_name(0), "");
    assert_string_equal(error_errno_name(EINVAL), "EINVAL");
    assert_string_equal(error_errno_name(EOPNOTSUPP), "EOPNOTSUPP");
    assert_string_equal(error_errno_name(99999), "E?");
    assert_string_equal(error_errno_name(-EINVAL), "E?");
}

static void a_failure_is_filled_and_its_code_returned_negative(void **state)
{
    struct failure f;

    (void)state;
    memset(&f, 0xff, sizeof(f));
    int result = failure_set(&f, ERROR_NOT_FOUND, "domain %d", 7);
    assert_int_equal(result, -ERROR_NOT_FOUND);
    assert_int_equal(failure_cause(&f, result, "it is %s", "gone"), -ERROR_NOT_FOUND);
    assert_int_equal(failure_next(&f, result, "list domains"), -ERROR_NOT_FOUND);
    assert_int_equal(failure_call(&f, result, "xc_x", ESRCH), -ERROR_NOT_FOUND);
    assert_int_equal(f.code, ERROR_NOT_FOUND);
    assert_string_equal(f.message, "domain 7");
    assert_string_equal(f.cause, "it is gone");
    assert_string_equal(f.next_step, "list domains");
    assert_string_equal(f.call, "xc_x");
    assert_int_equal(f.xen_errno, ESRCH);
}

static void nobody_has_to_ask_for_the_detail(void **state)
{
    (void)state;
    int result = failure_set(NULL, ERROR_INTERNAL, "x");
    assert_int_equal(result, -ERROR_INTERNAL);
    assert_int_equal(failure_cause(NULL, result, "x"), result);
    assert_int_equal(failure_next(NULL, result, "x"), result);
    assert_int_equal(failure_call(NULL, result, "x", EIO), result);
}

static void a_new_failure_carries_nothing_of_the_old_one(void **state)
{
    struct failure f;
    struct failure clean = { .code = ERROR_ABORTED };

    (void)state;
    memset(&f, 'A', sizeof(f));
    (void)failure_set(&f, ERROR_ABORTED, NULL);
    assert_memory_equal(&f, &clean, sizeof(f));
}

static void a_new_cause_leaves_nothing_of_a_longer_one(void **state)
{
    static const char zeros[FAILURE_TEXT_MAX];
    struct failure f;
    int result = failure_set(&f, ERROR_ABORTED, "x");

    (void)state;
    (void)failure_cause(&f, result, "a cause with a secret in it");
    (void)failure_cause(&f, result, "short");
    assert_memory_equal(f.cause + 5, zeros, sizeof(f.cause) - 5);
    (void)failure_call(&f, result, "a_long_name_of_a_call", 1);
    (void)failure_call(&f, result, "open", 1);
    assert_memory_equal(f.call + 4, zeros, sizeof(f.call) - 4);
}

static void a_failure_may_be_worded_from_itself(void **state)
{
    struct failure f;

    (void)state;
    (void)failure_set(&f, ERROR_ABORTED, "first");
    (void)failure_set(&f, ERROR_ABORTED, "%s, again", f.message);
    assert_string_equal(f.message, "first, again");
}

static void text_at_the_limit_is_whole_and_one_beyond_is_cut(void **state)
{
    struct failure f;
    char text[FAILURE_TEXT_MAX + 1];

    (void)state;
    memset(text, 'a', sizeof(text));
    text[FAILURE_TEXT_MAX - 1] = '\0';
    (void)failure_set(&f, ERROR_INTERNAL, "%s", text);
    assert_string_equal(f.message, text);
    text[FAILURE_TEXT_MAX - 1] = 'a';
    text[FAILURE_TEXT_MAX] = '\0';
    (void)failure_set(&f, ERROR_INTERNAL, "%s", text);
    assert_int_equal(strlen(f.message), FAILURE_TEXT_MAX - 1);
}

static void text_is_cut_between_characters(void **state)
{
    struct failure f;
    char text[FAILURE_TEXT_MAX + 8];

    (void)state;
    for (size_t lead = 0; lead < 4; lead++) {
        memset(text, 0, sizeof(text));
        memset(text, 'a', lead);
        while (strlen(text) < FAILURE_TEXT_MAX) {
            strcat(text, "€");
        }
        (void)failure_set(&f, ERROR_INTERNAL, "%s", text);
        assert_true(text_is_utf8(f.message, strlen(f.message)));
        assert_true(strlen(f.message) > FAILURE_TEXT_MAX - 4);
        assert_null(strchr(f.message, '?'));
    }
}

static void a_guests_bytes_are_made_harmless(void **state)
{
    struct failure f;

    (void)state;
    (void)failure_set(&f, ERROR_INTERNAL, "a%sb", "\n\x1b[31m\xff\xc3é");
    assert_string_equal(f.message, "a??[31m??éb");
    (void)failure_call(&f, -1, "open\n", 0);
    assert_string_equal(f.call, "open?");
}

static void a_failure_from_outside_becomes_safe(void **state)
{
    struct failure f;

    (void)state;
    memset(&f, 0xfe, sizeof(f));
    failure_sanitize(&f);
    assert_int_equal(f.code, ERROR_UNKNOWN);
    assert_int_equal(f.xen_errno, 0);
    assert_int_equal(strlen(f.call), FAILURE_CALL_MAX - 1);
    assert_int_equal(strlen(f.next_step), FAILURE_TEXT_MAX - 1);
    assert_int_equal(f.message[0], '?');

    (void)failure_set(&f, ERROR_NOT_FOUND, "as it was");
    struct failure before = f;
    failure_sanitize(&f);
    assert_memory_equal(&f, &before, sizeof(f));
}

static void a_field_is_named_by_its_path(void **state)
{
    struct failure f = { 0 };
    char text[FAILURE_FIELD_MAX + 1];

    (void)state;
    int result = failure_set(&f, ERROR_INVALID_ARGUMENT, "no such state");

    assert_int_equal(failure_field(&f, result, "filter.states[%d]", 3), -ERROR_INVALID_ARGUMENT);
    assert_string_equal(f.field, "filter.states[3]");
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)failure_field(&f, result, "%s", text);
    assert_int_equal(strlen(f.field), FAILURE_FIELD_MAX - 1);
    (void)failure_set(&f, ERROR_INVALID_ARGUMENT, "another");
    assert_string_equal(f.field, "");
}

static void random_failures_become_safe(void **state)
{
    struct failure f;

    (void)state;
    srandom(1);
    for (int round = 0; round < 2000; round++) {
        unsigned char *bytes = (unsigned char *)&f;

        for (size_t i = 0; i < sizeof(f); i++) {
            bytes[i] = (unsigned char)random();
        }
        failure_sanitize(&f);
        assert_true(text_is_utf8(f.call, strlen(f.call)));
        assert_true(text_is_utf8(f.message, strlen(f.message)));
        assert_true(text_is_utf8(f.cause, strlen(f.cause)));
        assert_true(text_is_utf8(f.next_step, strlen(f.next_step)));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole_and_found_by_its_connect_code_and_status),
        cmocka_unit_test(numbers_and_exit_statuses_are_distinct),
        cmocka_unit_test(a_number_in_no_row_is_unknown),
        cmocka_unit_test(errno_names_are_names),
        cmocka_unit_test(a_failure_is_filled_and_its_code_returned_negative),
        cmocka_unit_test(nobody_has_to_ask_for_the_detail),
        cmocka_unit_test(a_new_failure_carries_nothing_of_the_old_one),
        cmocka_unit_test(a_new_cause_leaves_nothing_of_a_longer_one),
        cmocka_unit_test(a_failure_may_be_worded_from_itself),
        cmocka_unit_test(text_at_the_limit_is_whole_and_one_beyond_is_cut),
        cmocka_unit_test(text_is_cut_between_characters),
        cmocka_unit_test(a_guests_bytes_are_made_harmless),
        cmocka_unit_test(a_failure_from_outside_becomes_safe),
        cmocka_unit_test(a_field_is_named_by_its_path),
        cmocka_unit_test(random_failures_become_safe),
    };

    return UNIT_RUN(tests);
}
