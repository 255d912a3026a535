/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/scope.h"
#include "common/text.h"

enum { ROW_BYTES = 16 * 1024 };

static void show(struct doctor *d, const char *text, size_t len, bool has_lines)
{
    while (len > 0) {
        size_t whole = text_harmless_length(text, len, TEXT_UTF8);

        if (whole > 0) {
            (void)fwrite(text, 1, whole, d->to);
        } else if (has_lines && text[0] == '\n') {
            fputc('\n', d->to);
        } else {
            fprintf(d->to, "\\x%02x", (unsigned)(unsigned char)text[0]);
        }
        whole += whole == 0;
        text += whole;
        len -= whole;
    }
}

void doctor_text(struct doctor *d, const char *text, size_t len)
{
    show(d, text, len, true);
}

void doctor_row(struct doctor *d, enum doctor_level level, const char *what, const char *format,
                ...)
{
    static const char *const words[] = { "ok", "warning", "FAILED" };
    char line[ROW_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    fprintf(d->to, "%-8s %s: ", words[level], what);
    show(d, line, strlen(line), false);
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

/* What it says, until it says no more. False: it has not ended in time. */
static bool hear(int from, struct buffer *said)
{
    uint64_t deadline_ns = clock_monotonic_ns() + DOCTOR_PROGRAM_MS * CLOCK_NS_PER_MS;
    struct pollfd row = { .fd = from, .events = POLLIN };
    char piece[4096];

    for (;;) {
        int ready = poll(&row, 1, clock_poll_timeout_ms(deadline_ns, DOCTOR_PROGRAM_MS));
        ssize_t n = ready > 0 ? read(from, piece, sizeof(piece)) : 0;

        if (n > 0 && said->len_bytes + (size_t)n <= said->max_bytes) {
            (void)buffer_append(said, piece, (size_t)n);
        }
        if (ready > 0 && n <= 0) {
            return true;
        }
        if (clock_monotonic_ns() >= deadline_ns) { /* also of one that goes on and on */
            return false;
        }
    }
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
    if (pid < 0) {
        return -ERROR_RESOURCE_EXHAUSTED;
    }
    bool has_ended = hear(from, said);

    if (!has_ended) {
        (void)kill(pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return !has_ended          ? -ERROR_DEADLINE_EXCEEDED
           : WIFEXITED(status) ? WEXITSTATUS(status)
                               : 128 + WTERMSIG(status);
}
