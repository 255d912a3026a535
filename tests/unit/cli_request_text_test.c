/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Where a request's JSON comes from, and how much of it. */
#include "tests/lib/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/request_text.h"

static char path[] = "/tmp/xenres-request.XXXXXX";

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd >= 0 ? close(fd) : -1;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(size_t len_bytes)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    for (size_t i = 0; i < len_bytes; i++) {
        assert_int_equal(putc(' ', file), ' ');
    }
    assert_int_equal(fclose(file), 0);
}

static int read_at(struct buffer *out)
{
    char operand[64];

    (void)snprintf(operand, sizeof(operand), "@%s", path);
    return request_text_read(operand, out);
}

static void operands_are_the_text_itself(void **state)
{
    BUFFER_AUTO(text, REQUEST_TEXT_MAX_BYTES + 1);

    (void)state;
    assert_int_equal(request_text_read("{\"a\": 1}", &text), 0);
    assert_string_equal(buffer_string(&text), "{\"a\": 1}");
    buffer_reset(&text);
    assert_int_equal(request_text_read(NULL, &text), 0);
    assert_string_equal(buffer_string(&text), "{}");
    buffer_reset(&text);
    assert_int_equal(request_text_read("", &text), 0);
    assert_string_equal(buffer_string(&text), "");
}

/* At the maximum, and no more than one byte beyond, however long the file is. */
static void files_are_read_as_far_as_needed(void **state)
{
    static const size_t sizes[][2] = {
        { 0, 0 },
        { 20000, 20000 },
        { REQUEST_TEXT_MAX_BYTES, REQUEST_TEXT_MAX_BYTES },
        { REQUEST_TEXT_MAX_BYTES + 1, REQUEST_TEXT_MAX_BYTES + 1 },
        { REQUEST_TEXT_MAX_BYTES + 5000, REQUEST_TEXT_MAX_BYTES + 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        BUFFER_AUTO(text, REQUEST_TEXT_MAX_BYTES + 1);

        write_file(sizes[i][0]);
        assert_int_equal(read_at(&text), 0);
        assert_int_equal(text.len_bytes, sizes[i][1]);
    }
}

/* Runs with standard error elsewhere: it would be read as a result of the tests. */
static void what_cannot_be_read_is_a_failure_here(void **state)
{
    BUFFER_AUTO(text, REQUEST_TEXT_MAX_BYTES + 1);
    int kept = dup(STDERR_FILENO);
    int nowhere = open("/dev/null", O_WRONLY);

    (void)state;
    assert_true(kept >= 0 && nowhere >= 0);
    dup2(nowhere, STDERR_FILENO);
    int missing = request_text_read("@/nonexistent/request", &text);
    int folder = request_text_read("@/tmp", &text);

    dup2(kept, STDERR_FILENO);
    close(kept);
    close(nowhere);
    assert_int_equal(missing, EXIT_LOCAL);
    assert_int_equal(folder, EXIT_LOCAL);
    assert_int_equal(text.len_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operands_are_the_text_itself),
        cmocka_unit_test(files_are_read_as_far_as_needed),
        cmocka_unit_test(what_cannot_be_read_is_a_failure_here),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
