/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The command of the build that a test is of, as a process of its own. */
#ifndef XENRES_TESTS_XENRES_COMMAND_H
#define XENRES_TESTS_XENRES_COMMAND_H

#include "tests/lib/unit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tls_server.h"

/* BUILD/xenres: the test is BUILD/tests/KIND/this. */
static inline void xenres_command_path(char path[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 64);

    assert_true(n > 0);
    path[n] = '\0';
    for (int up = 0; up < 3; up++) {
        *strrchr(path, '/') = '\0';
    }
    strncat(path, "/xenres", 16);
}

/* Starts it with these arguments (the last one NULL) against `server` (NULL: none), with `out` and
 * `err` as its output and errors. */
static inline pid_t xenres_command_start(const struct tls_server *server, int out, int err,
                                         const char *const arguments[])
{
    char program[PATH_MAX];
    const char *argv[16] = { program };
    size_t count = 1;

    xenres_command_path(program);
    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_true(count + 1 < sizeof(argv) / sizeof(argv[0]));
        argv[count++] = arguments[i];
    }
    fflush(NULL);
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (server != NULL) {
            (void)setenv("XENRES_SERVER", server->url, 1);
            (void)setenv("XENRES_CACERT", server->ca_path, 1);
        }
        (void)unsetenv("XENRES_CERT");
        (void)unsetenv("XENRES_KEY");
        (void)setenv("no_proxy", "*", 1);
        (void)dup2(out, STDOUT_FILENO);
        (void)dup2(err, STDERR_FILENO);
        execv(program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

/* Its exit status; negative: the signal that ended it. */
static inline int xenres_command_wait(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#endif
