/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres trace: its command line, and what is one call of the library. Recording is trace_record.h's,
 * decoding trace_packets.h's. */
#include <stdio.h>
#include <string.h>

#include "client/cli/choices.h"
#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/report.h"
#include "client/cli/trace_packets.h"
#include "client/cli/trace_record.h"
#include "client/cli/trace_show.h"

enum {
    BUDGET_MAX = 100000,
    LEASE_MAX_MS = 3600 * 1000,
    DURATION_MAX_MS = 7 * 24 * 3600 * 1000,
};

static const char actions[] = "start|list|status|stop|record|packets";

/* Which of them an option is of. */
enum { IS_START = 1, IS_LIST = 2, IS_STATUS = 4, IS_STOP = 8, IS_RECORD = 16, IS_PACKETS = 32 };

static const struct option options[] = {
    { .name = "vcpu",
      .argument = "LIST|all",
      .help = "start, record, packets: as 0,2-3; all unless given" },
    { .name = "os", .help = "start, record: the guest's kernel; with neither, both" },
    { .name = "user", .help = "start, record: its programs" },
    { .name = "no-tsc", .help = "start, record: without timestamps: laps may be undetectable" },
    { .name = "no-retc", .help = "start, record: returns not compressed" },
    { .name = "budget",
      .argument = "N",
      .help = "start, record: at most so many pauses a second for each vCPU" },
    { .name = "lease",
      .argument = "TIME",
      .help = "start, record: how long it runs while nobody reads it" },
    { .name = "takeover", .help = "start, record: also where somebody else traces; theirs ends" },
    { .name = "output", .argument = "DIR", .help = "record: the folder for files and manifest" },
    { .name = "duration", .argument = "TIME", .help = "record: 10s, 5m; else until it ends" },
    { .name = "resume", .help = "record: go on with what the folder holds" },
    { .name = "stats", .help = "packets: how many of each type instead of each" },
    { 0 },
};

static const struct {
    const char *name;
    unsigned of;
} allowed[] = {
    { "vcpu", IS_START | IS_RECORD | IS_PACKETS },
    { "os", IS_START | IS_RECORD },
    { "user", IS_START | IS_RECORD },
    { "no-tsc", IS_START | IS_RECORD },
    { "no-retc", IS_START | IS_RECORD },
    { "budget", IS_START | IS_RECORD },
    { "lease", IS_START | IS_RECORD },
    { "takeover", IS_START | IS_RECORD },
    { "output", IS_RECORD },
    { "duration", IS_RECORD },
    { "resume", IS_RECORD },
    { "stats", IS_PACKETS },
};

struct trace_arguments {
    unsigned action;
    const char *operand; /* NULL: none */
    uint32_t vcpus[XENRES_TRACED_VCPUS_MAX];
    struct trace_record_options record; /* `start` is of the start, too */
};

/* --- the command line --- */

static bool refuse(char usage[USAGE_MAX_BYTES], const char *what, const char *with)
{
    (void)snprintf(usage, USAGE_MAX_BYTES, "%.100s %.100s", what, with);
    return false;
}

/* "0,2-3" → numbers, ascending. False with `usage` filled. */
static bool take_vcpus(const char *text, uint32_t vcpus[XENRES_TRACED_VCPUS_MAX], size_t *count,
                       char usage[USAGE_MAX_BYTES])
{
    bool is_in[XENRES_TRACED_VCPUS_MAX] = { false };

    *count = 0;
    if (strcmp(text, "all") == 0) {
        return true;
    }
    for (const char *at = text; *at != '\0';) {
        char first_text[16], last_text[16] = "";
        int len = 0;
        uint32_t first, last;

        if (sscanf(at, "%15[0-9]%n", first_text, &len) != 1) {
            return refuse(usage, "--vcpu is a list as 0,2-3, or all; not", text);
        }
        at += len;
        if (*at == '-' && sscanf(at, "-%15[0-9]%n", last_text, &len) == 1) {
            at += len;
        }
        if (!arguments_number("--vcpu", first_text, XENRES_TRACED_VCPUS_MAX - 1, &first, usage) ||
            !arguments_number("--vcpu", last_text[0] != '\0' ? last_text : first_text,
                              XENRES_TRACED_VCPUS_MAX - 1, &last, usage)) {
            return false;
        }
        if (first > last || (*at != '\0' && *at != ',') || (*at == ',' && at[1] == '\0')) {
            return refuse(usage, "--vcpu is a list as 0,2-3, or all; not", text);
        }
        for (uint32_t i = first; i <= last; i++) {
            is_in[i] = true;
        }
        at += *at == ',';
    }
    for (uint32_t i = 0; i < XENRES_TRACED_VCPUS_MAX; i++) {
        vcpus[*count] = i;
        *count += is_in[i];
    }
    return *count > 0 || refuse(usage, "--vcpu names none:", text);
}

