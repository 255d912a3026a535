/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any bytes as a request's target, and what it names as a domain's spelling. What is taken keeps
 * the promises of uri.h: UTF-8 without NUL, no dots, no parameter twice, within the maxima.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "server/resource/domain_list.h"
#include "server/rpc/method.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_uri(const struct uri *u)
{
    check(u->segment_count >= 1 && u->segment_count <= URI_SEGMENTS_MAX);
    check(u->parameter_count <= URI_PARAMETERS_MAX);
    for (size_t i = 0; i < u->segment_count; i++) {
        struct domain_spelling spelling;

        check(text_is_utf8(u->segments[i], strlen(u->segments[i])));
        check(strcmp(u->segments[i], ".") != 0 && strcmp(u->segments[i], "..") != 0);
        if (domain_spelling_parse(u->segments[i], &spelling, NULL) == 0) {
            check(spelling.kind != DOMAIN_BY_DOMID || spelling.domid < DOMAIN_LIST_MAX);
            check(spelling.kind != DOMAIN_BY_NAME || spelling.name[0] != '\0');
        }
    }
    for (size_t i = 0; i < u->parameter_count; i++) {
        check(uri_parameter(u, u->parameters[i].name) == u->parameters[i].value);
        check(text_is_utf8(u->parameters[i].value, strlen(u->parameters[i].value)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct uri uri = { .storage = NULL }, found = { .storage = NULL };
    struct failure f = { 0 };
    char *target = malloc(size + 1);

    if (target == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(target, data, size);
    }
    target[size] = '\0';
    int result = uri_parse(target, &uri, &f);

    check((result == 0) == (uri.storage != NULL));
    if (result == 0) {
        check_uri(&uri);
    } else {
        check(result == -ERROR_INVALID_ARGUMENT && f.message[0] != '\0');
    }
    const struct method *m = method_find(&services_table, target, &found, &f);

    check(m != NULL || (f.code != 0 && found.storage == NULL));
    check(m == NULL || (m->kind == METHOD_RAW) == (found.storage != NULL));
    uri_done(&uri);
    uri_done(&found);
    free(target);
    return 0;
}
