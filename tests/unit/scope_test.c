/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/scope.h"

#include <fcntl.h>

#include "tests/lib/descriptors.h"
#include "tests/lib/unit.h"

static int open_null(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void what_leaves_its_scope_is_given_back(void **state)
{
    size_t before = descriptors_open();

    (void)state;
    {
        SCOPE_FD int fd = open_null();
        SCOPE_FILE FILE *file = fopen("/dev/null", "re");
        SCOPE_DIR DIR *dir = opendir("/");
        SCOPE_FREE char *text = strdup("x"); /* the leak checker watches this one */

        assert_true(fd >= 0 && file != NULL && dir != NULL && text != NULL);
        assert_int_equal(descriptors_open(), before + 3);
    }
    assert_int_equal(descriptors_open(), before);
}

static void nothing_is_given_back_where_nothing_was_taken(void **state)
{
    (void)state;
    SCOPE_FD int fd = -1;
    SCOPE_FILE FILE *file = NULL;
    SCOPE_DIR DIR *dir = NULL;
    SCOPE_FREE char *text = NULL;

    assert_true(fd < 0 && file == NULL && dir == NULL && text == NULL);
}

static void what_was_taken_is_the_takers(void **state)
{
    int fd = -1;
    char *text = NULL;

    (void)state;
    {
        SCOPE_FD int local_fd = open_null();
        SCOPE_FREE char *local_text = strdup("x");

        fd = scope_take_fd(&local_fd);
        text = scope_take_pointer(local_text);
        assert_int_equal(local_fd, -1);
        assert_null(local_text);
    }
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_string_equal(text, "x");
    assert_int_equal(close(fd), 0);
    free(text);
}

static void errno_survives_the_clean_up(void **state)
{
    (void)state;
    errno = EDOM;
    {
        SCOPE_FD int fd = 1 << 20; /* close() fails */
        SCOPE_FREE char *text = NULL;

        assert_true(fd > 0 && text == NULL);
    }
    assert_int_equal(errno, EDOM);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_leaves_its_scope_is_given_back),
        cmocka_unit_test(nothing_is_given_back_where_nothing_was_taken),
        cmocka_unit_test(what_was_taken_is_the_takers),
        cmocka_unit_test(errno_survives_the_clean_up),
    };

    return UNIT_RUN(tests);
}
