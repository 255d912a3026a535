/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres stats */
#include <inttypes.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/names.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

static int show(const xenres_vcpu_stats *stats)
{
    TABLE_AUTO table;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);
    struct name_room source;

    render_identity(&text, &stats->domain);
    buffer_append_string(&text, "read ");
    render_time(&text, stats->observation.wall_seconds, stats->observation.wall_nanoseconds);
    buffer_printf(&text, " from %s\n", name_stats_source(stats->source, &source));
    table_init(&table, "VCPU>|RUN TIME>|ONLINE");
    for (size_t i = 0; i < stats->vcpu_count; i++) {
        const xenres_vcpu *v = &stats->vcpus[i];

        table_cell(&table, "%" PRIu32, v->vcpu);
        if (v->unreadable) {
            table_painted(&table, PAINT_WARN, "being updated");
        } else {
            table_cell(&table, "%" PRIu64 ".%09" PRIu64 " s", v->run_time_ns / 1000000000,
                       v->run_time_ns % 1000000000);
        }
        table_cell(&table, "%s", v->online ? "yes" : "no");
    }
    table_render(&table, render_columns(), &text);
    return output_print(&text);
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    int status = 0;
    CLI_HANDLE handle = cli_connect(cli, &status);
    CLI_REPLY reply = NULL;
    const xenres_vcpu_stats *stats;
    xenres_error error;

    if (handle == NULL) {
        return status;
    }
    if (xenres_get_vcpu_stats(handle, arguments->operands[0], NULL, &reply, &stats, &error) != 0) {
        return report_error(&error);
    }
    return cli->format == CLI_FORMAT_JSON ? json_show_reply(reply) : show(stats);
}

const struct verb verb_stats = {
    .name = "stats",
    .operands = "DOMAIN",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "run time of each vCPU",
    .description = "Shows how long each vCPU of a domain has run, and where that is known from.",
    .run = run,
};
