/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenres call: any method of the API, JSON in and out. The request is checked here, so that a wrong
 * name is told by its path before anything is sent. One answer is a document, as the other verbs
 * print with -o json; a stream's are one a line, each as soon as it is there.
 */
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/methods.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/request_text.h"
#include "client/cli/suggestion.h"
#include "client/cli/table.h"
#include "proto/json/parse.h"
#include "proto/wire/wire.h"

enum { FIELDS_MAX_BYTES = 4096 }; /* of a request's fields, listed */

#define CALL_STREAM __attribute__((cleanup(close_stream))) xenres_stream *

static void close_stream(xenres_stream **stream)
{
    xenres_stream_close(*stream);
}

/* --- what there is to call --- */

static int list_table(void)
{
    TABLE_AUTO table;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);
    struct api_method method;

    table_init(&table, "METHOD|ANSWER|WHAT|REQUEST");
    for (size_t i = 0; methods_at(i, &method); i++) {
        BUFFER_AUTO(fields, FIELDS_MAX_BYTES);

        methods_append_fields(&fields, method.request);
        const char *shown = buffer_string(&fields);

        table_cell(&table, "%s", method.short_name);
        table_cell(&table, "%s", method.is_stream ? "stream" : "one");
        table_cell(&table, "%s", method.summary);
        table_cell(&table, "%s", shown != NULL ? shown : "");
    }
    table_render(&table, render_columns(), &text);
    return output_print(&text);
}

/* Our own table's strings: nothing in them has to be escaped. */
static int list_json(void)
{
    BUFFER_AUTO(text, TABLE_MAX_BYTES);
    struct api_method method;

    for (size_t i = 0; methods_at(i, &method); i++) {
        buffer_printf(&text,
                      "%s\n  {\n    \"method\": \"%s\",\n    \"isStream\": %s,\n"
                      "    \"request\": \"%s\",\n    \"response\": \"%s\",\n"
                      "    \"summary\": \"%s\"\n  }",
                      i == 0 ? "[" : ",", method.name, method.is_stream ? "true" : "false",
                      method.request->name, method.response->name, method.summary);
    }
    buffer_append_string(&text, "\n]\n");
    return output_print(&text);
}

static int refuse_method(const struct cli *cli, const char *name)
{
    struct suggestion suggestion;
    char meant[SUGGESTION_TEXT_BYTES], usage[USAGE_MAX_BYTES];
    struct api_method method;

    suggestion_begin(&suggestion, name, strlen(name));
    for (size_t i = 0; methods_at(i, &method); i++) {
        suggestion_offer(&suggestion, method.short_name);
    }
    (void)snprintf(usage, sizeof(usage), "no such method: %.80s%s; \"xenres call\" lists them",
                   name, suggestion_text(&suggestion, meant));
    return report_usage(cli->verb->name, usage);
}

/* --- the request --- */

/* Packs the request into `out`. Not 0: reported; the exit status. */
static int pack(const ProtobufCMessage *message, struct buffer *out)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = buffer_extend(out, len);

    if (len > 0 && bytes == NULL) {
        return report_no_memory();
    }
    (void)protobuf_c_message_pack(message, bytes);
    return 0;
}

static int refuse_request(const struct api_method *method, struct failure *f, int result)
{
    BUFFER_AUTO(fields, FIELDS_MAX_BYTES);

    methods_append_fields(&fields, method->request);
    const char *shown = buffer_string(&fields);

    if (result == -ERROR_RESOURCE_EXHAUSTED) {
        failure_next(f, result, "send a smaller request");
    } else {
        failure_next(f, result, "%s takes %s", method->short_name, shown != NULL ? shown : "JSON");
    }
    (void)report_failure(f);
    return error_exit_status(f->code);
}

static int read_request(const struct api_method *method, const char *operand, struct buffer *out)
{
    static const struct wire_limits limits = {
        .len_max_bytes = REQUEST_TEXT_MAX_BYTES,
        .elements_max = REQUEST_TEXT_MAX_BYTES,
        .memory_max_bytes = 64 * (size_t)REQUEST_TEXT_MAX_BYTES,
    };
    static const struct json_parse_options options = { .refuse_unknown = true };
    BUFFER_AUTO(text, REQUEST_TEXT_MAX_BYTES + 1);
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };
    int status = request_text_read(operand, &text);

    if (status != 0) {
        return status;
    }
    int result = json_parse(method->request, text.len_bytes > 0 ? (const void *)text.data : "",
                            text.len_bytes, &limits, &options, &message, &f);

    if (result != 0) {
        return refuse_request(method, &f, result);
    }
    status = pack(message, out);
    wire_free(message);
    return status;
}

/* --- the answer --- */

static int call_once(xenres *handle, const struct api_method *method, const struct buffer *request)
{
    CLI_REPLY reply = NULL;
    xenres_error error;

    if (xenres_call(handle, method->name, request->data, request->len_bytes, &reply, &error) != 0) {
        return report_error(&error);
    }
    return json_show_reply(reply);
}

/* Written at once: the next message may be long in coming. */
static int show_line(struct output *output, const xenres_reply *reply)
{
    BUFFER_AUTO(line, (size_t)1 << 31);
    int status = json_append_reply(&line, reply, false);

    if (status != 0) {
        return status;
    }
    buffer_append_byte(&line, '\n');
    return output_text(output, &line);
}

static int call_stream(xenres *handle, const struct api_method *method,
                       const struct buffer *request)
{
    CALL_STREAM stream = NULL;
    OUTPUT_AUTO output = { .fd = -1 };
    xenres_error error;
    int status = output_open(&output, NULL);

    if (status != 0) {
        return status;
    }
    if (xenres_stream_open(handle, method->name, request->data, request->len_bytes, NULL, &stream,
                           &error) != 0) {
        return report_error(&error);
    }
    for (;;) {
        CLI_REPLY reply = NULL;

        if (xenres_stream_next(stream, &reply, &error) != 0) {
            return report_error(&error);
        }
        if (reply == NULL) {
            return output_commit(&output);
        }
        status = show_line(&output, reply);
        if (status != 0) {
            return status;
        }
    }
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    BUFFER_AUTO(request, (size_t)64 * REQUEST_TEXT_MAX_BYTES);
    struct api_method method;
    int status = 0;

    if (arguments->operand_count == 0) {
        return cli->format == CLI_FORMAT_JSON ? list_json() : list_table();
    }
    if (!methods_find(arguments->operands[0], &method)) {
        return refuse_method(cli, arguments->operands[0]);
    }
    if (cli->format == CLI_FORMAT_TABLE) {
        return report_usage(cli->verb->name, "answers of call are JSON: there is no table of them");
    }
    status = read_request(&method, arguments->operand_count > 1 ? arguments->operands[1] : NULL,
                          &request);
    if (status != 0) {
        return status;
    }
    CLI_HANDLE handle = cli_connect(cli, &status);

    if (handle == NULL) {
        return status;
    }
    return method.is_stream ? call_stream(handle, &method, &request)
                            : call_once(handle, &method, &request);
}

const struct verb verb_call = {
    .name = "call",
    .operands = "[SERVICE/METHOD [JSON]]",
    .operands_max = 2,
    .summary = "any method of the API, JSON in and out",
    .description =
        "Calls a method of the API with a request in JSON: the operand itself, @FILE, or\n"
        "\"-\" for standard input; {} unless given. Prints the answer as JSON; of a\n"
        "stream, one object a line, as they come. Without operands, lists the methods.",
    .run = run,
};
