/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Runs a watch: what comes is shown (live, as lines, as JSON), recorded, or both, until it ends, a
 * signal ends it, or something fails.
 */
#ifndef XENRES_CLI_WATCHING_H
#define XENRES_CLI_WATCHING_H

#include <stdbool.h>
#include <xenres.h>

#include "client/cli/cli.h"

struct watching_options {
    const char *output; /* the recording's file; NULL: none */
    bool resume;
    bool of_domains; /* then `query` is not looked at */
    xenres_watch_query query;
};

/* The exit status; what failed is reported. */
int watching_run(struct cli *cli, const struct watching_options *options);

#endif
