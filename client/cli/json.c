/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/json.h"

#include "client/cli/cli.h"
#include "client/cli/methods.h"
#include "client/cli/report.h"
#include "proto/json/print.h"
#include "proto/wire/wire.h"

/* The library has bounded it; here only what cannot be is refused. */
static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *type, const void *bytes,
                                size_t len_bytes)
{
    static const struct wire_limits limits = {
        .len_max_bytes = (size_t)1 << 31,
        .elements_max = UINT32_MAX,
        .memory_max_bytes = (size_t)1 << 34,
    };
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };

    if (wire_unpack(type, bytes, len_bytes, &limits, &message, &f) != 0) {
        (void)report_failure(&f);
    }
    return message;
}

ProtobufCMessage *json_unpack_reply(const xenres_reply *reply)
{
    size_t len_bytes;
    const char *type_name;
    const void *bytes = xenres_reply_message(reply, &len_bytes, &type_name);
    const ProtobufCMessageDescriptor *type = methods_response(type_name);

    if (type == NULL) {
        (void)report_local("no JSON for", type_name, 0, "report it, with the version of xenres");
        return NULL;
    }
    return unpack(type, bytes, len_bytes);
}

int json_append_message(struct buffer *out, const ProtobufCMessage *message, bool is_pretty)
{
    const struct json_print_options options = { .pretty = is_pretty, .with_defaults = true };
    struct failure f = { 0 };

    return json_print(message, &options, out, &f) == 0 ? 0 : report_failure(&f);
}

/* `message`: NULL: reported. */
static int append_and_free(struct buffer *out, ProtobufCMessage *message, bool is_pretty)
{
    if (message == NULL) {
        return EXIT_LOCAL;
    }
    int status = json_append_message(out, message, is_pretty);

    wire_free(message);
    return status;
}

int json_append_reply(struct buffer *out, const xenres_reply *reply, bool is_pretty)
{
    return append_and_free(out, json_unpack_reply(reply), is_pretty);
}

int json_append_bytes(struct buffer *out, const ProtobufCMessageDescriptor *type, const void *bytes,
                      size_t len_bytes)
{
    return append_and_free(out, unpack(type, bytes, len_bytes), false);
}

int json_show_text(struct buffer *document)
{
    buffer_append_byte(document, '\n');
    return output_print(document);
}

int json_show_reply(const xenres_reply *reply)
{
    BUFFER_AUTO(document, (size_t)1 << 31);

    int status = json_append_reply(&document, reply, true);

    return status == 0 ? json_show_text(&document) : status;
}
