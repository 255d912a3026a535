/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres domains: those that every option fits, as a table, as JSON, or as names for other commands. */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/choices.h"
#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/names.h"
#include "client/cli/operands.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

enum { OPTION_NAME, OPTION_STATE, OPTION_TYPE, OPTION_NAMES, OPTIONS_END };

static const struct option options[] = {
    [OPTION_NAME] = { .name = "name",
                      .argument = "GLOB",
                      .help = "only those of such a name: '*' is any characters, '?' one" },
    [OPTION_STATE] = { .name = "state",
                       .argument = "STATE",
                       .help = "only those in this state, or in one of several: running, "
                               "blocked, paused, shutdown, crashed, dying",
                       .repeats = true },
    [OPTION_TYPE] = { .name = "type",
                      .argument = "pv|hvm|pvh",
                      .help = "only those of this type, or of one of several",
                      .repeats = true },
    [OPTION_NAMES] = { .name = "names",
                       .help = "print only a name for each, one a line, to give as DOMAIN" },
    [OPTIONS_END] = { 0 },
};

/* What the query points to: no more than options can be given. */
struct filter {
    uint32_t states[OPTIONS_MAX], types[OPTIONS_MAX];
};

static enum paint paint_of(uint32_t state)
{
    switch (state) {
    case XENRES_DOMAIN_RUNNING: return PAINT_GOOD;
    case XENRES_DOMAIN_PAUSED: return PAINT_WARN;
    case XENRES_DOMAIN_CRASHED:
    case XENRES_DOMAIN_DYING: return PAINT_BAD;
    default: return PAINT_PLAIN;
    }
}

static void show_tags(struct table *table, const xenres_domain *d)
{
    BUFFER_AUTO(words, 4096);

    for (size_t i = 0; i < d->tag_count; i++) {
        buffer_printf(&words, "%s%s", i > 0 ? " " : "", d->tags[i]);
    }
    const char *joined = buffer_string(&words);

    if (d->tags_unknown) {
        table_painted(table, PAINT_WARN, "(unknown)");
    } else {
        table_cell(table, "%s", joined != NULL ? joined : "(too many)");
    }
}

static int show(const xenres_domain_list *list)
{
    TABLE_AUTO table;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    table_init(&table, "DOMID>|NAME|TYPE|STATE|VCPUS>|MEMORY>|CPU TIME>|UUID|INCARNATION|TAGS");
    for (size_t i = 0; i < list->domain_count; i++) {
        const xenres_domain *d = &list->domains[i];
        struct name_room type, state;

        table_cell(&table, "%" PRIu32, d->identity.domid);
        table_cell(&table, "%s", d->identity.name);
        table_cell(&table, "%s", name_domain_type(d->type, &type));
        table_painted(&table, paint_of(d->state), name_domain_state(d->state, &state));
        table_cell(&table, "%" PRIu32 "/%" PRIu32, d->online_vcpus, d->max_vcpus);
        table_cell(&table, "%" PRIu64 " MiB", d->memory_kib / 1024);
        table_cell(&table, "%.1f s", (double)d->cpu_time_ns / 1e9);
        table_cell(&table, "%s", d->identity.uuid);
        table_cell(&table, "%s", d->identity.incarnation);
        show_tags(&table, d);
    }
    table_render(&table, render_columns(), &text);
    return output_print(&text);
}

static int show_names(const xenres_domain_list *list)
{
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    for (size_t i = 0; i < list->domain_count; i++) {
        char name[OPERAND_DOMAIN_BYTES];

        buffer_printf(&text, "%s\n", operand_from_domain(&list->domains[i].identity, name));
    }
    return output_print(&text);
}

/* Each value of an option that repeats, as the API's number. */
static bool take_numbers(const struct arguments *arguments, const struct option *option,
                         uint32_t (*number_of)(const char *name), uint32_t numbers[OPTIONS_MAX],
                         size_t *count, char usage[USAGE_MAX_BYTES])
{
    const char *value;

    for (size_t at = 0; (value = arguments_next_value(arguments, option->name, &at)) != NULL;) {
        numbers[*count] = number_of(value);
        if (numbers[(*count)++] == 0) {
            char what[16];

            (void)snprintf(what, sizeof(what), "--%s", option->name);
            choices_refuse(what, option->argument, value, usage);
            return false;
        }
    }
    return true;
}

static bool take_query(const struct arguments *arguments, struct filter *filter,
                       xenres_domain_query *query, char usage[USAGE_MAX_BYTES])
{
    query->name_glob = arguments_value(arguments, "name");
    query->states = filter->states;
    query->types = filter->types;
    return take_numbers(arguments, &options[OPTION_STATE], name_to_domain_state, filter->states,
                        &query->state_count, usage) &&
           take_numbers(arguments, &options[OPTION_TYPE], name_to_domain_type, filter->types,
                        &query->type_count, usage);
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    bool only_names = arguments_value(arguments, "names") != NULL;
    xenres_domain_query query = XENRES_DOMAIN_QUERY_INIT;
    char usage[USAGE_MAX_BYTES];
    struct filter filter;
    int status = 0;

    if (!take_query(arguments, &filter, &query, usage)) {
        return report_usage(cli->verb->name, usage);
    }
    if (only_names && cli->format != CLI_FORMAT_UNSET) {
        return report_usage(cli->verb->name, "either --names or --format");
    }
    CLI_HANDLE handle = cli_connect(cli, &status);
    CLI_REPLY reply = NULL;
    const xenres_domain_list *list;
    xenres_error error;

    if (handle == NULL) {
        return status;
    }
    if (xenres_list_domains(handle, &query, &reply, &list, &error) != 0) {
        return report_error(&error);
    }
    if (only_names) {
        return show_names(list);
    }
    return cli->format == CLI_FORMAT_JSON ? json_show_reply(reply) : show(list);
}

const struct verb verb_domains = {
    .name = "domains",
    .operands = "",
    .summary = "the domains that you may see",
    .description =
        "Lists the domains that you may see, in the order of their numbers: with options,\n"
        "those that every option fits.",
    .options = options,
    .run = run,
};
