/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any bytes as the query of a Connect GET. What is taken keeps the promises of query.h, and written
 * again it is taken as the same; what is refused says why.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/rpc/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void write_escaped(struct buffer *out, const char *bytes, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++) {
        buffer_printf(out, "%%%02X", (unsigned char)bytes[i]);
    }
}

/* Three times as long, so that only the short ones fit again. */
static void check_written_again(const struct query *q)
{
    struct query again;
    BUFFER_AUTO(text, 4 * QUERY_MAX_BYTES);

    for (size_t i = 0; i < q->count; i++) {
        const struct query_parameter *p = &q->parameters[i];

        buffer_append_string(&text, i > 0 ? "&" : "");
        write_escaped(&text, p->name, p->name_len);
        buffer_append_byte(&text, '=');
        write_escaped(&text, p->value, p->value_len);
    }
    if (text.len_bytes >= QUERY_MAX_BYTES) {
        return;
    }
    check(query_parse(buffer_string(&text), &again, NULL) == 0);
    check(again.count == q->count);
    for (size_t i = 0; i < q->count; i++) {
        const struct query_parameter *a = &q->parameters[i], *b = &again.parameters[i];

        check(a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0);
        check(a->value_len == b->value_len && memcmp(a->value, b->value, a->value_len) == 0);
    }
    query_done(&again);
}

static void check_query(const struct query *q)
{
    size_t total = 0;

    check(q->count <= QUERY_PARAMETERS_MAX);
    for (size_t i = 0; i < q->count; i++) {
        const struct query_parameter *p = &q->parameters[i];

        check(p->name[p->name_len] == '\0' && p->value[p->value_len] == '\0');
        check(query_find(q, p->name) == p); /* no other of the same name */
        total += p->name_len + p->value_len;
    }
    check(total < QUERY_MAX_BYTES);
    check_written_again(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct query query = { .count = 0 };
    struct failure f = { 0 };
    char *text = malloc(size + 1);

    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    int result = query_parse(text, &query, &f);

    if (result == 0) {
        check_query(&query);
    } else {
        check(result == -ERROR_INVALID_ARGUMENT && f.message[0] != '\0' && query.count == 0);
    }
    query_done(&query);
    free(text);
    return 0;
}
