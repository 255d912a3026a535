/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/scope.h"

void doctor_row(struct doctor *d, enum doctor_level level, const char *what, const char *format,
                ...)
{
    static const char *const words[] = { "ok", "warning", "FAILED" };
    va_list arguments;

    fprintf(d->to, "%-8s %s: ", words[level], what);
    va_start(arguments, format);
    vfprintf(d->to, format, arguments);
    va_end(arguments);
    fputc('\n', d->to);
    d->warnings += level == DOCTOR_WARNING;
    d->failures += level == DOCTOR_FAILED;
}

void doctor_row_failure(struct doctor *d, enum doctor_level level, const char *what,
                        const struct failure *f)
{
    doctor_row(d, level, what, "%s%s%s%s%s", f->message, f->cause[0] != '\0' ? ": " : "", f->cause,
               f->next_step[0] != '\0' ? "; " : "", f->next_step);
}

static _Noreturn void become(const char *const *argv, int to)
{
    if (dup2(to, STDOUT_FILENO) >= 0 && dup2(to, STDERR_FILENO) >= 0) {
        execvp(argv[0], (char *const *)(uintptr_t)argv);
    }
    _exit(127);
}

int doctor_program(const char *const *argv, struct buffer *said)
{
    int ends[2], status = 0;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    SCOPE_FD int from = ends[0];
    SCOPE_FD int to = ends[1];

    pid = fork();
    if (pid == 0) {
        become(argv, to);
    }
    (void)close(scope_take_fd(&to));
    for (;;) {
        char piece[4096];
        ssize_t n = pid > 0 ? read(from, piece, sizeof(piece)) : 0;

        if (n > 0 && said->len_bytes + (size_t)n <= said->max_bytes) {
            (void)buffer_append(said, piece, (size_t)n);
        } else if (n == 0 || (n < 0 && errno != EINTR)) {
            break;
        }
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (pid < 0) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
