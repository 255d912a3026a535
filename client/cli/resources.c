/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres resources, and xenres describe: the same question, about all or about one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/names.h"
#include "client/cli/operands.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

static enum paint paint_of(uint32_t availability)
{
    switch (availability) {
    case XENRES_RESOURCE_AVAILABLE: return PAINT_GOOD;
    case XENRES_RESOURCE_UNAVAILABLE: return PAINT_BAD;
    default: return PAINT_WARN;
    }
}

/* Alike but for the id: eight ioreq servers that a PV guest cannot have are one row to a reader. */
static bool alike(const xenres_resource *a, const xenres_resource *b)
{
    const char *a_cause = a->failure != NULL ? a->failure->cause : "";
    const char *b_cause = b->failure != NULL ? b->failure->cause : "";

    return a->type == b->type && a->availability == b->availability &&
           a->frames_in_use == b->frames_in_use && a->frames_max == b->frames_max &&
           strcmp(a_cause, b_cause) == 0;
}

/* How many rows from `first` on differ in nothing but consecutive ids. */
static size_t run_length(const xenres_resource_list *list, size_t first)
{
    const xenres_resource *resources = list->resources;
    size_t count = 1;

    while (first + count < list->resource_count &&
           resources[first + count].id == resources[first].id + count &&
           alike(&resources[first], &resources[first + count])) {
        count++;
    }
    return count;
}

static int show_all(const xenres_resource_list *list)
{
    TABLE_AUTO table;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    render_identity(&text, &list->domain);
    table_init(&table, "TYPE|ID>|AVAILABLE|IN USE>|MOST>|WHY");
    for (size_t i = 0, count; i < list->resource_count; i += count) {
        const xenres_resource *r = &list->resources[i];
        struct name_room type, availability;

        count = run_length(list, i);
        table_cell(&table, "%s", name_resource_type(r->type, &type));
        if (count > 1) {
            table_cell(&table, "%" PRIu32 "-%" PRIu32, r->id, list->resources[i + count - 1].id);
        } else {
            table_cell(&table, "%" PRIu32, r->id);
        }
        table_painted(&table, paint_of(r->availability),
                      name_availability(r->availability, &availability));
        table_cell(&table, "%" PRIu32, r->frames_in_use);
        table_cell(&table, "%" PRIu32, r->frames_max);
        table_cell(&table, "%s", r->failure != NULL ? r->failure->cause : "");
    }
    table_render(&table, render_columns(), &text);
    return output_print(&text);
}

static void describe_failure(struct table *t, const xenres_failure *f)
{
    if (f->call[0] != '\0' || f->errno_name[0] != '\0') {
        table_pair(t, "call", "%s%s%s", f->call,
                   f->call[0] != '\0' && f->errno_name[0] != '\0' ? ": " : "", f->errno_name);
    }
    if (f->cause[0] != '\0') {
        table_pair(t, "cause", "%s", f->cause);
    }
    if (f->next_step[0] != '\0') {
        table_pair(t, "next", "%s", f->next_step);
    }
}

static void describe(const xenres_resource *r, struct buffer *text)
{
    TABLE_AUTO t;
    struct name_room type, availability;

    table_init(&t, NULL);
    table_pair(&t, "resource", "%s %" PRIu32, name_resource_type(r->type, &type), r->id);
    table_pair(&t, "name", "%s", r->name);
    table_pair(&t, "available", "%s", name_availability(r->availability, &availability));
    if (r->failure != NULL) {
        describe_failure(&t, r->failure);
    }
    table_pair(&t, "frames in use", "%" PRIu32, r->frames_in_use);
    table_pair(&t, "frames at most", "%" PRIu32, r->frames_max);
    table_pair(&t, "bytes a frame", "%" PRIu32, r->frame_bytes);
    if (r->grant_version != 0) {
        table_pair(&t, "grant version", "%" PRIu32, r->grant_version);
    }
    table_render(&t, render_columns(), text);
}

static int show_each(const xenres_resource_list *list)
{
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    render_identity(&text, &list->domain);
    for (size_t i = 0; i < list->resource_count; i++) {
        buffer_append_byte(&text, '\n');
        describe(&list->resources[i], &text);
    }
    return output_print(&text);
}

static int ask(struct cli *cli, const xenres_resource_query *query,
               int (*show)(const xenres_resource_list *list))
{
    int status = 0;
    CLI_HANDLE handle = cli_connect(cli, &status);
    CLI_REPLY reply = NULL;
    const xenres_resource_list *list;
    xenres_error error;

    if (handle == NULL) {
        return status;
    }
    if (xenres_list_resources(handle, query, &reply, &list, &error) != 0) {
        return report_error(&error);
    }
    return cli->format == CLI_FORMAT_JSON ? json_show_reply(reply) : show(list);
}

static int run_resources(struct cli *cli, const struct arguments *arguments)
{
    const xenres_resource_query query = XENRES_RESOURCE_QUERY_INIT(arguments->operands[0]);

    return ask(cli, &query, show_all);
}

static int run_describe(struct cli *cli, const struct arguments *arguments)
{
    xenres_resource_query query = XENRES_RESOURCE_QUERY_INIT(arguments->operands[0]);
    char usage[USAGE_MAX_BYTES];

    if (!operand_type(arguments->operands[1], &query.type, usage) ||
        (arguments->operand_count > 2 &&
         !arguments_number("ID", arguments->operands[2], XENRES_ALL - 1, &query.id, usage))) {
        return report_usage(cli->verb->name, usage);
    }
    return ask(cli, &query, show_each);
}

const struct verb verb_resources = {
    .name = "resources",
    .operands = "DOMAIN",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "what a domain has to look at, and of what it has not, why",
    .description = "Lists the resources of a domain. Nothing is mapped or allocated by it.",
    .run = run_resources,
};

const struct verb verb_describe = {
    .name = "describe",
    .operands = "DOMAIN TYPE [ID]",
    .operands_min = 2,
    .operands_max = 3,
    .summary = "one resource, with all that is known of it",
    .description = "Describes one resource of a domain, or with no ID each of that type:\n"
                   "ioreq_server, grant_table, vmtrace_buf, vcpu_stats. Nothing is mapped or\n"
                   "allocated by it.",
    .run = run_describe,
};
