/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres whoami */
#include <inttypes.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

static void limit(struct table *t, const char *name, uint64_t value)
{
    if (value > 0) {
        table_pair(t, name, "%" PRIu64, value);
    }
}

static void limits(struct table *t, const xenres_caller_limits *l)
{
    limit(t, "requests a second", l->requests_per_second);
    limit(t, "bytes a second", l->bytes_per_second);
    limit(t, "snapshots at a time", l->snapshots);
    limit(t, "streams at a time", l->streams);
    limit(t, "spool MiB", l->spool_mib);
    limit(t, "pauses a second", l->pauses_per_second);
}

static int show(const xenres_caller *caller)
{
    TABLE_AUTO t;
    BUFFER_AUTO(time, 128);
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    render_time(&time, caller->not_after_seconds, 0);
    const char *rendered = buffer_string(&time);

    table_init(&t, NULL);
    table_pair(&t, "identity", "%s", caller->identity);
    table_pair(&t, "good until", "%s", rendered != NULL ? rendered : "");
    table_pair(&t, "bound to a key", "%s", caller->is_bound ? "yes" : "no");
    for (size_t i = 0; i < caller->group_count; i++) {
        table_pair(&t, "group", "%s", caller->groups[i]);
    }
    if (caller->token_id[0] != '\0') {
        table_pair(&t, "token", "%s", caller->token_id);
    }
    if (caller->certificate_sha256[0] != '\0') {
        table_pair(&t, "certificate", "%s", caller->certificate_sha256);
    }
    limits(&t, &caller->limits);
    table_render(&t, render_columns(), &text);
    return output_print(&text);
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    int status = 0;
    CLI_HANDLE handle = cli_connect(cli, &status);
    CLI_REPLY reply = NULL;
    const xenres_caller *caller;
    xenres_error error;

    (void)arguments;
    if (handle == NULL) {
        return status;
    }
    if (xenres_who_am_i(handle, &reply, &caller, &error) != 0) {
        return report_error(&error);
    }
    return cli->format == CLI_FORMAT_JSON ? json_show_reply(reply) : show(caller);
}

const struct verb verb_whoami = {
    .name = "whoami",
    .operands = "",
    .summary = "who you are to the gateway, and until when",
    .description =
        "Shows the identity that the gateway has read from your certificate or token, what\n"
        "goes with it, and the limits of what you may use.",
    .run = run,
};
