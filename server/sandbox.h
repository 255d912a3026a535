/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the processes of xenresd give up before they serve anybody. The worker: root, its groups, the way
 * back, every capability, core dumps, debuggers, descriptors without end, files (sandbox_files.h) and system
 * calls (sandbox_seccomp.h) but those that it needs. The supervisor: what it does not need to start both
 * children again. Nothing of it can be switched off.
 *
 * Called once, before any thread exists: no_new_privs, capabilities and the user belong to threads.
 */
#ifndef XENRES_SERVER_SANDBOX_H
#define XENRES_SERVER_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "server/sandbox_files.h"

struct sandbox_options {
    const char *user;                  /* to become when root; not looked at otherwise */
    uint64_t open_files;               /* RLIMIT_NOFILE, raised where this is root and may */
    uint64_t open_files_least;         /* else what there is, if it is so many; and else it fails */
    const struct sandbox_files *files; /* what it still reaches */
};

/* The user's ids. -ERROR_NOT_FOUND with what to do. */
int sandbox_find_user(const char *user, uid_t *uid, gid_t *gid, struct failure *f);

/* There is such a user, and it is root, by whatever name. */
bool sandbox_is_root(const char *user);

/* The worker's, which is killed when its parent dies. Any failure is fatal: nobody serves with more than
 * he should. A kernel without Landlock is none, and is logged. */
int sandbox_enter(const struct sandbox_options *options, struct failure *f);
/* The supervisor's, when its sockets are bound. Its children cannot get back what it gives up. */
int sandbox_enter_supervisor(struct failure *f);

#endif
