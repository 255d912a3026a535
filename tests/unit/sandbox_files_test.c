/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Files last, too: each case is a child of its own, which ends with the errno of what it tried. */
#include "server/sandbox_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

enum { NO_LANDLOCK = 250, FAILED = 251 };

static struct folder readable, writable, other;

static int restricted(int (*act)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        const struct sandbox_files files = {
            .readable = { readable.path, "/there/is/none" },
            .readable_count = 2,
            .writable = { writable.path },
            .writable_count = 1,
        };
        int abi = 0;
        struct failure f;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            sandbox_files_restrict(&files, &abi, &f) != 0) {
            _exit(FAILED);
        }
        _exit(abi == 0 ? NO_LANDLOCK : act());
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_LANDLOCK) {
        skip();
    }
    return WEXITSTATUS(status);
}

static int opens(const struct folder *dir, const char *name, int flags)
{
    return open(folder_path(dir, name), flags | O_CLOEXEC, 0600) >= 0 ? 0 : errno;
}

static int read_readable(void)
{
    return opens(&readable, "file", O_RDONLY);
}
static int write_readable(void)
{
    return opens(&readable, "file", O_WRONLY);
}
static int make_in_readable(void)
{
    return opens(&readable, "new", O_WRONLY | O_CREAT);
}
static int read_other(void)
{
    return opens(&other, "file", O_RDONLY);
}
static int write_other(void)
{
    return opens(&other, "file", O_WRONLY);
}
static int read_device(void)
{
    return open("/dev/zero", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno;
}
static int write_writable(void)
{
    return opens(&writable, "file", O_WRONLY);
}
static int read_writable(void)
{
    return opens(&writable, "file", O_RDONLY);
}
static int read_and_write_writable(void)
{
    return opens(&writable, "file", O_RDWR);
}
static int list_writable(void)
{
    return open(writable.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 ? 0 : errno;
}
static int put_aside_in_writable(void)
{
    if (opens(&writable, "new", O_WRONLY | O_CREAT | O_EXCL) != 0) {
        return errno;
    }
    return rename(folder_path(&writable, "new"), folder_path(&writable, "old")) == 0 &&
                   unlink(folder_path(&writable, "old")) == 0
               ? 0
               : errno;
}
static int link_out_of_it(void)
{
    if (symlink(folder_path(&other, "file"), folder_path(&writable, "link")) == 0) {
        return opens(&writable, "link", O_RDONLY);
    }
    return errno;
}
static int make_a_folder(void)
{
    return mkdir(folder_path(&writable, "folder"), 0700) == 0 ? 0 : errno;
}

static void what_is_readable_is_read_and_not_written(void **state)
{
    (void)state;
    assert_int_equal(restricted(read_readable), 0);
    assert_int_equal(restricted(write_readable), EACCES);
    assert_int_equal(restricted(make_in_readable), EACCES);
}

static void what_is_writable_is_written_and_put_aside(void **state)
{
    (void)state;
    assert_int_equal(restricted(write_writable), 0);
    assert_int_equal(restricted(list_writable), 0);
    assert_int_equal(restricted(put_aside_in_writable), 0);
    assert_int_equal(restricted(make_a_folder), EACCES);
    assert_int_equal(restricted(link_out_of_it), EACCES);
}

/* The audit's folder has its keys, too. */
static void what_is_writable_is_not_read(void **state)
{
    (void)state;
    assert_int_equal(restricted(read_writable), EACCES);
    assert_int_equal(restricted(read_and_write_writable), EACCES);
}

static void all_else_is_out_of_reach(void **state)
{
    (void)state;
    assert_int_equal(restricted(read_other), EACCES);
    assert_int_equal(restricted(write_other), EACCES);
    assert_int_equal(restricted(read_device), EACCES);
}

static struct folder make(void)
{
    struct folder f = folder_make();
    int fd = open(folder_path(&f, "file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    (void)close(fd);
    return f;
}

static int set_up(void **state)
{
    (void)state;
    readable = make();
    writable = make();
    other = make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    folder_done(&readable);
    folder_done(&writable);
    folder_done(&other);
    return 0;
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(what_is_readable_is_read_and_not_written),
        ROW(what_is_writable_is_written_and_put_aside),
        ROW(what_is_writable_is_not_read),
        ROW(all_else_is_out_of_reach),
    };
    return UNIT_RUN(tests);
}
