/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What xenresd does beside serving: `xenresd NAME …`. Each is a row and a file of its own; it parses its
 * own arguments, writes its answer to standard output and what is wrong to standard error, and returns
 * the status to exit with (0, STATUS_USAGE, or error_exit_status()). One thread.
 */
#ifndef XENRES_SERVER_COMMAND_H
#define XENRES_SERVER_COMMAND_H

enum { COMMAND_STATUS_FAILED = 1, COMMAND_STATUS_USAGE = 2 };

struct command {
    const char *name;
    const char *help;                  /* lines of `xenresd --help`, each indented and ended */
    int (*run)(int argc, char **argv); /* argv[0]: the name; getopt's optind is 1 */
};

extern const struct command commands[]; /* ended by one without a name */

/* NULL: there is none. */
const struct command *command_find(const char *name);

#endif
