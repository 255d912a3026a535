/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/init_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/scope.h"

#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

static int failed(struct failure *f, const char *doing, const char *path)
{
    int errnum = errno;
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "cannot %s %s: %s", doing, path,
                             errnum == ELOOP || errnum == ENOTDIR ? "it is a link, or no folder"
                                                                  : strerror(errnum));

    return failure_next(f, result, "name a folder that this user may write");
}

static int others(struct failure *f, const char *path, const struct stat *st)
{
    int result = failure_set(f, ERROR_FAILED_PRECONDITION,
                             "others than this user can change %s (owner %u, mode %04o)", path,
                             (unsigned)st->st_uid, (unsigned)(st->st_mode & 07777));

    return failure_next(f, result, "name a folder that is not there yet, in one of your own");
}

/* Who may write it may rename what is in it, unless it is sticky. */
static int check_parent(const char *path, struct failure *f)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int len = slash != NULL && slash > path ? (int)(slash - path) : 1;
    struct stat st;

    (void)snprintf(parent, sizeof(parent), "%.*s", len, path);
    if (stat(parent, &st) != 0) {
        return failed(f, "look at", parent);
    }
    return (st.st_uid != 0 && st.st_uid != geteuid()) ||
                   ((st.st_mode & OTHERS_WRITE) != 0 && (st.st_mode & S_ISVTX) == 0)
               ? others(f, parent, &st)
               : 0;
}

/* `is_made`: just now, and is it still that one? */
static int check(int fd, const char *path, bool is_made, uid_t owner, struct failure *f)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return failed(f, "look at", path);
    }
    return (st.st_uid != geteuid() && (is_made || st.st_uid != owner)) ||
                   (st.st_mode & OTHERS_WRITE) != 0
               ? others(f, path, &st)
               : 0;
}

int init_folder_open(const char *path, mode_t mode, uid_t owner, gid_t group, bool *is_made,
                     int *fd, struct failure *f)
{
    int result = check_parent(path, f);

    if (result != 0) {
        return result;
    }
    if (mkdir(path, 0700) == 0) {
        *is_made = true;
    } else if (errno != EEXIST) {
        return failed(f, "make", path);
    }
    SCOPE_FD int opened = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (opened < 0) {
        return failed(f, "open", path);
    }
    result = check(opened, path, *is_made, owner, f);
    if (result == 0 && *is_made && owner != geteuid() && fchown(opened, owner, group) != 0) {
        result = failed(f, "give away", path);
    }
    if (result == 0 && *is_made && fchmod(opened, mode) != 0) {
        result = failed(f, "make", path);
    }
    if (result == 0) {
        *fd = opened;
        opened = -1;
    }
    return result;
}
