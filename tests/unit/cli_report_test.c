/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Failures as people read them: each part on a line of its own, and what to do now at the end. */
#include "tests/lib/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/paint.h"
#include "client/cli/report.h"

static char said[4096];

/* Runs it with standard error in a file, and reads that. */
#define SAYS(call, status)                                                                         \
    do {                                                                                           \
        int kept = begin();                                                                        \
        int ended = (call);                                                                        \
                                                                                                   \
        finish(kept);                                                                              \
        assert_int_equal(ended, status);                                                           \
    } while (0)

static FILE *file;

static int begin(void)
{
    int kept = dup(STDERR_FILENO);

    file = tmpfile();
    assert_non_null(file);
    assert_true(kept >= 0 && dup2(fileno(file), STDERR_FILENO) == STDERR_FILENO);
    return kept;
}

static void finish(int kept)
{
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
    fclose(file);
}

static void all_that_is_known_is_said(void **state)
{
    const xenres_error error = {
        .code = XENRES_UNAVAILABLE,
        .call = "xenforeignmemory_map_resource",
        .errno_name = "EAGAIN",
        .message = "cannot map",
        .cause = "too many\nat once",
        .next_step = "ask later",
        .field = "frame_count",
        .retry_after_ms = 2500,
        .tries = 3,
    };

    (void)state;
    SAYS(report_error(&error), 24);
    assert_string_equal(said, "xenres: cannot map\n"
                              "field: frame_count\n"
                              "call: xenforeignmemory_map_resource: EAGAIN\n"
                              "cause: too many\\x0aat once\n"
                              "tried: 3 times\n"
                              "wait: the gateway asks for 2.5 s before another try\n"
                              "next: ask later\n");
}

static void what_is_not_known_is_left_out(void **state)
{
    const xenres_error error = {
        .code = XENRES_NOT_FOUND, .errno_name = "ENOENT", .tries = 1, .retry_after_ms = 0
    };

    (void)state;
    SAYS(report_error(&error), 15);
    assert_string_equal(said,
                        "xenres: there is no such domain, resource or method\n"
                        "errno: ENOENT\n"
                        "next: see \"xenres domains\" and \"xenres resources DOMAIN\" for what "
                        "there is\n");
}

static void short_waits_are_in_milliseconds(void **state)
{
    const xenres_error error = { .code = XENRES_RESOURCE_EXHAUSTED, .retry_after_ms = 999 };

    (void)state;
    SAYS(report_error(&error), 18);
    assert_non_null(strstr(said, "wait: the gateway asks for 999 ms before another try\n"));
}

/* Of every code of the table, and of those that a newer gateway may have. */
static void no_failure_ends_without_a_next_step(void **state)
{
    static const uint32_t codes[] = {
#define ERROR(name, number, connect, http, exit, text) (number),
#include "common/errors.def"
#undef ERROR
        0,
        17,
        UINT32_MAX,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        const xenres_error error = { .code = codes[i], .message = "it" };

        SAYS(report_error(&error), error_exit_status((int)codes[i]));
        const char *next = strstr(said, "\nnext: ");

        assert_non_null(next);
        assert_true(strlen(next) > 15);
        assert_ptr_equal(strchr(next + 1, '\n'), said + strlen(said) - 1);
    }
}

static void failures_here_have_one_of_their_errno(void **state)
{
    (void)state;
    SAYS(report_local("cannot write to", "there", ENOSPC, NULL), EXIT_LOCAL);
    assert_string_equal(said, "xenres: cannot write to there\n"
                              "cause: ENOSPC: No space left on device\n"
                              "next: make room there, or name a file elsewhere\n");
    SAYS(report_local("cannot write to", "there", ELOOP, NULL), EXIT_LOCAL);
    assert_non_null(strstr(said, "\nnext: "));
    SAYS(report_local("too large", "", 0, "ask for less"), EXIT_LOCAL);
    assert_string_equal(said, "xenres: too large\nnext: ask for less\n");
}

static void only_labels_are_painted(void **state)
{
    const xenres_error error = { .code = XENRES_ABORTED, .message = "\033[5mit", .cause = "so" };

    (void)state;
    paint_init(PAINT_ALWAYS);
    SAYS(report_error(&error), 20);
    paint_init(PAINT_NEVER);
    assert_ptr_equal(strstr(said, "\033[31mxenres:\033[0m \\x1b[5mit\n"), said);
    assert_non_null(strstr(said, "\n\033[1mcause:\033[0m so\n\033[32mnext:\033[0m "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_known_is_said),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(short_waits_are_in_milliseconds),
        cmocka_unit_test(no_failure_ends_without_a_next_step),
        cmocka_unit_test(failures_here_have_one_of_their_errno),
        cmocka_unit_test(only_labels_are_painted),
    };

    return UNIT_RUN(tests);
}
