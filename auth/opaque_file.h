/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Changes of the file of opaque tokens: what `xenresd token` does. The whole file is read and checked,
 * changed, and put in place of the old one, with its owner and mode; comments stay. Two at a time
 * wait for each other. One thread.
 */
#ifndef XENRES_AUTH_OPAQUE_FILE_H
#define XENRES_AUTH_OPAQUE_FILE_H

#include "auth/opaque.h"

/* Makes the file, readable by all, where there is none: what is in it is no secret. The token is
 * nowhere but in `token` afterwards. -ERROR_RESOURCE_EXHAUSTED: there is no room for one more. */
int opaque_file_add(const char *path, const char *name, const char *groups, int64_t expires_s,
                    char token[OPAQUE_TOKEN_BYTES], struct failure *f);
/* -ERROR_NOT_FOUND: none has this id. */
int opaque_file_remove(const char *path, const char *id, struct failure *f);

#endif
