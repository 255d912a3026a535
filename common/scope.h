/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Scope-exit clean-up for locals: what an attribute here marks is given back when the variable
 * leaves its scope, on every path. A variable has to be initialised where it stands (-1 or NULL:
 * nothing to give back). To hand one on, take it: scope_take_fd(), scope_take_pointer().
 * errno survives the clean-up.
 */
#ifndef XENRES_COMMON_SCOPE_H
#define XENRES_COMMON_SCOPE_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCOPE_FD   __attribute__((cleanup(scope_close_fd)))   /* SCOPE_FD int fd = -1; */
#define SCOPE_FILE __attribute__((cleanup(scope_close_file))) /* SCOPE_FILE FILE *file = NULL; */
#define SCOPE_DIR  __attribute__((cleanup(scope_close_dir)))  /* SCOPE_DIR DIR *dir = NULL; */
#define SCOPE_FREE __attribute__((cleanup(scope_free)))       /* SCOPE_FREE char *name = NULL; */

static inline void scope_close_fd(int *fd)
{
    int saved_errno = errno;

    if (*fd >= 0) {
        (void)close(*fd); /* never again after EINTR: Linux has closed it by then */
    }
    *fd = -1;
    errno = saved_errno;
}

static inline void scope_close_file(FILE **file)
{
    int saved_errno = errno;

    if (*file != NULL) {
        (void)fclose(*file);
    }
    *file = NULL;
    errno = saved_errno;
}

static inline void scope_close_dir(DIR **dir)
{
    int saved_errno = errno;

    if (*dir != NULL) {
        (void)closedir(*dir);
    }
    *dir = NULL;
    errno = saved_errno;
}

/* `pointer`: the address of a pointer variable of any type. */
static inline void scope_free(void *pointer)
{
    int saved_errno = errno;

    free(*(void **)pointer);
    errno = saved_errno;
}

static inline int scope_take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

#define scope_take_pointer(variable)                                                               \
    (__extension__({                                                                               \
        __typeof__(variable) scope_taken_ = (variable);                                            \
        (variable) = NULL;                                                                         \
        scope_taken_;                                                                              \
    }))

#endif
