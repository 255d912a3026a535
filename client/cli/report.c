/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/paint.h"
#include "client/cli/render.h"

/* What to do about each kind where nobody said anything better. */
static const char *const next_steps[] = {
    [ERROR_CANCELED] = "ask again",
    [ERROR_UNKNOWN] = "ask again; if it stays so, look at the gateway's log",
    [ERROR_INVALID_ARGUMENT] = "correct what was asked for",
    [ERROR_DEADLINE_EXCEEDED] = "ask again, or with a longer --timeout",
    [ERROR_NOT_FOUND] = "see \"xenres domains\" and \"xenres resources DOMAIN\" for what there is",
    [ERROR_ALREADY_EXISTS] = "use what is there, or remove it first",
    [ERROR_PERMISSION_DENIED] = "ask the gateway's administrator for it",
    [ERROR_RESOURCE_EXHAUSTED] = "ask for less, or later",
    [ERROR_FAILED_PRECONDITION] =
        "see \"xenres host\" and \"xenres resources DOMAIN\" for the state",
    [ERROR_ABORTED] = "ask again: the domain is another, or in another life",
    [ERROR_OUT_OF_RANGE] = "see \"xenres resources DOMAIN\" for what is in use",
    [ERROR_UNIMPLEMENTED] = "see \"xenres host\" for what this gateway and its host can do",
    [ERROR_INTERNAL] = "ask again; if it stays so, report it with the gateway's log",
    [ERROR_UNAVAILABLE] = "ask again in a moment; if it stays so, is xenresd running there?",
    [ERROR_DATA_LOSS] = "ask again for all of it",
    [ERROR_UNAUTHENTICATED] =
        "check XENRES_CERT and XENRES_KEY, that the gateway knows their CA, and XENRES_TOKEN_FILE",
};

/* The same for what the system says. */
static const struct {
    int number;
    const char *next_step;
} errno_steps[] = {
    { EACCES, "get the permission for it, or name another file" },
    { EPERM, "get the permission for it, or name another file" },
    { EROFS, "name a file where writing is possible" },
    { ENOENT, "correct the path, or make the folder first" },
    { ENOTDIR, "correct the path: a part of it is no folder" },
    { EISDIR, "name a file in the folder" },
    { ENOSPC, "make room there, or name a file elsewhere" },
    { EDQUOT, "make room in your quota, or name a file elsewhere" },
    { EFBIG, "ask for less, or name a file elsewhere" },
    { EPIPE, "let the command behind the pipe read all of it" },
    { EBADF, "give it a standard output, as with >FILE" },
    { EIO, "look at the device: the system's log says more" },
};

enum { CODE_COUNT = sizeof(next_steps) / sizeof(next_steps[0]) };

/* One line; whatever stands in the text, it stays one, and steers no terminal. */
static void line(enum paint paint, const char *label, const char *text)
{
    BUFFER_AUTO(out, 8192);

    render_safe(&out, text);
    const char *safe = buffer_string(&out);

    (void)fprintf(stderr, "%s%s:%s %s\n", paint_begin(STDERR_FILENO, paint), label,
                  paint_end(STDERR_FILENO, paint), safe != NULL ? safe : "");
}

static void line_if(const char *label, const char *text)
{
    if (text[0] != '\0') {
        line(PAINT_TITLE, label, text);
    }
}

static void next_line(const char *text)
{
    line(PAINT_GOOD, "next", text);
}

/* "100 ms", "2.5 s" */
static void wait_line(uint32_t ms)
{
    char text[96];

    if (ms < 1000) {
        (void)snprintf(text, sizeof(text), "the gateway asks for %u ms before another try", ms);
    } else {
        (void)snprintf(text, sizeof(text), "the gateway asks for %.1f s before another try",
                       (double)ms / 1000);
    }
    line(PAINT_TITLE, "wait", text);
}

int report_error(const xenres_error *e)
{
    uint32_t code = e->code < CODE_COUNT && next_steps[e->code] != NULL ? e->code : ERROR_UNKNOWN;
    char text[96];

    line(PAINT_BAD, "xenres", e->message[0] != '\0' ? e->message : error_text((int)code));
    line_if("field", e->field);
    if (e->call[0] != '\0') {
        (void)snprintf(text, sizeof(text), "%s%s%s", e->call, e->errno_name[0] != '\0' ? ": " : "",
                       e->errno_name);
        line(PAINT_TITLE, "call", text);
    } else {
        line_if("errno", e->errno_name);
    }
    line_if("cause", e->cause);
    if (e->tries > 1) {
        (void)snprintf(text, sizeof(text), "%u times", e->tries);
        line(PAINT_TITLE, "tried", text);
    }
    if (e->retry_after_ms > 0) {
        wait_line(e->retry_after_ms);
    }
    next_line(e->next_step[0] != '\0' ? e->next_step : next_steps[code]);
    return error_exit_status((int)code);
}

static const char *errno_step(int errnum)
{
    for (size_t i = 0; i < sizeof(errno_steps) / sizeof(errno_steps[0]); i++) {
        if (errno_steps[i].number == errnum) {
            return errno_steps[i].next_step;
        }
    }
    return "put that right, and ask again";
}

int report_local(const char *what, const char *subject, int errnum, const char *next_step)
{
    char text[1024];

    (void)snprintf(text, sizeof(text), "%s%s%s", what, subject[0] != '\0' ? " " : "", subject);
    line(PAINT_BAD, "xenres", text);
    if (errnum != 0) {
        (void)snprintf(text, sizeof(text), "%s: %s", error_errno_name(errnum), strerror(errnum));
        line(PAINT_TITLE, "cause", text);
    }
    next_line(next_step != NULL ? next_step : errno_step(errnum));
    return EXIT_LOCAL;
}

int report_no_memory(void)
{
    return report_local("no memory", "", 0, "ask for less, or where there is more memory");
}

int report_failure(const struct failure *f)
{
    line(PAINT_BAD, "xenres", f->message);
    line_if("field", f->field);
    line_if("cause", f->cause);
    next_line(f->next_step[0] != '\0' ? f->next_step
                                      : "report it, with the versions of xenres and the gateway");
    return EXIT_LOCAL;
}

int report_usage(const char *verb, const char *what)
{
    char text[128];

    line(PAINT_BAD, "xenres", what);
    (void)snprintf(text, sizeof(text), "see \"xenres %s%s--help\"", verb != NULL ? verb : "",
                   verb != NULL ? " " : "");
    next_line(text);
    return EXIT_USAGE;
}

void report_note(const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    line(PAINT_WARN, "note", text);
}
