/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The files of a configuration that are read again while xenresd serves, its own first, in an order that the
 * configuration alone decides: what the keeper hands out by number.
 * Pure. Whoever adds an option that names such a file adds it here.
 */
#ifndef XENRES_SERVER_RELOAD_FILES_H
#define XENRES_SERVER_RELOAD_FILES_H

#include <stddef.h>

#include "server/config.h"

enum { RELOAD_FILES_MAX = 64 };

/* How many of them, the first ones, are read at the start and at SIGHUP alone: the key is one. The others are
 * read whenever they change, by whoever looks. */
size_t reload_files_at_signal(const struct config *config);

/* Fills `out` with paths of `config`, which they belong to, and returns how many. */
size_t reload_files(const struct config *config, const char *out[RELOAD_FILES_MAX]);

#endif
