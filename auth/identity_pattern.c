/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/identity_pattern.h"

#include <string.h>

#include "auth/identity.h"

static const char *spiffe_fault(const char *uri)
{
    static const char scheme[] = "spiffe://";
    size_t literal = strcspn(uri, "*?");

    return strncmp(uri, scheme, literal < strlen(scheme) ? literal : strlen(scheme)) != 0
               ? "expected spiffe:spiffe://TRUST-DOMAIN/PATH"
               : NULL;
}

static const char *host_fault(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z') {
            return "names of hosts are compared in lower case: write them so";
        }
    }
    return NULL;
}

static const char *jwt_fault(const char *name)
{
    return strpbrk(name, ":*?") == NULL ? "expected jwt:ISSUER:SUBJECT" : NULL;
}

static const struct kind {
    const char *prefix;
    const char *(*fault)(const char *name); /* NULL: any name */
    bool of_certificate;
} kinds[] = {
    { "spiffe:", spiffe_fault, true }, { "dns:", host_fault, true }, { "cn:", NULL, true },
    { "jwt:", jwt_fault, false },      { "token:", NULL, false },
};

static const struct kind *kind_of(const char *pattern)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strncmp(pattern, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

bool identity_has_kind(const char *pattern)
{
    return kind_of(pattern) != NULL;
}

const char *identity_pattern_fault(const char *pattern)
{
    const struct kind *kind = kind_of(pattern);
    const char *name = kind != NULL ? pattern + strlen(kind->prefix) : "";

    if (kind == NULL) {
        return "expected spiffe:, dns:, cn:, jwt: or token:, and a name";
    }
    if (name[0] == '\0') {
        return "expected a name behind the colon";
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            return "identities are printable ASCII without spaces";
        }
    }
    if (strlen(pattern) >= IDENTITY_TEXT_BYTES) {
        return "longer than any identity";
    }
    return kind->fault != NULL ? kind->fault(name) : NULL;
}

const char *identity_exact_fault(const char *text)
{
    const char *fault = identity_pattern_fault(text);

    return fault == NULL && strpbrk(text, "*?") != NULL ? "expected one identity, and no pattern"
                                                        : fault;
}

const char *identity_group_fault(const char *pattern)
{
    for (const char *c = pattern; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            return "names of groups are printable ASCII";
        }
    }
    return pattern[0] == '\0'                             ? "expected the name of a group"
           : strlen(pattern) >= IDENTITY_GROUPS_BYTES - 1 ? "longer than any group"
                                                          : NULL;
}

bool identity_is_of_certificate(const char *pattern)
{
    const struct kind *kind = kind_of(pattern);

    return kind != NULL && kind->of_certificate;
}
