/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/metadata.h"

#include <string.h>
#include <strings.h>

bool metadata_is_name(const char *name)
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789!#$%&'*+-.^_`|~";

    return name[0] != '\0' && name[strspn(name, characters)] == '\0';
}

/* What Connect says itself, and what frames a message of HTTP/1.1. */
static bool is_reserved(const char *name)
{
    static const char *const prefixes[] = { "connect-", "content-", "trailer" };

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return strcasecmp(name, "connection") == 0 || strcasecmp(name, "transfer-encoding") == 0;
}

static bool is_value(const char *value)
{
    for (; *value != '\0'; value++) {
        if ((unsigned char)*value < ' ' || *value == 0x7f) {
            return false;
        }
    }
    return true;
}

bool metadata_add(struct metadata *m, struct pool *p, const char *name, const char *value)
{
    if (m->count == METADATA_MAX || !metadata_is_name(name) || is_reserved(name) ||
        !is_value(value)) {
        return false;
    }
    const char *own_name = pool_string(p, name), *own_value = pool_string(p, value);

    if (p->failed) {
        return false;
    }
    m->names[m->count] = own_name;
    m->values[m->count++] = own_value;
    return true;
}
