/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How many descriptors the sandbox leaves, where fewer may be had than are configured: each case is a child of
 * its own, and what the kernel says to it is the test's. */
#include "server/sandbox.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/unit.h"

enum { HARD = 512, WANTED = 4096, OTHER = 100 };

static struct {
    bool may_raise;
    rlim_t hard, soft;
} kernel;

/* The C library's; what is not RLIMIT_NOFILE is left as it is. */
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    if (resource != RLIMIT_NOFILE) {
        return 0;
    }
    if (limit->rlim_max > kernel.hard && !kernel.may_raise) {
        errno = EPERM;
        return -1;
    }
    kernel.hard = limit->rlim_max;
    kernel.soft = limit->rlim_cur;
    return 0;
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
    assert_int_equal(resource, RLIMIT_NOFILE);
    *limit = (struct rlimit){ .rlim_cur = kernel.soft, .rlim_max = kernel.hard };
    return 0;
}

/* What is in force then, in hundreds of descriptors rounded up; OTHER: it has failed, and says how. */
static int enter(bool may_raise, uint64_t least)
{
    static const struct sandbox_files files = { .readable = { "/" }, .readable_count = 1 };
    const struct sandbox_options options = {
        .user = "nobody", .open_files = WANTED, .open_files_least = least, .files = &files
    };
    struct failure f = { 0 };
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        kernel.may_raise = may_raise;
        kernel.hard = kernel.soft = HARD;
        int result = sandbox_enter(&options, &f);

        if (result != 0) {
            _exit(result == -ERROR_FAILED_PRECONDITION && strstr(f.message, "is limited to 512")
                      ? OTHER
                      : OTHER + 1);
        }
        _exit(kernel.soft == kernel.hard ? (int)((kernel.hard + 99) / 100) : OTHER + 2);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void who_may_raises_the_limit(void **state)
{
    (void)state;
    assert_int_equal(enter(true, WANTED), WANTED / 100 + 1);
    assert_int_equal(enter(true, 64), WANTED / 100 + 1);
}

static void who_may_not_makes_do_with_enough_and_with_no_less(void **state)
{
    (void)state;
    assert_int_equal(enter(false, HARD), HARD / 100 + 1);
    assert_int_equal(enter(false, HARD + 1), OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_raises_the_limit),
        cmocka_unit_test(who_may_not_makes_do_with_enough_and_with_no_less),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
