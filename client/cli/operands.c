/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/operands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/choices.h"
#include "common/text.h"

bool operand_type(const char *text, uint32_t *type, char usage[USAGE_MAX_BYTES])
{
    *type = xenres_resource_type_from_name(text);
    if (*type == 0) {
        choices_refuse("TYPE", "TYPE", text, usage);
    }
    return *type != 0;
}

static bool is_plain(const char *name)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
    uint8_t uuid[UUID_BYTES];
    size_t len = strlen(name);

    return len > 0 && len < OPERAND_DOMAIN_BYTES && name[0] != '-' &&
           name[strspn(name, plain)] == '\0' && strspn(name, "0123456789") < len &&
           !text_to_uuid(name, uuid);
}

const char *operand_from_domain(const xenres_identity *identity, char out[OPERAND_DOMAIN_BYTES])
{
    if (is_plain(identity->name)) {
        (void)snprintf(out, OPERAND_DOMAIN_BYTES, "%s", identity->name);
    } else {
        (void)snprintf(out, OPERAND_DOMAIN_BYTES, "%" PRIu32, identity->domid);
    }
    return out;
}
