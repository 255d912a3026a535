/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres watch: the command line, and the request that it makes. What is done with what comes is
 * watching.h's. */
#include <string.h>

#include "client/cli/choices.h"
#include "client/cli/cli.h"
#include "client/cli/names.h"
#include "client/cli/operands.h"
#include "client/cli/report.h"
#include "client/cli/watching.h"

enum { PERIOD_MAX_MS = 3600 * 1000 };

enum {
    OPTION_FIRST,
    OPTION_COUNT,
    OPTION_PERIOD,
    OPTION_MODE,
    OPTION_DECODE,
    OPTION_OUTPUT,
    OPTION_RESUME,
    OPTION_DOMAINS,
    OPTIONS_END
};

static const struct option options[] = {
    [OPTION_FIRST] = { .name = "first",
                       .argument = "N",
                       .help = "the first frame; 0 unless given" },
    [OPTION_COUNT] = { .name = "count",
                       .argument = "M",
                       .help = "how many frames; unless given all that are in use, as they grow" },
    [OPTION_PERIOD] = { .name = "period",
                        .argument = "TIME",
                        .help = "the least time between two messages; 100ms unless given" },
    [OPTION_MODE] = { .name = "mode",
                      .argument = "delta|full|latest",
                      .help =
                          "every change (unless given), all of it after each, or what is newest" },
    [OPTION_DECODE] = { .name = "decode", .help = "grants, requests, run times instead of bytes" },
    [OPTION_OUTPUT] = { .name = "output",
                        .argument = "FILE",
                        .help = "record to FILE instead of printing" },
    [OPTION_RESUME] = { .name = "resume",
                        .help = "go on with the recording in FILE from its last checkpoint" },
    [OPTION_DOMAINS] = { .name = "domains",
                         .help = "the host's domains: created, renamed, dying, gone" },
    [OPTIONS_END] = { 0 },
};

static const char *value_of(const struct arguments *arguments, int option)
{
    return arguments_value(arguments, options[option].name);
}

static bool take_mode(const char *text, uint32_t *mode, char usage[USAGE_MAX_BYTES])
{
    *mode = text != NULL ? name_to_watch_mode(text) : XENRES_WATCH_DELTA;
    if (*mode == 0) {
        choices_refuse("--mode", options[OPTION_MODE].argument, text, usage);
    }
    return *mode != 0;
}

static bool take_query(const struct arguments *arguments, xenres_watch_query *query,
                       char usage[USAGE_MAX_BYTES])
{
    const char *first = value_of(arguments, OPTION_FIRST);
    const char *count = value_of(arguments, OPTION_COUNT);
    const char *period = value_of(arguments, OPTION_PERIOD);

    query->domain = arguments->operands[0];
    query->decode = value_of(arguments, OPTION_DECODE) != NULL;
    bool is_proper =
        operand_type(arguments->operands[1], &query->type, usage) &&
        (arguments->operand_count < 3 ||
         arguments_number("ID", arguments->operands[2], UINT32_MAX, &query->id, usage)) &&
        (first == NULL ||
         arguments_number("--first", first, UINT32_MAX, &query->first_frame, usage)) &&
        (count == NULL ||
         arguments_number("--count", count, XENRES_ALL - 1, &query->frame_count, usage)) &&
        (period == NULL ||
         arguments_duration("--period", period, PERIOD_MAX_MS, &query->period_ms, usage)) &&
        take_mode(value_of(arguments, OPTION_MODE), &query->mode, usage);

    /* It has no bytes. */
    query->decode = query->decode || query->type == XENRES_VCPU_STATS;
    return is_proper;
}

/* What makes no sense together; NULL: nothing. */
static const char *contradiction(const struct arguments *arguments)
{
    if (value_of(arguments, OPTION_RESUME) != NULL && value_of(arguments, OPTION_OUTPUT) == NULL) {
        return "--resume needs the --output that it goes on with";
    }
    if (value_of(arguments, OPTION_DOMAINS) == NULL) {
        return arguments->operand_count < 2 ? "watch needs DOMAIN TYPE, or --domains" : NULL;
    }
    if (arguments->operand_count > 0) {
        return "either DOMAIN TYPE or --domains";
    }
    for (int i = OPTION_FIRST; i <= OPTION_DECODE; i++) {
        if (value_of(arguments, i) != NULL) {
            return "--domains goes with --output and --resume alone";
        }
    }
    return NULL;
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    struct watching_options what = {
        .output = value_of(arguments, OPTION_OUTPUT),
        .resume = value_of(arguments, OPTION_RESUME) != NULL,
        .query = XENRES_WATCH_QUERY_INIT(NULL, 0, 0),
        .of_domains = value_of(arguments, OPTION_DOMAINS) != NULL,
    };
    const char *wrong = contradiction(arguments);
    char usage[USAGE_MAX_BYTES];

    if (wrong != NULL) {
        return report_usage(cli->verb->name, wrong);
    }
    if (!what.of_domains && !take_query(arguments, &what.query, usage)) {
        return report_usage(cli->verb->name, usage);
    }
    return watching_run(cli, &what);
}

const struct verb verb_watch = {
    .name = "watch",
    .operands = "[DOMAIN [TYPE [ID]]]",
    .operands_min = 0,
    .operands_max = 3,
    .summary = "what changes in a resource, or which domains come and go",
    .description =
        "Follows a resource: ioreq_server, grant_table, vcpu_stats; ID is 0 unless given.\n"
        "A live view on a terminal, else a line a change, or with -o json one of the API's\n"
        "messages a line. Goes on by itself after interruptions, and tells what was lost.\n"
        "Watching an ioreq_server may make Xen allocate its pages.",
    .options = options,
    .run = run,
};
