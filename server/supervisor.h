/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The supervisor: the process that is xenresd to whoever starts it. It keeps the rights it was started
 * with, serves nobody, and starts the worker, which is xenresd without rights, and, where xenresd brings
 * its own, the mapper. Either is started again when it dies, with back-off; when none has ever been ready,
 * a few tries are enough, and a worker that cannot start ends it. It binds the sockets, or has them from a
 * service manager, so that they outlive a worker; hands the worker the files that it reads (keeper.h); and
 * passes on to the manager that the worker serves, or reads its files again.
 */
#ifndef XENRES_SERVER_SUPERVISOR_H
#define XENRES_SERVER_SUPERVISOR_H

#include <stdbool.h>

#include "common/error.h"
#include "server/config.h"

struct supervisor_options {
    const struct config *config;
    bool verbose; /* for all that it starts */
    /* Called once, when the worker first says that it serves. A failure ends the supervisor. */
    int (*on_ready)(void *arg, const char *address, uint16_t port, struct failure *f);
    void *arg;
};

/* Runs until SIGTERM or SIGINT, then ends what it has started. */
int supervisor_run(const struct supervisor_options *options, struct failure *f);

#endif
