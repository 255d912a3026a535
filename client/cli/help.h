/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* --help, of the command or of a verb, made of the tables. */
#ifndef XENRES_CLI_HELP_H
#define XENRES_CLI_HELP_H

#include "client/cli/cli.h"

/* On standard output; `verb` NULL: of the command. The exit status. */
int help_print(const struct verb *verb);

#endif
