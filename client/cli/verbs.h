/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The table of verbs, and the options that all of them have. Help, usage and shell completion are
 * made of it. Constant. */
#ifndef XENRES_CLI_VERBS_H
#define XENRES_CLI_VERBS_H

#include <stddef.h>

#include "client/cli/arguments.h"
#include "client/cli/cli.h"

extern const struct verb *const verbs[];
extern const size_t verbs_count;
extern const struct option verbs_global_options[];

/* NULL, with `usage` saying so, where there is none of that name. */
const struct verb *verbs_find(const char *name, char usage[USAGE_MAX_BYTES]);

#endif
