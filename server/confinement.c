/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/confinement.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/reload_files.h"
#include "server/sandbox.h"

_Static_assert((int)SANDBOX_FILES_MAX > 2 * (int)RELOAD_FILES_MAX, "two folders a file, and one");

/* Names of folders, as long as the call lasts. */
struct folders {
    char paths[RELOAD_FILES_MAX][CONFIG_TEXT_BYTES];
    char *real[RELOAD_FILES_MAX]; /* NULL: there is none */
    char audit[CONFIG_TEXT_BYTES];
};

static void folders_done(struct folders *f)
{
    for (size_t i = 0; i < RELOAD_FILES_MAX; i++) {
        free(f->real[i]);
    }
}

static void folder_of(const char *path, char out[CONFIG_TEXT_BYTES])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);

    memcpy(out, len > 0 ? path : ".", len > 0 ? len : 1);
    out[len > 0 ? len : 1] = '\0';
}

/* Where the file is that a link leads to now: that of the renewed one is there too, as a rule. */
static char *real_folder_of(const char *path)
{
    char *real = realpath(path, NULL);

    if (real != NULL) {
        char *slash = strrchr(real, '/');

        slash[slash == real ? 1 : 0] = '\0';
    }
    return real;
}

/* The folder, not the file: who replaces a file by rename() puts another one in its place. */
static void leave_readable(const struct config *config, struct folders *folders,
                           struct sandbox_files *files)
{
    const char *paths[RELOAD_FILES_MAX];
    size_t count = reload_files(config, paths);

    for (size_t i = 0; i < count; i++) {
        folder_of(paths[i], folders->paths[i]);
        files->readable[files->readable_count++] = folders->paths[i];
        folders->real[i] = real_folder_of(paths[i]);
        if (folders->real[i] != NULL) {
            files->readable[files->readable_count++] = folders->real[i];
        }
    }
}

int confinement_enter(const struct confinement *options, struct failure *f)
{
    const struct config *c = options->config;
    const char *notify = getenv("NOTIFY_SOCKET");
    __attribute__((cleanup(folders_done))) struct folders folders = { .real = { NULL } };
    struct sandbox_files files = {
        .writable = { c->server_state_dir },
        .writable_count = 1,
        .abstract_sockets = notify != NULL && notify[0] == '@',
    };
    const struct sandbox_options sandbox = {
        .user = c->server_user,
        .open_files = (uint64_t)c->limits_open_files,
        .open_files_least = (uint64_t)c->limits_connections + CONFIG_OTHER_FILES,
        .end_with_parent = options->supervised,
        .files = &files,
    };

    if (c->audit_file[0] == '/') { /* else it is in the state folder; others are made beside it */
        folder_of(c->audit_file, folders.audit);
        files.writable[files.writable_count++] = folders.audit;
    }
    if (!options->has_keeper) { /* which reads them, then; whether they changed, anybody may look */
        leave_readable(c, &folders, &files);
    }
#ifdef XENRES_SANITIZED /* reports name functions and lines, from the program and its libraries */
    files.readable[files.readable_count++] = "/";
#endif
    return sandbox_enter(&sandbox, f);
}
