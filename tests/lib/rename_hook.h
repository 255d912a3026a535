/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Renaming that keeps what is there, as the file system likes. Included by one file of a test program. */
#ifndef XENRES_TESTS_RENAME_HOOK_H
#define XENRES_TESTS_RENAME_HOOK_H

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static int rename_errno;           /* every call fails with it; 0: none does */
static void (*after_rename)(void); /* once, behind one that succeeded */

/* In libc's place. */
int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    if (rename_errno != 0) {
        errno = rename_errno;
        return -1;
    }
    int result = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);

    if (result == 0 && after_rename != NULL) {
        after_rename();
        after_rename = NULL;
    }
    return result;
}

#endif
