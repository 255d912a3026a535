/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenresd.conf: one table of options (config.def), read strictly. Values are within their bounds
 * once loaded. Plain data; whoever loaded it owns it.
 */
#ifndef XENRES_SERVER_CONFIG_H
#define XENRES_SERVER_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "common/buffer.h"
#include "common/error.h"

enum { CONFIG_TEXT_BYTES = 512, CONFIG_FILE_MAX_BYTES = 256 * 1024 };

struct config {
    char path[CONFIG_TEXT_BYTES];
#define CONFIG_TEXT(section, name, value, text)                    char section##_##name[CONFIG_TEXT_BYTES];
#define CONFIG_NUMBER(section, name, value, low, high, unit, text) int64_t section##_##name;
#include "server/config.def"
#undef CONFIG_TEXT
#undef CONFIG_NUMBER
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
