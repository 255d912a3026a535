/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres domains */
#include <inttypes.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/names.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

static int show(const xenres_domain_list *list)
{
    TABLE_AUTO table;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    table_init(&table, "DOMID>|NAME|TYPE|STATE|VCPUS>|MEMORY>|CPU TIME>|UUID|INCARNATION");
    for (size_t i = 0; i < list->domain_count; i++) {
        const xenres_domain *d = &list->domains[i];
        struct name_room type, state;

        table_cell(&table, "%" PRIu32, d->identity.domid);
        table_cell(&table, "%s", d->identity.name);
        table_cell(&table, "%s", name_domain_type(d->type, &type));
        table_cell(&table, "%s", name_domain_state(d->state, &state));
        table_cell(&table, "%" PRIu32 "/%" PRIu32, d->online_vcpus, d->max_vcpus);
        table_cell(&table, "%" PRIu64 " MiB", d->memory_kib / 1024);
        table_cell(&table, "%.1f s", (double)d->cpu_time_ns / 1e9);
        table_cell(&table, "%s", d->identity.uuid);
        table_cell(&table, "%s", d->identity.incarnation);
    }
    table_render(&table, render_columns(), &text);
    return output_print(&text);
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    int status = 0;
    CLI_HANDLE handle = cli_connect(cli, &status);
    CLI_REPLY reply = NULL;
    const xenres_domain_list *list;
    xenres_error error;

    (void)arguments;
    if (handle == NULL) {
        return status;
    }
    if (xenres_list_domains(handle, NULL, &reply, &list, &error) != 0) {
        return report_error(&error);
    }
    return cli->format == CLI_FORMAT_JSON ? json_show_reply(reply) : show(list);
}

const struct verb verb_domains = {
    .name = "domains",
    .operands = "",
    .summary = "the domains that you may see",
    .description = "Lists the domains that you may see, in the order of their numbers.",
    .run = run,
};
