/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The command line: long options by their whole name (an abbreviation that works today would be
 * another option tomorrow), letters where the table has one, `--` before operands that begin with a
 * dash. Each option at most once, but for those that say otherwise. Pure; strings stay those of argv.
 */
#ifndef XENRES_CLI_ARGUMENTS_H
#define XENRES_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct option {
    const char *name;     /* "first"; NULL ends a table */
    const char *argument; /* "N" where it takes one, else NULL; choices.h knows what it may be */
    const char *help;
    char letter;  /* 'o', or 0 */
    bool repeats; /* may be given more than once */
};

enum { OPTIONS_MAX = 24, OPERANDS_MAX = 4, USAGE_MAX_BYTES = 256 };

struct arguments {
    struct {
        const struct option *option;
        const char *value;
    } options[OPTIONS_MAX];
    size_t option_count;
    const char *operands[OPERANDS_MAX];
    size_t operand_count;
};

/* How the parser asks for the verb's own options: called with the first operand, which is the
 * verb's name and not counted as an operand. Where there is no such verb: false, `usage` says so. */
typedef bool arguments_find_verb(void *arg, const char *name, const struct option **options,
                                 size_t *operands_max, char usage[USAGE_MAX_BYTES]);

/* False: `usage` says what is wrong. */
bool arguments_parse(int argc, char **argv, const struct option *global,
                     arguments_find_verb *find_verb, void *arg, struct arguments *out,
                     char usage[USAGE_MAX_BYTES]);

/* NULL where it was not given; "" where it was and takes no argument. The first where it repeats. */
const char *arguments_value(const struct arguments *arguments, const char *name);
/* Each value of an option that repeats: from *at on, which begins at 0; NULL behind the last. */
const char *arguments_next_value(const struct arguments *arguments, const char *name, size_t *at);

/* A number that an option or operand must be; false with `usage` filled. */
bool arguments_number(const char *what, const char *text, uint32_t max, uint32_t *out,
                      char usage[USAGE_MAX_BYTES]);
/* "30", "30s", "500ms", "2m" → milliseconds, 1 to `max_ms`. */
bool arguments_duration(const char *what, const char *text, uint32_t max_ms, uint32_t *out_ms,
                        char usage[USAGE_MAX_BYTES]);

#endif
