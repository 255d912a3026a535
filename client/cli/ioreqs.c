/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres ioreqs: asking about a server may make Xen allocate its pages, so that only the one that
 * was named is asked about, and all of them only on request. */
#include <inttypes.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/names.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

enum { SERVERS = 8 }; /* Xen's MAX_NR_IOREQ_SERVERS */

static const struct option options[] = {
    { .name = "all", .help = "ask about every server, 0 to 7; asking may make Xen allocate pages" },
    { 0 },
};

static void show_vcpus(const xenres_ioreq_server *server, struct buffer *text)
{
    TABLE_AUTO t;

    table_init(&t, "VCPU>|STATE|TYPE|DIR|ADDRESS>|DATA>|SIZE>|COUNT>|PORT>|MODE");
    for (size_t i = 0; i < server->vcpu_count; i++) {
        const xenres_ioreq *r = &server->vcpus[i];
        struct name_room state, type;

        table_cell(&t, "%" PRIu32, r->vcpu);
        table_cell(&t, "%s", name_ioreq_state(r->state, &state));
        table_cell(&t, "%s", name_ioreq_type(r->type, r->raw_type, &type));
        table_cell(&t, "%s", r->read ? "read" : "write");
        table_cell(&t, "0x%" PRIx64, r->address);
        table_cell(&t, "%s0x%" PRIx64, r->data_is_pointer ? "*" : "", r->data);
        table_cell(&t, "%" PRIu32, r->size_bytes);
        table_cell(&t, "%" PRIu32, r->count);
        table_cell(&t, "%" PRIu32, r->event_channel);
        table_cell(&t, "%s", r->descending ? "descending" : "");
    }
    table_render(&t, render_columns(), text);
}

static void show_buffered(const xenres_ioreq_server *server, struct buffer *text)
{
    TABLE_AUTO t;

    if (!server->has_buffered) {
        buffer_append_string(text, "no buffered requests: the server has no page for them\n");
        return;
    }
    buffer_printf(text, "buffered: read pointer %" PRIu32 ", write pointer %" PRIu32 "%s\n",
                  server->read_pointer, server->write_pointer,
                  server->pointers_valid ? "" : ", which make no sense together");
    if (server->request_count == 0) {
        return;
    }
    table_init(&t, "TYPE|DIR|ADDRESS>|DATA>|SIZE>");
    for (size_t i = 0; i < server->request_count; i++) {
        const xenres_buffered_ioreq *r = &server->requests[i];
        struct name_room type;

        table_cell(&t, "%s", name_ioreq_type(r->type, r->raw_type, &type));
        table_cell(&t, "%s", r->read ? "read" : "write");
        table_cell(&t, "0x%" PRIx32, r->address);
        table_cell(&t, "0x%" PRIx64, r->data);
        table_cell(&t, "%" PRIu32, r->size_bytes);
    }
    table_render(&t, render_columns(), text);
}

static void show_server(const xenres_ioreq_server *server, struct buffer *text)
{
    render_identity(text, &server->domain);
    buffer_printf(text, "ioreq server %" PRIu32 ", ", server->id);
    render_observation(text, &server->observation);
    show_vcpus(server, text);
    show_buffered(server, text);
}

static int show_one(struct cli *cli, xenres *handle, const xenres_ioreq_query *query)
{
    CLI_REPLY reply = NULL;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);
    const xenres_ioreq_server *server;
    xenres_error error;

    if (xenres_get_ioreq_server(handle, query, &reply, &server, &error) != 0) {
        return report_error(&error);
    }
    if (cli->format == CLI_FORMAT_JSON) {
        return json_show_reply(reply);
    }
    show_server(server, &text);
    return output_print(&text);
}

/* Adds one server to the document; what is not there is left out. What is there and cannot be had (a
 * stub domain's, for one) is told beside it, and is the exit status at the end. */
static int add_server(const struct cli *cli, xenres *handle, const xenres_ioreq_query *query,
                      unsigned *found, struct buffer *text)
{
    CLI_REPLY reply = NULL;
    const xenres_ioreq_server *server;
    xenres_error error;

    if (xenres_get_ioreq_server(handle, query, &reply, &server, &error) != 0) {
        return error.code == XENRES_NOT_FOUND ? 0 : report_error(&error);
    }
    bool is_json = cli->format == CLI_FORMAT_JSON;

    if ((*found)++ > 0) {
        buffer_append_string(text, is_json ? ",\n" : "\n");
    }
    if (is_json) {
        return json_append_reply(text, reply, true);
    }
    show_server(server, text);
    return 0;
}

static int show_all(const struct cli *cli, xenres *handle, const char *domain)
{
    const xenres_resource_query who = XENRES_RESOURCE_QUERY_INIT(domain);
    CLI_REPLY reply = NULL;
    BUFFER_AUTO(text, (size_t)1 << 31);
    const xenres_resource_list *list;
    xenres_error error;
    unsigned found = 0;
    int status = 0;

    /* First who is meant: from then on "not found" can only be the server. */
    if (xenres_list_resources(handle, &who, &reply, &list, &error) != 0) {
        return report_error(&error);
    }
    if (cli->format == CLI_FORMAT_JSON) {
        buffer_append_string(&text, "[\n");
    }
    for (uint32_t id = 0; id < SERVERS; id++) {
        xenres_ioreq_query query = XENRES_IOREQ_QUERY_INIT(domain, id);

        query.incarnation = list->domain.incarnation;
        int of_server = add_server(cli, handle, &query, &found, &text);

        status = status != 0 ? status : of_server;
    }
    if (cli->format == CLI_FORMAT_JSON) {
        buffer_append_string(&text, found > 0 ? "\n]\n" : "]\n");
    }
    if (status == 0 && found == 0) {
        report_note("the domain has no ioreq server");
    }
    int of_output = output_print(&text);

    return status != 0 ? status : of_output;
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    xenres_ioreq_query query = XENRES_IOREQ_QUERY_INIT(arguments->operands[0], 0);
    bool is_all = arguments_value(arguments, "all") != NULL;
    char usage[USAGE_MAX_BYTES];
    int status = 0;

    if (is_all && arguments->operand_count > 1) {
        return report_usage(cli->verb->name, "either an ID or --all");
    }
    if (arguments->operand_count > 1 &&
        !arguments_number("ID", arguments->operands[1], UINT32_MAX, &query.id, usage)) {
        return report_usage(cli->verb->name, usage);
    }
    CLI_HANDLE handle = cli_connect(cli, &status);

    if (handle == NULL) {
        return status;
    }
    return is_all ? show_all(cli, handle, query.domain) : show_one(cli, handle, &query);
}

const struct verb verb_ioreqs = {
    .name = "ioreqs",
    .operands = "DOMAIN [ID]",
    .operands_min = 1,
    .operands_max = 2,
    .summary = "requests to an ioreq server (a device model), decoded",
    .description = "Shows the requests of a domain's vCPUs to the ioreq server ID, 0 unless\n"
                   "given. Asking may make Xen allocate the server's pages.",
    .options = options,
    .run = run,
};
