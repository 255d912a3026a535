/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a test asks about this process' descriptors: a leak is a count that has grown. */
#ifndef XENRES_TESTS_DESCRIPTORS_H
#define XENRES_TESTS_DESCRIPTORS_H

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>

/* Open descriptors of this process, the one that reads the directory included: compare two. */
static inline size_t descriptors_open(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");

    while (dir != NULL && readdir(dir) != NULL) {
        count++;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return count;
}

static inline bool descriptor_is_cloexec(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    return flags >= 0 && (flags & FD_CLOEXEC) != 0;
}

#endif
