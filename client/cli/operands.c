/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/operands.h"

#include <stdio.h>
#include <xenres.h>

bool operand_type(const char *text, uint32_t *type, char usage[USAGE_MAX_BYTES])
{
    *type = xenres_resource_type_from_name(text);
    if (*type == 0) {
        (void)snprintf(usage, USAGE_MAX_BYTES,
                       "TYPE has to be ioreq_server, grant_table, vmtrace_buf or vcpu_stats, "
                       "not \"%.60s\"",
                       text);
    }
    return *type != 0;
}
