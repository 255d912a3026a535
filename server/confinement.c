/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/confinement.h"

#include <string.h>

#include "server/sandbox.h"

static void folder_of(const char *path, char out[CONFIG_TEXT_BYTES])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);

    memcpy(out, len > 0 ? path : ".", len > 0 ? len : 1);
    out[len > 0 ? len : 1] = '\0';
}

/* Where the audit's files are made, put aside and removed: all that is written after the start. */
static void leave_audit(const struct config *config, char folder[CONFIG_TEXT_BYTES],
                        struct sandbox_files *files)
{
    if (config->audit_file[0] == '/') {
        folder_of(config->audit_file, folder);
        files->writable[files->writable_count++] = folder;
    } else if (config->audit_file[0] != '\0') {
        files->writable[files->writable_count++] = config->server_state_dir;
    }
}

int confinement_enter(const struct config *config, struct failure *f)
{
    char folder[CONFIG_TEXT_BYTES];
    struct sandbox_files files = { 0 };
    const struct sandbox_options sandbox = {
        .user = config->server_user,
        .open_files = (uint64_t)config->limits_open_files,
        .open_files_least = (uint64_t)config->limits_connections + CONFIG_OTHER_FILES,
        .files = &files,
    };

    leave_audit(config, folder, &files);
#ifdef XENRES_SANITIZED /* reports name functions and lines, from the program and its libraries */
    files.readable[files.readable_count++] = "/";
#endif
    return sandbox_enter(&sandbox, f);
}
