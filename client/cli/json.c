/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/json.h"

#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/report.h"
#include "proto/json/print.h"
#include "proto/wire/wire.h"
#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"
#include "xenres/v1/resource.pb-c.h"

static const ProtobufCMessageDescriptor *const types[] = {
    &xenres__v1__get_host_response__descriptor,
    &xenres__v1__list_domains_response__descriptor,
    &xenres__v1__list_resources_response__descriptor,
    &xenres__v1__get_snapshot_response__descriptor,
    &xenres__v1__get_grant_table_response__descriptor,
    &xenres__v1__get_ioreq_server_response__descriptor,
    &xenres__v1__get_vcpu_stats_response__descriptor,
};

ProtobufCMessage *json_unpack_reply(const xenres_reply *reply)
{
    /* The library has bounded it; here only what cannot be is refused. */
    static const struct wire_limits limits = {
        .len_max_bytes = (size_t)1 << 31,
        .elements_max = UINT32_MAX,
        .memory_max_bytes = (size_t)1 << 34,
    };
    size_t len_bytes;
    const char *type_name;
    const void *bytes = xenres_reply_message(reply, &len_bytes, &type_name);
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i]->name, type_name) == 0) {
            if (wire_unpack(types[i], bytes, len_bytes, &limits, &message, &f) != 0) {
                (void)report_failure(&f);
            }
            return message;
        }
    }
    (void)report_local("no JSON for", type_name, 0);
    return NULL;
}

int json_append_message(struct buffer *out, const ProtobufCMessage *message)
{
    static const struct json_print_options options = { .pretty = true, .with_defaults = true };
    struct failure f = { 0 };

    return json_print(message, &options, out, &f) == 0 ? 0 : report_failure(&f);
}

int json_append_reply(struct buffer *out, const xenres_reply *reply)
{
    ProtobufCMessage *message = json_unpack_reply(reply);

    if (message == NULL) {
        return EXIT_LOCAL;
    }
    int status = json_append_message(out, message);

    wire_free(message);
    return status;
}

int json_show_text(struct buffer *document)
{
    buffer_append_byte(document, '\n');
    return output_print(document);
}

int json_show_reply(const xenres_reply *reply)
{
    BUFFER_AUTO(document, (size_t)1 << 31);

    int status = json_append_reply(&document, reply);

    return status == 0 ? json_show_text(&document) : status;
}
