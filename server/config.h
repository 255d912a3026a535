/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenresd.conf: one table of options (config.def) and one of sections that have titles
 * (config_titled.def), read strictly. Values are within their bounds once loaded. Plain data; whoever
 * loaded it owns it.
 */
#ifndef XENRES_SERVER_CONFIG_H
#define XENRES_SERVER_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/buffer.h"
#include "common/error.h"

enum {
    CONFIG_TEXT_BYTES = 512,
    CONFIG_OTHER_FILES = 64, /* that are open beside connections */
    CONFIG_TITLE_BYTES = 64,
    CONFIG_LIST_BYTES = 4096, /* of all texts in one list: each NUL-ended, an empty one last */
    CONFIG_FILE_MAX_BYTES = 256 * 1024,
};

/* A section with a title: which, and the line in which it ends, for faults that only its user sees. */
#define TITLED(section, max, text)                                                                 \
    struct config_##section {                                                                      \
        char title[CONFIG_TITLE_BYTES];                                                            \
        unsigned line;
#define TITLED_TEXT(section, name, need, text)                     char name[CONFIG_TEXT_BYTES];
#define TITLED_NUMBER(section, name, value, low, high, unit, text) int64_t name;
#define TITLED_LIST(section, name, need, fault, text)                                              \
    char name[CONFIG_LIST_BYTES];                                                                  \
    bool name##_given; /* also where it is empty */
#define TITLED_END(section, max)                                                                   \
    }                                                                                              \
    ;
#include "server/config_titled.def"
#undef TITLED
#undef TITLED_TEXT
#undef TITLED_NUMBER
#undef TITLED_LIST
#undef TITLED_END

struct config {
    char path[CONFIG_TEXT_BYTES];
#define CONFIG_TEXT(section, name, value, text)                    char section##_##name[CONFIG_TEXT_BYTES];
#define CONFIG_CHOICE(section, name, value, words, text)           char section##_##name[CONFIG_TEXT_BYTES];
#define CONFIG_NUMBER(section, name, value, low, high, unit, text) int64_t section##_##name;
#include "server/config.def"
#undef CONFIG_TEXT
#undef CONFIG_CHOICE
#undef CONFIG_NUMBER
#define TITLED(section, max, text)
#define TITLED_TEXT(section, name, need, text)
#define TITLED_NUMBER(section, name, value, low, high, unit, text)
#define TITLED_LIST(section, name, need, fault, text)
#define TITLED_END(section, max)                                                                   \
    struct config_##section section[max];                                                          \
    size_t section##_count;
#include "server/config_titled.def"
#undef TITLED
#undef TITLED_TEXT
#undef TITLED_NUMBER
#undef TITLED_LIST
#undef TITLED_END
};

/* Every option at its default. */
void config_defaults(struct config *out);

/*
 * Reads `path`. Every fault (unknown option, wrong type, out of bounds, given twice, options that
 * contradict each other) is a line `file:line: what was expected` in `faults`;
 * -ERROR_INVALID_ARGUMENT then. A file that others than root and this user can change is refused:
 * -ERROR_FAILED_PRECONDITION.
 */
int config_load(const char *path, struct config *out, struct buffer *faults, struct failure *f);

/* The line in which the file that this thread has loaded last gives the option "section.name"; 0: it does
 * not, or there is no such option. */
unsigned config_line(const char *option);

/* One line an option, for people and for the test of the manual page. */
void config_print_options(FILE *out);

/* A file to begin with: every option with its meaning, bounds and default behind a comment sign; those of
 * `given`, ended by one without an option, with these values. */
struct config_given {
    const char *option, *value; /* "section.name"; a text without quotes and backslashes */
};
void config_print_file(struct buffer *out, const struct config_given *given);

#endif
