/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The service itself: the one place that knows every part, the order in which they start, and the
 * reverse in which they stop.
 *
 *      files read (while there is still the right to) → sockets bound → sandbox → mapper client →
 *      rpc → listener → health → ready
 *
 * Runs in the worker of a supervisor, or alone beside a mapper that runs by itself.
 */
#ifndef XENRES_SERVER_SERVICE_H
#define XENRES_SERVER_SERVICE_H

#include <stdbool.h>

#include "common/error.h"
#include "server/config.h"

struct service_options {
    const struct config *config;
    const char *mapper_socket; /* where the mapper is */
    bool supervised;           /* ends when its parent does */
};

/* Serves until SIGTERM or SIGINT; SIGHUP reads policy and certificates again, all or nothing.
 * Sockets come from the service manager (names `public` and `health`) or are bound here. */
int service_run(const struct service_options *options, struct failure *f);

#endif
