/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/render.h"

/* One line; whatever stands in the text, it stays one, and steers no terminal. */
static void line(const char *label, const char *text)
{
    BUFFER_AUTO(out, 8192);

    render_safe(&out, text);
    const char *safe = buffer_string(&out);

    (void)fprintf(stderr, "%s%s\n", label, safe != NULL ? safe : "");
}

int report_error(const xenres_error *error)
{
    line("xenres: ", error->message[0] != '\0' ? error->message : error_text((int)error->code));
    if (error->call[0] != '\0') {
        char origin[96];

        (void)snprintf(origin, sizeof(origin), "%s%s%s", error->call,
                       error->errno_name[0] != '\0' ? ": " : "", error->errno_name);
        line("call: ", origin);
    } else if (error->errno_name[0] != '\0') {
        line("errno: ", error->errno_name);
    }
    if (error->cause[0] != '\0') {
        line("cause: ", error->cause);
    }
    if (error->next_step[0] != '\0') {
        line("next: ", error->next_step);
    }
    return error_exit_status((int)error->code);
}

int report_local(const char *what, const char *subject, int errnum)
{
    char text[1024];

    (void)snprintf(text, sizeof(text), "%s%s%s", what, subject[0] != '\0' ? " " : "", subject);
    line("xenres: ", text);
    if (errnum != 0) {
        (void)snprintf(text, sizeof(text), "%s: %s", error_errno_name(errnum), strerror(errnum));
        line("cause: ", text);
    }
    return EXIT_LOCAL;
}

int report_failure(const struct failure *f)
{
    line("xenres: ", f->message);
    return EXIT_LOCAL;
}

int report_usage(const char *verb, const char *what)
{
    line("xenres: ", what);
    (void)fprintf(stderr, "next: see \"xenres %s%s--help\"\n", verb != NULL ? verb : "",
                  verb != NULL ? " " : "");
    return EXIT_USAGE;
}

void report_note(const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    line("note: ", text);
}
