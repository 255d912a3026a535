/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Which files xenresd can still reach once it serves: Landlock, where the kernel has it. Beneath the folders
 * named here and nowhere else, whatever the file's mode says; device nodes, programs and links to elsewhere
 * included. Where the kernel knows that much (6.7, 6.12), it also takes away TCP in both directions but for
 * sockets that are connected or listen already, and signals and abstract sockets of other processes.
 *
 * One thread, which is the only one. What is open stays open.
 */
#ifndef XENRES_SERVER_SANDBOX_FILES_H
#define XENRES_SERVER_SANDBOX_FILES_H

#include "common/error.h"

enum { SANDBOX_FILES_MAX = 4 };

/* Folders and files, by path; those that are not there are passed over. Repetitions do no harm. */
struct sandbox_files {
    const char *readable[SANDBOX_FILES_MAX]; /* files, and all beneath folders */
    unsigned readable_count;
    /* Folders: list; write, make, rename and remove beneath. Not to read: keys may lie there. */
    const char *writable[SANDBOX_FILES_MAX];
    unsigned writable_count;
};

/* *abi: the kernel's version of Landlock, 0 where it has none: then nothing is taken away, which the
 * caller says. Needs no_new_privs. */
int sandbox_files_restrict(const struct sandbox_files *files, int *abi, struct failure *f);

#endif
