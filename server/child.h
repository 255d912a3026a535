/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The two programs that a supervisor starts, as they begin: a forked child that becomes the mapper or
 * the worker, with the sockets where each expects them. Called in the child of a process without
 * threads; does not return.
 */
#ifndef XENRES_SERVER_CHILD_H
#define XENRES_SERVER_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/config.h"
#include "server/doors.h"

/* Who starts them, and what it has bound for them. Borrowed. */
struct child_sockets {
    pid_t parent;              /* they end with it */
    bool verbose;              /* they log as much as it does */
    int mapper_fd;             /* listening, for the mapper; -1: none is started */
    const struct doors *doors; /* listening, for the worker */
    int health_fd;             /* likewise; -1: none */
    int keeper_fd;             /* where the worker asks for files (keeper.h) */
    const char *mapper_path;   /* where the worker connects: of mapper_fd, where there is one */
    const char *notify_path;   /* where the worker says that it is ready, and lives */
    uint64_t watchdog_us;      /* so long it may be silent; 0: for ever */
};

/* `worker_uid`: the only user that the mapper serves. */
_Noreturn void child_become_mapper(const struct config *config, const struct child_sockets *sockets,
                                   uid_t worker_uid);
_Noreturn void child_become_worker(const struct config *config,
                                   const struct child_sockets *sockets);

#endif
