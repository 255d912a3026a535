/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The supervisor of a host where xenresd brings its own mapper: a small process that keeps the
 * rights it was started with, serves nobody, and starts two others: the mapper, and the worker that
 * is xenresd without rights. Either is started again when it dies, with back-off; when neither has
 * ever been ready, a few tries are enough. It binds the sockets, so that they outlive a worker.
 */
#ifndef XENRES_SERVER_SUPERVISOR_H
#define XENRES_SERVER_SUPERVISOR_H

#include <stdbool.h>

#include "common/error.h"
#include "server/config.h"

struct supervisor_options {
    const struct config *config; /* mapper.program is set */
    bool verbose;                /* for all three */
    /* Called once, when the worker first says that it serves. A failure ends the supervisor. */
    int (*on_ready)(void *arg, const char *address, uint16_t port, struct failure *f);
    void *arg;
};

/* Runs until SIGTERM or SIGINT, then ends both. */
int supervisor_run(const struct supervisor_options *options, struct failure *f);

#endif
