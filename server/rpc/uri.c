/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/uri.h"

#include <stdlib.h>
#include <string.h>

#include "common/scope.h"
#include "common/text.h"

static int malformed(struct failure *f, const char *what)
{
    int result =
        failure_set(f, ERROR_INVALID_ARGUMENT, "the request's target is malformed: %s", what);

    return failure_next(f, result, "percent-encode each segment and each value, as UTF-8");
}

/* Unreserved, sub-delims, and what a segment may have beside them (RFC 3986, section 3.3). */
static bool is_plain(char c, bool query)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~!$&'()*+,;=:@/", c) != NULL) || (query && c == '?');
}

/* All of the target, before anything of it is taken apart. */
static int check_characters(const char *target, struct failure *f)
{
    size_t len = strnlen(target, URI_MAX_BYTES + 1);
    bool query = false;

    if (len > URI_MAX_BYTES) {
        return malformed(f, "too long");
    }
    if (target[0] != '/') {
        return malformed(f, "it does not begin with /");
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t byte;
        char digits[3] = { 0 };

        if (!query && target[i] == '?') {
            query = true;
        } else if (target[i] == '%') {
            memcpy(digits, target + i + 1, strnlen(target + i + 1, 2));
            if (strlen(digits) != 2 || !text_to_hex(digits, &byte, 1)) {
                return malformed(f, "% without two hexadecimal digits");
            }
            i += 2;
        } else if (!is_plain(target[i], query)) {
            return malformed(f, "a character that has to be percent-encoded");
        }
    }
    return 0;
}

/* In place; check_characters() has passed. False: NUL, or not UTF-8. */
static bool decode(char *text)
{
    char *out = text;

    for (const char *in = text; *in != '\0'; in++) {
        if (*in == '%') {
            uint8_t byte = 0;
            char digits[3] = { in[1], in[2], '\0' };

            (void)text_to_hex(digits, &byte, 1);
            if (byte == 0) {
                return false; /* would hide what follows it */
            }
            *out++ = (char)byte;
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
    return text_is_utf8(text, (size_t)(out - text));
}

static int parse_path(char *path, struct uri *u, struct failure *f)
{
    char *rest = path + 1; /* behind the first / */
    char *segment;

    while ((segment = strsep(&rest, "/")) != NULL) {
        if (u->segment_count == URI_SEGMENTS_MAX) {
            return malformed(f, "too many segments");
        }
        if (!decode(segment)) {
            return malformed(f, "a segment that is not UTF-8, or with a NUL in it");
        }
        /* Proxies take them away, and so would decide about another path than we do. */
        if (strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0) {
            return malformed(f, "a segment of dots");
        }
        u->segments[u->segment_count++] = segment;
    }
    return 0;
}

static int parse_query(char *query, struct uri *u, struct failure *f)
{
    char *pair;

    while ((pair = strsep(&query, "&")) != NULL) {
        char *value = pair;
        const char *name = strsep(&value, "=");

        if (pair[0] == '\0' && value == NULL) {
            continue; /* "?", "a=1&" */
        }
        if (u->parameter_count == URI_PARAMETERS_MAX) {
            return malformed(f, "too many parameters");
        }
        if (!decode(pair) || (value != NULL && !decode(value))) {
            return malformed(f, "a parameter that is not UTF-8, or with a NUL in it");
        }
        if (uri_parameter(u, name) != NULL) {
            return failure_next(f, malformed(f, "a parameter twice"), "give each parameter once");
        }
        u->parameters[u->parameter_count++] =
            (struct uri_parameter){ .name = name, .value = value != NULL ? value : "" };
    }
    return 0;
}

int uri_parse(const char *target, struct uri *out, struct failure *f)
{
    int result = check_characters(target, f);

    if (result != 0) {
        return result;
    }
    struct uri u = { .storage = NULL };
    SCOPE_FREE char *storage = strdup(target);

    if (storage == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the request's target");
    }
    char *query = storage;
    char *path = strsep(&query, "?");

    result = parse_path(path, &u, f);
    if (result == 0 && query != NULL) {
        result = parse_query(query, &u, f);
    }
    if (result == 0) {
        u.storage = scope_take_pointer(storage);
        *out = u;
    }
    return result;
}

void uri_done(struct uri *u)
{
    free(u->storage);
    *u = (struct uri){ .storage = NULL };
}

const char *uri_parameter(const struct uri *u, const char *name)
{
    for (size_t i = 0; i < u->parameter_count; i++) {
        if (strcmp(u->parameters[i].name, name) == 0) {
            return u->parameters[i].value;
        }
    }
    return NULL;
}

bool uri_matches(const struct uri *u, const char *pattern)
{
    size_t i = 0;

    for (const char *at = pattern; *at == '/'; i++) {
        const char *part = at + 1;
        size_t len = strcspn(part, "/");

        if (i == u->segment_count) {
            return false;
        }
        if (part[0] == '{'
                ? u->segments[i][0] == '\0'
                : strlen(u->segments[i]) != len || memcmp(u->segments[i], part, len) != 0) {
            return false;
        }
        at = part + len;
    }
    return i == u->segment_count;
}
