/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/cors.h"

#include <stdlib.h>
#include <string.h>

struct cors {
    size_t count;
    char origins[CORS_ORIGINS_MAX][CORS_ORIGIN_MAX_BYTES];
};

static int refuse(struct failure *f, const char *origin, size_t len, const char *why)
{
    int result =
        failure_set(f, ERROR_INVALID_ARGUMENT, "\"%.*s\" is no origin: %s", (int)len, origin, why);

    return failure_next(f, result, "write https://HOST or https://HOST:PORT, with spaces between");
}

/* As a browser writes it (RFC 6454, section 6.2): lower case, nothing behind the authority. */
static int add(struct cors *c, const char *origin, size_t len, struct failure *f)
{
    const char *host = origin;

    if (c->count == CORS_ORIGINS_MAX) {
        return refuse(f, origin, len, "there are too many of them");
    }
    if (len >= CORS_ORIGIN_MAX_BYTES) {
        return refuse(f, origin, len, "it is too long");
    }
    if (strncmp(origin, "https://", 8) == 0) {
        host = origin + 8;
    } else if (strncmp(origin, "http://", 7) == 0) {
        host = origin + 7;
    }
    size_t host_len = len - (size_t)(host - origin);

    if (host == origin || host_len == 0) {
        return refuse(f, origin, len, "it does not begin with https:// or http:// and a host");
    }
    if (strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-:[]") < host_len) {
        return refuse(f, origin, len, "it has more than a host, in lower case, and a port");
    }
    memcpy(c->origins[c->count], origin, len);
    c->origins[c->count++][len] = '\0';
    return 0;
}

int cors_parse(const char *list, struct cors **out, struct failure *f)
{
    struct cors *c = NULL;
    int result = 0;

    list += strspn(list, " ");
    if (*list != '\0') {
        c = calloc(1, sizeof(*c));
        if (c == NULL) {
            return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the list of origins");
        }
    }
    while (*list != '\0' && result == 0) {
        size_t len = strcspn(list, " ");

        result = add(c, list, len, f);
        list += len;
        list += strspn(list, " ");
    }
    if (result != 0) {
        free(c);
        return result;
    }
    *out = c;
    return 0;
}

void cors_free(struct cors *c)
{
    free(c);
}

bool cors_allows(const struct cors *c, const char *origin)
{
    for (size_t i = 0; c != NULL && i < c->count; i++) {
        if (strcmp(c->origins[i], origin) == 0) {
            return true;
        }
    }
    return false;
}
