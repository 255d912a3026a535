/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the mapper gives up: new privileges from the first moment, and, once everything is open, root,
 * core dumps, being traced, and all but a few tasks of its user. The handles to Xen keep working:
 * they were checked when they were opened.
 */
#ifndef XENRES_MAPPER_PRIVILEGE_H
#define XENRES_MAPPER_PRIVILEGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

enum {
    PRIVILEGE_GROUPS_MAX = 64,
    /* Tasks of the user: a new connection to xenstored has a thread, a fork bomb has many. */
    PRIVILEGE_TASKS_MAX = 16,
};

struct privilege_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[PRIVILEGE_GROUPS_MAX]; /* as /etc/group has them, for the device nodes */
    int group_count;
};

/* Looks up a user by name, or by number. -ERROR_NOT_FOUND. */
int privilege_find_uid(const char *user, uid_t *out, struct failure *f);
int privilege_find_user(const char *name, struct privilege_user *out, struct failure *f);

/* Gives up new privileges (no_new_privs), which counts for this thread and those that it starts: so
 * before backend_open(), whose libraries start some. */
int privilege_begin(struct failure *f);

/* So many open files, or as many as may be: who has too few is told so when there are none left. */
void privilege_raise_descriptors(uint32_t wanted);

/*
 * `user` NULL: stays who it is. `die_with_parent`: SIGTERM when the process that started this one
 * ends.
 */
int privilege_drop(const struct privilege_user *user, bool die_with_parent, struct failure *f);

#endif
