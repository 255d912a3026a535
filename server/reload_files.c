/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/reload_files.h"

#include "server/material.h"

_Static_assert((int)ACCESS_FILES_MAX + 4 <= (int)RELOAD_FILES_MAX, "all of them have a number");

static size_t at_signal(const struct config *config, const char *out[RELOAD_FILES_MAX])
{
    const char *const named[] = { config->path, config->tls_certificate, config->tls_key,
                                  config->server_policy };
    size_t count = 0;

    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (named[i][0] != '\0') {
            out[count++] = named[i];
        }
    }
    return count;
}

size_t reload_files_at_signal(const struct config *config)
{
    const char *out[RELOAD_FILES_MAX];

    return at_signal(config, out);
}

size_t reload_files(const struct config *config, const char *out[RELOAD_FILES_MAX])
{
    struct access_options access;
    size_t count = at_signal(config, out);

    material_access_options(config, &access);
    return count + access_files(&access, out + count);
}
