/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a process of xenresd gives up before it serves anybody: root, its groups, the way back,
 * core dumps, and descriptors without end. Called once, before any thread exists: no_new_privs and
 * the user belong to threads.
 */
#ifndef XENRES_SERVER_SANDBOX_H
#define XENRES_SERVER_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

struct sandbox_options {
    const char *user;     /* to become when root; not looked at otherwise */
    uint64_t open_files;  /* RLIMIT_NOFILE */
    bool end_with_parent; /* SIGTERM when the parent dies */
};

/* The user's ids. -ERROR_NOT_FOUND with what to do. */
int sandbox_find_user(const char *user, uid_t *uid, gid_t *gid, struct failure *f);

int sandbox_enter(const struct sandbox_options *options, struct failure *f);

#endif
