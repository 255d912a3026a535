/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/conformance/request_info.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connectrpc/conformance/v1/service.pb-c.h"
#include "server/rpc/query.h"

enum { HEADERS_MAX = 64, VALUES_MAX = 16 };

typedef Connectrpc__Conformance__V1__ConformancePayload__RequestInfo request_info_message;
typedef Connectrpc__Conformance__V1__ConformancePayload__ConnectGetInfo get_info_message;
typedef Connectrpc__Conformance__V1__Header header_message;

/* Headers of one name are one row with several values. */
struct rows {
    struct pool *pool;
    header_message **rows;
    size_t count;
};

static bool rows_init(struct rows *r, struct pool *p)
{
    *r = (struct rows){ .pool = p, .rows = pool_array(p, HEADERS_MAX, sizeof(header_message *)) };
    return r->rows != NULL;
}

static void add(void *arg, const char *name, const char *value)
{
    struct rows *r = arg;
    header_message *row = NULL;

    for (size_t i = 0; i < r->count; i++) {
        row = strcasecmp(r->rows[i]->name, name) == 0 ? r->rows[i] : row;
    }
    if (row == NULL && r->count < HEADERS_MAX) {
        row = pool_alloc(r->pool, sizeof(*row));
        char **values = pool_array(r->pool, VALUES_MAX, sizeof(*values));

        if (row == NULL || values == NULL) {
            return;
        }
        connectrpc__conformance__v1__header__init(row);
        row->name = pool_string(r->pool, name);
        row->value = values;
        r->rows[r->count++] = row;
    }
    if (row != NULL && row->n_value < VALUES_MAX) {
        row->value[row->n_value++] = pool_string(r->pool, value);
    }
}

Google__Protobuf__Any *request_info_any(struct pool *p, const ProtobufCMessage *message)
{
    Google__Protobuf__Any *any = pool_alloc(p, sizeof(*any));
    size_t len_bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = pool_alloc(p, len_bytes > 0 ? len_bytes : 1);

    if (any == NULL || bytes == NULL) {
        return NULL;
    }
    google__protobuf__any__init(any);
    any->type_url = pool_printf(p, "type.googleapis.com/%s", message->descriptor->name);
    any->value.data = bytes;
    any->value.len = protobuf_c_message_pack(message, bytes);
    return any;
}

static get_info_message *get_info(struct call *c)
{
    struct pool *p = &c->pool;
    get_info_message *m = pool_alloc(p, sizeof(*m));
    const char *mark = strchr(c->head->target, '?');
    struct query query = { .count = 0 };
    struct rows rows;

    if (m == NULL || !rows_init(&rows, p)) {
        return NULL;
    }
    connectrpc__conformance__v1__conformance_payload__connect_get_info__init(m);
    if (mark != NULL && query_parse(mark + 1, &query, NULL) == 0) {
        for (size_t i = 0; i < query.count; i++) {
            add(&rows, query.parameters[i].name, query.parameters[i].value);
        }
    }
    query_done(&query);
    m->query_params = rows.rows;
    m->n_query_params = rows.count;
    return m;
}

request_info_message *request_info(struct call *c)
{
    struct pool *p = &c->pool;
    request_info_message *m = pool_alloc(p, sizeof(*m));
    Google__Protobuf__Any **requests = pool_array(p, 1, sizeof(*requests));
    const char *timeout = c->head->header(c->head->arg, "Connect-Timeout-Ms", NULL);
    struct rows rows;

    if (m == NULL || requests == NULL || !rows_init(&rows, p)) {
        return NULL;
    }
    connectrpc__conformance__v1__conformance_payload__request_info__init(m);
    c->head->each_header(c->head->arg, add, &rows);
    m->request_headers = rows.rows;
    m->n_request_headers = rows.count;
    requests[0] = request_info_any(p, c->request);
    m->requests = requests;
    m->n_requests = 1;
    if (timeout != NULL) {
        m->timeout_ms_choice_case =
            CONNECTRPC__CONFORMANCE__V1__CONFORMANCE_PAYLOAD__REQUEST_INFO__TIMEOUT_MS_CHOICE_TIMEOUT_MS;
        m->timeout_ms = strtoll(timeout, NULL, 10);
    }
    if (strcmp(c->head->method, "GET") == 0) {
        m->connect_get_info = get_info(c);
    }
    return requests[0] != NULL ? m : NULL;
}
