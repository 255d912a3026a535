/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A folder that root makes, or finds, at a path that somebody else may have his hands on: what was looked at
 * is what is changed, and it is nobody else's. No link is followed at its end. One thread.
 */
#ifndef XENRES_SERVER_INIT_FOLDER_H
#define XENRES_SERVER_INIT_FOLDER_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/error.h"

/*
 * Opens the folder at the absolute `path`, and makes it, with `mode`, where there is none: then `*is_made`,
 * also where it fails behind that, and it belongs to `owner` and `group`. One that is there has to belong to
 * this user or to `owner`, and stays as it is. Nobody but its owner may write it, nor put another one in its
 * place: what it is in has to be this user's or root's, and others' to write only with the sticky bit.
 *
 * -ERROR_FAILED_PRECONDITION otherwise. The caller closes *fd.
 */
int init_folder_open(const char *path, mode_t mode, uid_t owner, gid_t group, bool *is_made,
                     int *fd, struct failure *f);

#endif
