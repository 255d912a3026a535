/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/confinement.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/reload_files.h"
#include "server/sandbox.h"

/* Names of folders, as long as the call lasts. */
struct folders {
    char paths[RELOAD_FILES_MAX][CONFIG_TEXT_BYTES];
};

/* The folder, not the file: who replaces a file by rename() puts another one in its place. */
static void leave_readable(const struct config *config, struct folders *folders,
                           struct sandbox_files *files)
{
    const char *paths[RELOAD_FILES_MAX];
    size_t count = reload_files(config, paths);

    for (size_t i = 0; i < count; i++) {
        const char *slash = strrchr(paths[i], '/');
        size_t len = slash == NULL ? 0 : slash == paths[i] ? 1 : (size_t)(slash - paths[i]);

        memcpy(folders->paths[i], len > 0 ? paths[i] : ".", len > 0 ? len : 1);
        folders->paths[i][len > 0 ? len : 1] = '\0';
        files->readable[files->readable_count++] = folders->paths[i];
    }
}

int confinement_enter(const struct confinement *options, struct failure *f)
{
    const struct config *c = options->config;
    const char *notify = getenv("NOTIFY_SOCKET");
    char audit_folder[CONFIG_TEXT_BYTES];
    struct folders folders;
    struct sandbox_files files = {
        .writable = { c->server_state_dir },
        .writable_count = 1,
        .abstract_sockets = notify != NULL && notify[0] == '@',
    };
    const struct sandbox_options sandbox = {
        .user = c->server_user,
        .open_files = (uint64_t)c->limits_open_files,
        .end_with_parent = options->supervised,
        .files = &files,
    };

    if (c->audit_file[0] ==
        '/') { /* it is put aside, and begun anew, where it is; else: in state_dir */
        size_t len = (size_t)(strrchr(c->audit_file, '/') - c->audit_file);

        snprintf(audit_folder, sizeof(audit_folder), "%.*s", len > 0 ? (int)len : 1, c->audit_file);
        files.writable[files.writable_count++] = audit_folder;
    }
    if (!options->has_keeper) {
        leave_readable(c, &folders, &files);
    }
#ifdef XENRES_SANITIZED /* reports name functions and lines, from the program and its libraries */
    files.readable[files.readable_count++] = "/";
#endif
    return sandbox_enter(&sandbox, f);
}
