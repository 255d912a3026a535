/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/paint.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_painted[STDERR_FILENO + 1];

/* https://no-color.org: set and not empty. */
static bool takes_colours(int fd)
{
    const char *refused = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    return (refused == NULL || refused[0] == '\0') && terminal != NULL && terminal[0] != '\0' &&
           strcmp(terminal, "dumb") != 0 && isatty(fd) == 1;
}

void paint_init(enum paint_when when)
{
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        is_painted[fd] = when == PAINT_ALWAYS || (when == PAINT_AUTO && takes_colours(fd));
    }
}

bool paint_when_from_name(const char *name, enum paint_when *out)
{
    static const char *const names[] = {
        [PAINT_AUTO] = "auto", [PAINT_ALWAYS] = "always", [PAINT_NEVER] = "never"
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum paint_when)i;
            return true;
        }
    }
    return false;
}

static bool is_on(int fd, enum paint paint)
{
    return paint != PAINT_PLAIN && (fd == STDOUT_FILENO || fd == STDERR_FILENO) && is_painted[fd];
}

const char *paint_begin(int fd, enum paint paint)
{
    static const char *const codes[] = { [PAINT_PLAIN] = "",
                                         [PAINT_TITLE] = "\033[1m",
                                         [PAINT_GOOD] = "\033[32m",
                                         [PAINT_WARN] = "\033[33m",
                                         [PAINT_BAD] = "\033[31m" };

    return is_on(fd, paint) ? codes[paint] : "";
}

const char *paint_end(int fd, enum paint paint)
{
    return is_on(fd, paint) ? "\033[0m" : "";
}
