/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres host */
#include <inttypes.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

static void words(struct table *t, const char *name, const char *const *list, size_t count)
{
    BUFFER_AUTO(text, 65536);

    for (size_t i = 0; i < count; i++) {
        buffer_printf(&text, "%s%s", i > 0 ? " " : "", list[i]);
    }
    const char *joined = buffer_string(&text);

    table_pair(t, name, "%s", joined != NULL ? joined : "(too many)");
}

static void memory(struct table *t, const char *name, uint64_t kib)
{
    BUFFER_AUTO(text, 64);

    render_memory(&text, kib);
    const char *rendered = buffer_string(&text);

    table_pair(t, name, "%s", rendered != NULL ? rendered : "");
}

static void machine(struct table *t, const xenres_host *host)
{
    BUFFER_AUTO(time, 128);

    render_time(&time, host->wall_seconds, host->wall_nanoseconds);
    const char *rendered = buffer_string(&time);

    table_pair(t, "host", "%s", host->hostname);
    if (host->uuid[0] != '\0') {
        table_pair(t, "uuid", "%s (%s)", host->uuid, host->uuid_source);
    } else {
        table_pair(t, "uuid", "not known without a mapper");
    }
    table_pair(t, "boot id", "%s", host->boot_id);
    table_pair(t, "time", "%s", rendered != NULL ? rendered : "");
    table_pair(t, "gateway", "%s", host->gateway_version);
    if (!host->mapper_connected) {
        table_pair(t, "mapper", "not connected: nothing can be looked at now");
        return;
    }
    table_pair(t, "mapper", "%s (backend %s)", host->mapper_version, host->backend);
    table_pair(t, "xen", "%s", host->xen_version);
    words(t, "guest ABIs", host->guest_abis, host->guest_abi_count);
    words(t, "capabilities", host->capabilities, host->capability_count);
    table_pair(t, "processors", "%" PRIu32, host->cpu_count);
    memory(t, "memory", host->total_memory_kib);
    memory(t, "free memory", host->free_memory_kib);
}

static int show(const xenres_host *host)
{
    TABLE_AUTO facts;
    TABLE_AUTO checks;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    table_init(&facts, NULL);
    machine(&facts, host);
    table_render(&facts, render_columns(), &text);
    table_init(&checks, "CHECK|OK|DETAIL");
    for (size_t i = 0; i < host->check_count; i++) {
        table_cell(&checks, "%s", host->checks[i].name);
        table_painted(&checks, host->checks[i].ok ? PAINT_GOOD : PAINT_BAD,
                      host->checks[i].ok ? "yes" : "NO");
        table_cell(&checks, "%s", host->checks[i].detail);
    }
    if (host->check_count > 0) {
        buffer_append_byte(&text, '\n');
        table_render(&checks, render_columns(), &text);
    }
    return output_print(&text);
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    int status = 0;
    CLI_HANDLE handle = cli_connect(cli, &status);
    CLI_REPLY reply = NULL;
    const xenres_host *host;
    xenres_error error;

    (void)arguments;
    if (handle == NULL) {
        return status;
    }
    if (xenres_get_host(handle, &reply, &host, &error) != 0) {
        return report_error(&error);
    }
    return cli->format == CLI_FORMAT_JSON ? json_show_reply(reply) : show(host);
}

const struct verb verb_host = {
    .name = "host",
    .operands = "",
    .summary = "the host, its gateway, and whether that sees what it needs",
    .description = "Shows the host, its hypervisor, the gateway, and what the gateway found of\n"
                   "what it needs.",
    .run = run,
};