static bool take_action(const struct arguments *a, struct trace_arguments *out,
                        char usage[USAGE_MAX_BYTES])
{
    static const char *const names[] = { "start", "list", "status", "stop", "record", "packets" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        out->action |= strcmp(names[i], a->operands[0]) == 0 ? 1u << i : 0;
    }
    if (out->action == 0) {
        choices_refuse("what to do", actions, a->operands[0], usage);
        return false;
    }
    out->operand = a->operand_count > 1 ? a->operands[1] : NULL;
    if ((out->operand == NULL) != (out->action == IS_LIST)) {
        return refuse(usage, a->operands[0],
                      out->action == IS_LIST      ? "takes no operand"
                      : out->action == IS_PACKETS ? "needs the folder of a recording"
                                                  : "needs a DOMAIN");
    }
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        if (arguments_value(a, allowed[i].name) != NULL && (allowed[i].of & out->action) == 0) {
            (void)snprintf(usage, USAGE_MAX_BYTES, "%s takes no --%s", a->operands[0],
                           allowed[i].name);
            return false;
        }
    }
    return true;
}

static bool take_start(const struct arguments *a, struct trace_arguments *out,
                       char usage[USAGE_MAX_BYTES])
{
    xenres_trace_options *o = &out->record.start;
    const char *vcpus = arguments_value(a, "vcpu"), *budget = arguments_value(a, "budget");
    const char *lease = arguments_value(a, "lease");

    *o = (xenres_trace_options)XENRES_TRACE_OPTIONS_INIT(out->operand);
    o->os = arguments_value(a, "os") != NULL;
    o->user = arguments_value(a, "user") != NULL;
    o->no_tsc = arguments_value(a, "no-tsc") != NULL;
    o->no_retc = arguments_value(a, "no-retc") != NULL;
    o->takeover = arguments_value(a, "takeover") != NULL;
    if (vcpus != NULL && !take_vcpus(vcpus, out->vcpus, &o->vcpu_count, usage)) {
        return false;
    }
    o->vcpus = o->vcpu_count > 0 ? out->vcpus : NULL;
    return (budget == NULL ||
            arguments_number("--budget", budget, BUDGET_MAX, &o->pauses_per_second, usage)) &&
           (lease == NULL ||
            arguments_duration("--lease", lease, LEASE_MAX_MS, &o->lease_ms, usage));
}

static bool take_record(const struct arguments *a, struct trace_arguments *out,
                        char usage[USAGE_MAX_BYTES])
{
    static const char *const of_start[] = { "vcpu",    "os",     "user",  "no-tsc",
                                            "no-retc", "budget", "lease", "takeover" };
    struct trace_record_options *r = &out->record;
    const char *duration = arguments_value(a, "duration");

    r->folder = arguments_value(a, "output");
    r->resume = arguments_value(a, "resume") != NULL;
    if (out->action == IS_RECORD && r->folder == NULL) {
        return refuse(usage, "record", "needs --output DIR");
    }
    for (size_t i = 0; r->resume && i < sizeof(of_start) / sizeof(of_start[0]); i++) {
        if (arguments_value(a, of_start[i]) != NULL) {
            (void)snprintf(usage, USAGE_MAX_BYTES,
                           "--resume goes on with the trace as it is: no --%s", of_start[i]);
            return false;
        }
    }
    return duration == NULL ||
           arguments_duration("--duration", duration, DURATION_MAX_MS, &r->duration_ms, usage);
}

