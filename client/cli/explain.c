/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres explain: the answer is the exit status, too. */
#include <string.h>

#include "client/cli/choices.h"
#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/operands.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "common/error.h"

struct question {
    uint32_t type, action;
};

static bool take_question(const struct arguments *arguments, struct question *q,
                          char usage[USAGE_MAX_BYTES])
{
    const char *type = arguments->operands[1], *action = arguments->operands[2];

    q->type = 0;
    if (strcmp(type, "any") != 0) {
        q->type = xenres_resource_type_from_name(type);
        if (q->type == 0) {
            choices_refuse("TYPE", "TYPE|any", type, usage);
            return false;
        }
    }
    q->action = xenres_action_from_name(action);
    if (q->action == 0) {
        choices_refuse("ACTION", "ACTION", action, usage);
    }
    return q->action != 0;
}

static int show(const xenres_access *access)
{
    BUFFER_AUTO(text, 65536);

    render_identity(&text, &access->domain);
    buffer_append_string(&text, access->allowed ? "allowed\n" : "not allowed\n");
    return output_print(&text);
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    struct question q;
    char usage[USAGE_MAX_BYTES];
    int status = 0;

    if (!take_question(arguments, &q, usage)) {
        return report_usage(cli->verb->name, usage);
    }
    CLI_HANDLE handle = cli_connect(cli, &status);
    CLI_REPLY reply = NULL;
    const xenres_access *access;
    xenres_error error;

    if (handle == NULL) {
        return status;
    }
    if (xenres_explain(handle, arguments->operands[0], q.type, q.action, &reply, &access, &error) !=
        0) {
        return report_error(&error);
    }
    status = cli->format == CLI_FORMAT_JSON ? json_show_reply(reply) : show(access);
    return status == 0 && !access->allowed ? error_exit_status(ERROR_PERMISSION_DENIED) : status;
}

const struct verb verb_explain = {
    .name = "explain",
    .operands = "DOMAIN TYPE|any ACTION",
    .operands_min = 3,
    .operands_max = 3,
    .summary = "whether you may do something, by the gateway's policy",
    .description =
        "Says whether the gateway's policy allows you an action on resources of a type of a\n"
        "domain; by which rule, its operator can see. The exit status is 0 where it is\n"
        "allowed, and 17 where it is not. The host's export list may refuse nevertheless.",
    .run = run,
};
