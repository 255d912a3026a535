/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/reload_files.h"

size_t reload_files(const struct config *config, const char *out[RELOAD_FILES_MAX])
{
    const char *const named[] = { config->tls_certificate, config->tls_key, config->tls_client_ca,
                                  config->server_policy };
    size_t count = 0;

    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (named[i][0] != '\0') {
            out[count++] = named[i];
        }
    }
    return count;
}