/* --- what is one call --- */

static int start(const struct cli *cli, xenres *handle, const struct trace_arguments *a)
{
    CLI_REPLY reply = NULL;
    const xenres_trace *trace;
    xenres_error error;
    bool joined;

    if (xenres_trace_start(handle, &a->record.start, &trace, &joined, &reply, &error) != 0) {
        return report_error(&error);
    }
    if (joined) {
        report_note("it ran already: its lease begins anew");
    }
    return cli->format == CLI_FORMAT_JSON ? json_show_reply(reply) : trace_show_one(trace);
}

static int stop(const struct cli *cli, xenres *handle, const struct trace_arguments *a)
{
    CLI_REPLY reply = NULL;
    const xenres_trace *trace;
    xenres_error error;

    if (xenres_trace_stop(handle, a->operand, NULL, &trace, &reply, &error) != 0) {
        return report_error(&error);
    }
    return cli->format == CLI_FORMAT_JSON ? json_show_reply(reply) : trace_show_one(trace);
}

static int show_status(const struct cli *cli, xenres *handle, const struct trace_arguments *a)
{
    CLI_REPLY reply = NULL;
    const xenres_trace_status *status;
    xenres_error error;

    if (xenres_trace_get(handle, a->operand, &status, &reply, &error) != 0) {
        return report_error(&error);
    }
    return cli->format == CLI_FORMAT_JSON ? json_show_reply(reply) : trace_show_status(status);
}

static int list(const struct cli *cli, xenres *handle)
{
    CLI_REPLY reply = NULL;
    const xenres_traces *traces;
    xenres_error error;

    if (xenres_trace_list(handle, &traces, &reply, &error) != 0) {
        return report_error(&error);
    }
    return cli->format == CLI_FORMAT_JSON ? json_show_reply(reply) : trace_show_list(traces);
}

static int call(const struct cli *cli, const struct trace_arguments *a)
{
    int status = 0;
    CLI_HANDLE handle = cli_connect(cli, &status);

    if (handle == NULL) {
        return status;
    }
    switch (a->action) {
    case IS_START: return start(cli, handle, a);
    case IS_STATUS: return show_status(cli, handle, a);
    case IS_STOP: return stop(cli, handle, a);
    default: return list(cli, handle);
    }
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    struct trace_arguments a = { .action = 0 };
    char usage[USAGE_MAX_BYTES];

    if (!take_action(arguments, &a, usage) || !take_start(arguments, &a, usage) ||
        !take_record(arguments, &a, usage)) {
        return report_usage(cli->verb->name, usage);
    }
    if (a.action == IS_PACKETS) {
        const struct trace_packets_options p = {
            .folder = a.operand,
            .vcpus = a.record.start.vcpus,
            .vcpu_count = a.record.start.vcpu_count,
            .has_stats = arguments_value(arguments, "stats") != NULL,
            .is_json = cli->format == CLI_FORMAT_JSON,
        };

        return trace_packets_run(&p);
    }
    return a.action == IS_RECORD ? trace_record_run(cli, &a.record) : call(cli, &a);
}

const struct verb verb_trace = {
    .name = "trace",
    .operands = "start|list|status|stop|record|packets [DOMAIN]",
    .operands_min = 1,
    .operands_max = 2,
    .summary = "what a domain executes: Intel PT, started, recorded, decoded",
    .description =
        "start DOMAIN     begins to trace it; the trace ends when nobody reads it for its lease\n"
        "list             the traces that you may see\n"
        "status DOMAIN    its trace: who, what, how full the rings are, what is lost\n"
        "stop DOMAIN      ends it\n"
        "record DOMAIN    begins where it is not traced, and writes all of it into a folder:\n"
        "                 vcpuN.pt and manifest.json; what it began it stops in the end\n"
        "packets DIR      the packets of a recording, one a line\n"
        "\n"
        "Whether a recording is complete, \"xenres verify DIR\" says. Bytes that are lost are "
        "told\n"
        "with their place and reason, and make the exit status of record 25, as does a\n"
        "recording that was cut off before the trace ended.",
    .options = options,
    .run = run,
};
