/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The service itself: the one place that knows every part, the order in which they start, and the
 * reverse in which they stop.
 *
 *      sockets taken over → files read (while there is still the right to) → sandbox → mapper client →
 *      rpc → listener → health → ready
 *
 * Runs in the worker of a supervisor.
 */
#ifndef XENRES_SERVER_SERVICE_H
#define XENRES_SERVER_SERVICE_H

#include "common/error.h"
#include "server/config.h"

struct service_options {
    const struct config *config;
    const char *mapper_socket; /* where the mapper is */
};

/* Serves until SIGTERM or SIGINT, or its parent ends; SIGHUP reads policy and certificates again, all or
 * nothing. Sockets come from the supervisor (inherited.h). */
int service_run(const struct service_options *options, struct failure *f);

#endif
