/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/cli.h"

#include "client/cli/preflight.h"
#include "client/cli/report.h"

xenres *cli_connect(const struct cli *cli, int *status)
{
    xenres *handle = NULL;
    xenres_error error;

    if (!preflight_check(&cli->options, &error) ||
        xenres_new(&cli->options, &handle, &error) != 0) {
        *status = report_error(&error);
    }
    return handle;
}
