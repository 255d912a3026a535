/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres replay: a recording, printed as watch prints what it is of; or made into a scenario. */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/cli.h"
#include "client/cli/lines.h"
#include "client/cli/player.h"
#include "client/cli/report.h"
#include "client/cli/scenario_files.h"

enum { OPTION_TO_SCENARIO, OPTION_OUTPUT, OPTIONS_END };

static const struct option options[] = {
    [OPTION_TO_SCENARIO] = { .name = "to-scenario",
                             .help = "write a scenario that xenresd-mapper-sim serves: "
                                     "NAME.scenario, and NAME.play with its content" },
    [OPTION_OUTPUT] = { .name = "output",
                        .argument = "FILE",
                        .help = "the NAME of these two; the recording's unless given" },
    [OPTIONS_END] = { 0 },
};

struct replay {
    struct player player;
    struct ledger ledger;
    struct teller teller;
    struct lines lines;
    enum recording_stream stream;
};

static int on_raw(void *arg, const void *message, size_t len_bytes)
{
    struct replay *r = arg;

    return lines_message(&r->lines, r->stream, message, len_bytes);
}

static int on_event(void *arg, const struct recording_record *record,
                    const struct recording_note *note)
{
    struct replay *r = arg;

    return note != NULL && record->kind == RECORDING_INTERRUPTED
               ? teller_tell_cut(&r->teller, note->text)
               : 0;
}

static void on_flaw(void *arg, const struct player_flaw *flaw)
{
    (void)arg;
    report_note("at byte %" PRIu64 " of the recording something is damaged or missing: "
                "\"xenres verify\" tells what",
                flaw->offset_bytes);
}

static int play(struct replay *r, struct recording_reader *reader, bool as_json)
{
    struct failure f = { 0 };
    xenres_watch_sink sink = XENRES_WATCH_SINK_INIT;
    xenres_domains_sink domains = XENRES_DOMAINS_SINK_INIT;

    if (as_json) {
        sink.raw = on_raw;
        sink.arg = r;
        domains.raw = on_raw;
        domains.arg = r;
    } else {
        sink = teller_sink(&r->teller);
        domains = teller_domains_sink(&r->teller);
        r->player.event = on_event;
    }
    r->player.sink = &sink;
    r->player.domains = &domains;
    int status = player_run(&r->player, reader, &f);

    if (status < 0) {
        return r->teller.status < 0 ? report_error(&r->teller.error) : report_failure(&f);
    }
    if (status == 0 && r->player.flaws > 0) {
        return error_exit_status(ERROR_DATA_LOSS);
    }
    return status;
}

static int print(struct recording_reader *reader, bool as_json)
{
    OUTPUT_AUTO output = { .fd = -1 };
    struct replay r = { .stream = reader->stream };
    int status = output_open(&output, NULL);

    if (status != 0) {
        return status;
    }
    output.is_endless = true;
    ledger_init(&r.ledger, NULL, NULL);
    r.player = (struct player){ .ledger = &r.ledger, .flaw = on_flaw, .arg = &r };
    lines_init(&r.lines, &output, &r.player.wall_ns);
    struct teller_out out = lines_out(&r.lines);

    teller_init(&r.teller, &out);
    status = play(&r, reader, as_json);
    teller_done(&r.teller);
    lines_done(&r.lines);
    if (output.reader_left) {
        return 0;
    }
    return status == 0 ? output_commit(&output) : status;
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    RECORDING_READER_AUTO reader = { 0 };
    const char *path = arguments->operands[0];
    const char *name = arguments_value(arguments, options[OPTION_OUTPUT].name);
    bool to_scenario = arguments_value(arguments, options[OPTION_TO_SCENARIO].name) != NULL;
    struct failure f = { 0 };

    if (name != NULL && !to_scenario) {
        return report_usage(cli->verb->name, "--output is for --to-scenario");
    }
    if (recording_reader_open_path(&reader, path, &f) != 0) {
        return report_failure(&f);
    }
    return to_scenario ? scenario_files_write(&reader, name != NULL ? name : path)
                       : print(&reader, cli->format == CLI_FORMAT_JSON);
}

const struct verb verb_replay = {
    .name = "replay",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "a recording, printed again; or a scenario made of it",
    .description =
        "Prints a recording of \"xenres watch --output\" as watch would have printed it, without\n"
        "asking a gateway. With --to-scenario, writes what the simulator needs to serve it.",
    .options = options,
    .run = run,
};
