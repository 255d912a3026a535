/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/query.h"

#include <string.h>

#include "common/text.h"

static int malformed(struct failure *f, const char *what)
{
    int result =
        failure_set(f, ERROR_INVALID_ARGUMENT, "the request's query is malformed: %s", what);

    return failure_next(f, result, "percent-encode each value, and give each parameter once");
}

/* Decodes in place up to `end`. False: an incomplete escape. */
static bool decode(char *text, const char *end, size_t *len)
{
    char *out = text;

    for (const char *in = text; in < end; in++) {
        if (*in == '%') {
            char digits[3] = { 0 };
            uint8_t byte;

            if (end - in < 3) {
                return false;
            }
            memcpy(digits, in + 1, 2);
            if (!text_to_hex(digits, &byte, 1)) {
                return false;
            }
            *out++ = (char)byte;
            in += 2;
        } else {
            *out++ = *in == '+' ? ' ' : *in;
        }
    }
    *len = (size_t)(out - text);
    *out = '\0';
    return true;
}

/* One `name=value`, ended by a NUL. */
static int add(struct query *q, char *pair, struct failure *f)
{
    char *end = pair + strlen(pair);
    char *equals = strchr(pair, '=');
    struct query_parameter p = { .name = pair, .value = "" };

    if (q->count == QUERY_PARAMETERS_MAX) {
        return malformed(f, "too many parameters");
    }
    if (equals != NULL) {
        p.value = equals + 1;
        if (!decode(equals + 1, end, &p.value_len)) {
            return malformed(f, "% without two hexadecimal digits");
        }
        *equals = '\0';
    }
    if (!decode(pair, equals != NULL ? equals : end, &p.name_len)) {
        return malformed(f, "% without two hexadecimal digits");
    }
    if (memchr(p.name, '\0', p.name_len) != NULL) { /* another name to who looks no further */
        return malformed(f, "a NUL in the name of a parameter");
    }
    if (query_find(q, p.name) != NULL) { /* two readings of one request */
        return malformed(f, "a parameter twice");
    }
    q->parameters[q->count++] = p;
    return 0;
}

int query_parse(const char *query, struct query *out, struct failure *f)
{
    struct query q = { .storage.max_bytes = QUERY_MAX_BYTES + 1 }; /* and its NUL */
    int result = 0;

    if (!buffer_append(&q.storage, query, strlen(query) + 1)) {
        result = strlen(query) > QUERY_MAX_BYTES
                     ? malformed(f, "too long")
                     : failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the query");
    }
    char *rest = result == 0 ? (char *)q.storage.data : NULL;
    char *pair;

    while (result == 0 && (pair = strsep(&rest, "&")) != NULL) {
        if (pair[0] != '\0') {
            result = add(&q, pair, f);
        }
    }
    if (result != 0) {
        query_done(&q);
        return result;
    }
    *out = q;
    return 0;
}

void query_done(struct query *q)
{
    buffer_done(&q->storage);
    *q = (struct query){ .count = 0 };
}

const struct query_parameter *query_find(const struct query *q, const char *name)
{
    for (size_t i = 0; i < q->count; i++) {
        if (strcmp(q->parameters[i].name, name) == 0) {
            return &q->parameters[i];
        }
    }
    return NULL;
}

const char *query_text(const struct query *q, const char *name)
{
    const struct query_parameter *p = query_find(q, name);

    if (p == NULL) {
        return NULL;
    }
    return memchr(p->value, '\0', p->value_len) == NULL ? p->value : "(something with a NUL)";
}
