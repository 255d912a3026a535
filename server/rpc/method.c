/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/method.h"

#include <string.h>

static const struct method *find_raw(const struct method_table *t, const struct uri *uri)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->methods[i].kind == METHOD_RAW && uri_matches(uri, t->methods[i].path)) {
            return &t->methods[i];
        }
    }
    return NULL;
}

static int no_method(struct failure *f)
{
    int result = failure_set(f, ERROR_NOT_FOUND, "there is nothing at this path");

    failure_cause(f, result, "the path is misspelled, or of another version of the API");
    return failure_next(f, result,
                        "compare it with the API's description: GET /schema/xenres.v1.binpb");
}

const struct method *method_find(const struct method_table *t, const char *target, struct uri *uri,
                                 struct failure *f)
{
    size_t path_len = strcspn(target, "?");

    for (size_t i = 0; i < t->count; i++) {
        const struct method *m = &t->methods[i];

        if (m->kind != METHOD_RAW && strlen(m->path) == path_len &&
            memcmp(m->path, target, path_len) == 0) {
            return m;
        }
    }
    if (uri_parse(target, uri, f) != 0) {
        return NULL;
    }
    const struct method *m = find_raw(t, uri);

    if (m == NULL) {
        uri_done(uri);
        (void)no_method(f);
    }
    return m;
}

static bool is_gettable(const struct method *m)
{
    return m->kind == METHOD_RAW || (m->kind == METHOD_UNARY && m->no_side_effects);
}

const char *method_allow(const struct method *m)
{
    return m->kind == METHOD_RAW ? "GET, HEAD, OPTIONS"
           : is_gettable(m)      ? "GET, HEAD, POST, OPTIONS"
                                 : "POST, OPTIONS";
}

bool method_allows(const struct method *m, const char *http_method)
{
    if (strcmp(http_method, "POST") == 0) {
        return m->kind != METHOD_RAW;
    }
    return is_gettable(m) && (strcmp(http_method, "GET") == 0 || strcmp(http_method, "HEAD") == 0);
}
