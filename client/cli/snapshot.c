/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenres snapshot: the frames as they are. Bytes where they are piped or kept, a hex view on a
 * terminal, JSON when asked for. Bytes and hex come by the raw endpoint, piece by piece; JSON by
 * GetSnapshot, because it is that message.
 */
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/operands.h"
#include "client/cli/progress.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

enum { HEX_PIECE_BYTES = 16 * 1024 }; /* of frames, turned to text at once */

static const struct option options[] = {
    { .name = "first", .argument = "N", .help = "the first frame; 0 unless given" },
    { .name = "count",
      .argument = "M",
      .help = "how many frames; all that are in use unless given" },
    { .name = "output",
      .argument = "FILE",
      .help = "write the bytes (with -o json the document) to FILE" },
    { 0 },
};

struct sink {
    struct output *output;
    bool as_hex;
    struct render_hex hex;
    struct buffer text;
    struct progress progress;
    int status; /* not 0: reported, and the exit status */
};

static int begin(void *arg, const xenres_frames *frames)
{
    struct sink *sink = arg;

    if (sink->as_hex) {
        render_identity(&sink->text, &frames->domain);
        render_observation(&sink->text, &frames->observation);
        sink->hex.offset =
            (uint64_t)frames->observation.first_frame * frames->observation.frame_bytes;
        sink->status = output_text(sink->output, &sink->text);
    }
    return sink->status;
}

static int data(void *arg, const void *bytes, size_t len_bytes)
{
    struct sink *sink = arg;
    const uint8_t *at = bytes;

    if (!sink->as_hex) {
        sink->status = output_write(sink->output, bytes, len_bytes);
        return sink->status;
    }
    while (len_bytes > 0 && sink->status == 0) {
        size_t taken = len_bytes < HEX_PIECE_BYTES ? len_bytes : HEX_PIECE_BYTES;

        render_hex(&sink->hex, &sink->text, at, taken);
        sink->status = output_text(sink->output, &sink->text);
        at += taken;
        len_bytes -= taken;
    }
    return sink->status;
}

static int progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct sink *sink = arg;

    /* Beside a hex view that scrolls on the same terminal it would be in the way. */
    if (!sink->as_hex) {
        progress_update(&sink->progress, done_bytes, total_bytes);
    }
    return 0;
}

static int fetch(xenres *handle, const xenres_frames_query *query, struct sink *sink)
{
    const xenres_frames_sink callbacks = { .size = sizeof(callbacks),
                                           .begin = begin,
                                           .data = data,
                                           .progress = progress,
                                           .arg = sink,
                                           .fd = -1 };
    CLI_REPLY reply = NULL;
    const xenres_frames *frames;
    xenres_error error;

    progress_begin(&sink->progress);
    int result = xenres_read_frames(handle, query, &callbacks, &reply, &frames, &error);

    progress_end(&sink->progress);
    if (sink->status != 0) {
        return sink->status; /* ours, reported already; the library's is that we gave up */
    }
    if (result != 0) {
        return report_error(&error);
    }
    if (sink->as_hex) {
        render_hex_end(&sink->hex, &sink->text);
        return output_text(sink->output, &sink->text);
    }
    return 0;
}

static int fetch_json(xenres *handle, const xenres_frames_query *query, struct output *output)
{
    CLI_REPLY reply = NULL;
    BUFFER_AUTO(document, (size_t)1 << 31);
    const xenres_snapshot *snapshot;
    xenres_error error;

    if (xenres_get_snapshot(handle, query, &reply, &snapshot, &error) != 0) {
        return report_error(&error);
    }
    int status = json_append_reply(&document, reply, true);

    if (status == 0) {
        buffer_append_byte(&document, '\n');
        status = output_text(output, &document);
    }
    return status;
}

static int take_query(const struct arguments *arguments, xenres_frames_query *query,
                      char usage[USAGE_MAX_BYTES])
{
    const char *first = arguments_value(arguments, "first");
    const char *count = arguments_value(arguments, "count");

    query->domain = arguments->operands[0];
    return operand_type(arguments->operands[1], &query->type, usage) &&
           (arguments->operand_count < 3 ||
            arguments_number("ID", arguments->operands[2], UINT32_MAX, &query->id, usage)) &&
           (first == NULL ||
            arguments_number("--first", first, UINT32_MAX, &query->first_frame, usage)) &&
           (count == NULL ||
            arguments_number("--count", count, XENRES_ALL - 1, &query->frame_count, usage));
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    xenres_frames_query query = XENRES_FRAMES_QUERY_INIT(NULL, 0, 0);
    char usage[USAGE_MAX_BYTES];
    int status = 0;

    if (!take_query(arguments, &query, usage)) {
        return report_usage(cli->verb->name, usage);
    }
    CLI_HANDLE handle = cli_connect(cli, &status);
    OUTPUT_AUTO output = { .fd = -1 };

    if (handle == NULL) {
        return status;
    }
    status = output_open(&output, arguments_value(arguments, "output"));
    if (status == 0 && cli->format == CLI_FORMAT_JSON) {
        status = fetch_json(handle, &query, &output);
    } else if (status == 0) {
        struct sink sink = {
            .output = &output,
            .as_hex = cli->format == CLI_FORMAT_TABLE || output_is_terminal(&output),
        };

        buffer_init(&sink.text, TABLE_MAX_BYTES);
        status = fetch(handle, &query, &sink);
        buffer_done(&sink.text);
    }
    return status == 0 ? output_commit(&output) : status;
}

const struct verb verb_snapshot = {
    .name = "snapshot",
    .operands = "DOMAIN TYPE [ID]",
    .operands_min = 2,
    .operands_max = 3,
    .summary = "frames as they are: bytes, or a hex view",
    .description = "Fetches frames of a resource: ioreq_server, grant_table, vmtrace_buf,\n"
                   "vcpu_stats; ID is 0 unless given. Prints bytes, but a hex view on a terminal\n"
                   "or with -o table, where equal lines are folded to a '*'. FILE appears only\n"
                   "when all of it is there.",
    .options = options,
    .run = run,
};
