/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/text.h"

static const char name[] = "STATUS=";

/* Up to its end, or that of its line; what a terminal would not show as it is becomes a question mark. */
static void tell(bool ready, const char *text)
{
    char line[STATUS_MAX_BYTES + 1];
    size_t len = strcspn(text, "\n"), used = 0;

    while (len > 0 && used < STATUS_MAX_BYTES) {
        size_t bytes = text_harmless_length(text, len, TEXT_UTF8);

        if (bytes > STATUS_MAX_BYTES - used) {
            break;
        }
        if (bytes > 0) {
            memcpy(line + used, text, bytes);
        } else {
            line[used] = '?';
            bytes = 1;
        }
        used += bytes;
        text += bytes;
        len -= bytes;
    }
    line[used] = '\0';
    (void)sd_notifyf(0, "%s%s%s", ready ? "READY=1\n" : "", name, line);
}

void status_tell(bool ready, const char *format, ...)
{
    char text[STATUS_MAX_BYTES + 1];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    tell(ready, text);
}

void status_pass_on(const char *message)
{
    for (const char *line = message; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, sizeof(name) - 1) == 0) {
            tell(false, line + sizeof(name) - 1);
            return;
        }
    }
}
