/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Files that decide who gets in: keys, trust anchors, the policy. Read only where nobody but root
 * and this process's user can have changed them (and, for secrets, can have read them); written
 * whole or not at all, and never over what is there. Every refusal says what to do. Any thread.
 */
#ifndef XENRES_AUTH_GUARDED_FILE_H
#define XENRES_AUTH_GUARDED_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/buffer.h"
#include "common/error.h"

/* GUARDED_SECRET: refuse it also where group or others may read it; not one of root's that the group may
 * read, in $CREDENTIALS_DIRECTORY. */
enum guarded_kind { GUARDED_PUBLIC, GUARDED_SECRET };

/*
 * Appends the file's content to `out`, whose maximum is the file's. -ERROR_NOT_FOUND: there is
 * none; -ERROR_FAILED_PRECONDITION: not a regular file, or its owner or mode lets others change it;
 * -ERROR_RESOURCE_EXHAUSTED: too long. The file that is checked is the file that is read.
 */
int guarded_file_read(const char *path, enum guarded_kind kind, struct buffer *out,
                      struct failure *f);

/* Files of this kind may also belong to `user`: whom this process, root for now, is to become, or whose files
 * it looks at; GUARDED_PUBLIC: secrets, too. Once, before other threads; (uid_t)-1: to nobody else. */
void guarded_file_accept_user(uid_t user, enum guarded_kind kind);

/* For a process that may not open them itself any more: `opener` is asked for each file first, and
 * returns a descriptor of the file at `path` that is closed here, or -1 with errno; ENOSYS: it is none of
 * his, and is opened here. Once, before other threads. The checks are the same. */
void guarded_file_set_opener(int (*opener)(const char *path));

/* Makes it with mode 0600 (secret) or 0644, whatever the umask, and on the disk when this returns.
 * -ERROR_ALREADY_EXISTS: something is there, and was not touched. */
int guarded_file_create(const char *path, enum guarded_kind kind, const void *bytes,
                        size_t len_bytes, struct failure *f);

/* Gives it another name in the same folder, and never that of something that is there: -1 with errno, EEXIST.
 * On file systems that cannot see to that, it is looked at before. */
int guarded_file_rename(const char *from, const char *to);

/* Puts a new one in its place, of the same owner, group and mode: whoever reads meanwhile has the old
 * or the new one. Refuses what guarded_file_read() refuses of a public one. The caller sees to it that
 * nobody else does the same at the same time. */
int guarded_file_replace(const char *path, const void *bytes, size_t len_bytes, struct failure *f);

#endif
