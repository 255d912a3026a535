/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/watching.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/attendant.h"
#include "client/cli/lines.h"
#include "client/cli/names.h"
#include "client/cli/recorder.h"
#include "client/cli/report.h"
#include "client/cli/request.h"
#include "client/cli/wording.h"
#include "common/clock.h"
#include "common/scope.h"

enum showing { SHOW_NOTHING, SHOW_LINES, SHOW_JSON, SHOW_LIVE };

struct watching {
    struct teller teller; /* the callbacks' argument */
    xenres_watch_sink told;
    xenres_domains_sink told_domains;
    enum showing showing;
    enum recording_stream stream;
    struct output output;
    struct lines lines;
    struct board *board;
    struct recorder recorder;
    struct attendant attendant;
    uint64_t wall_ns; /* when what is told now came */
    uint64_t gaps, lost;
    bool has_ended;
    uint32_t end_reason;
};

static struct watching *of_teller(void *arg)
{
    return (struct watching *)((char *)arg - offsetof(struct watching, teller));
}

static const char *unit_of(const struct watching *w)
{
    return w->stream == RECORDING_OF_RESOURCE ? "batch" : "event";
}

/* --- to the live view --- */

static int live_change(void *arg, const struct teller_change *change)
{
    struct watching *w = arg;

    board_change(w->board, change, clock_monotonic_ns(), w->wall_ns);
    return 0;
}

static int live_notice(void *arg, enum teller_notice notice, const char *text)
{
    struct watching *w = arg;

    board_notice(w->board, notice, text);
    return 0;
}

static int live_flush(void *arg, const struct teller_sums *sums)
{
    struct watching *w = arg;

    board_sums(w->board, sums, w->teller.unit);
    return 0;
}

static int live_alive(void *arg, const xenres_watch_heartbeat *heartbeat)
{
    struct watching *w = arg;

    board_alive(w->board, heartbeat, w->wall_ns);
    return 0;
}

/* --- callbacks: what is recorded, counted or told beside what the teller does --- */

static int on_raw(void *arg, const void *message, size_t len_bytes)
{
    struct watching *w = of_teller(arg);

    w->wall_ns = clock_wall_ns();
    if (recorder_message(&w->recorder, w->wall_ns, message, len_bytes) != 0) {
        return -1;
    }
    if (w->showing != SHOW_JSON) {
        return 0;
    }
    w->teller.status = lines_message(&w->lines, w->stream, message, len_bytes);
    return w->teller.status;
}

/* What no message tells of is a note where messages are shown. */
static void note_gap(const struct watching *w, const xenres_watch_gap *gap)
{
    BUFFER_AUTO(text, 512);

    wording_gap(&text, unit_of(w), gap);
    report_note("lost: %s", buffer_string(&text));
}

static int on_gap(void *arg, const xenres_watch_gap *gap)
{
    struct watching *w = of_teller(arg);
    bool is_found = gap->reason >= XENRES_GAP_INTERRUPTED;

    w->gaps++;
    w->lost += gap->first_sequence != 0 && gap->first_sequence <= gap->sequence
                   ? gap->sequence - gap->first_sequence + 1
                   : 0;
    if (is_found) {
        w->wall_ns = clock_wall_ns();
    }
    if (is_found && recorder_gap(&w->recorder, w->wall_ns, gap) != 0) {
        return -1;
    }
    if (is_found && w->showing == SHOW_JSON) {
        note_gap(w, gap);
    }
    return w->told.gap != NULL ? w->told.gap(arg, gap) : 0;
}

static int on_checkpoint(void *arg, const xenres_watch_checkpoint *checkpoint)
{
    (void)checkpoint;
    return recorder_checkpoint(&of_teller(arg)->recorder);
}

static int on_interrupted(void *arg, const xenres_watch_interruption *interruption)
{
    struct watching *w = of_teller(arg);
    BUFFER_AUTO(text, RECORDING_NOTE_MAX_BYTES);

    w->wall_ns = clock_wall_ns();
    wording_interruption(&text, interruption);
    const char *why = text.failed ? "the stream was cut" : buffer_string(&text);

    if (recorder_interrupted(&w->recorder, w->wall_ns,
                             interruption->error != NULL ? interruption->error->code : 0,
                             why) != 0) {
        return -1;
    }
    if (w->showing == SHOW_JSON || w->showing == SHOW_NOTHING) {
        report_note("%s", why);
    }
    return w->told.interrupted != NULL ? w->told.interrupted(arg, interruption) : 0;
}

static int on_end(void *arg, const xenres_watch_end *end)
{
    struct watching *w = of_teller(arg);

    w->has_ended = true;
    w->end_reason = end->reason;
    return w->told.end != NULL ? w->told.end(arg, end) : 0;
}

static int run_resource(struct watching *w, xenres *handle, const xenres_watch_query *query,
                        xenres_error *error)
{
    xenres_watch_sink sink = w->told;

    sink.raw = on_raw;
    sink.gap = on_gap;
    sink.checkpoint = on_checkpoint;
    sink.interrupted = on_interrupted;
    sink.end = on_end;
    sink.arg = &w->teller;
    return xenres_watch(handle, query, &sink, error);
}

static int run_domains(struct watching *w, xenres *handle, const xenres_watch_query *query,
                       xenres_error *error)
{
    xenres_domains_watch_query domains = XENRES_DOMAINS_WATCH_QUERY_INIT;
    xenres_domains_sink sink = w->told_domains;

    domains.cursor = query->cursor;
    domains.feed = query->feed;
    domains.sequence = query->sequence;
    sink.raw = on_raw;
    sink.gap = on_gap;
    sink.checkpoint = on_checkpoint;
    sink.interrupted = on_interrupted;
    sink.end = on_end;
    sink.arg = &w->teller;
    return xenres_watch_domains(handle, &domains, &sink, error);
}

/* --- what is made ready --- */

static enum showing choose_showing(const struct cli *cli, const struct watching_options *options)
{
    const char *term = getenv("TERM");
    bool can_be_live =
        isatty(STDOUT_FILENO) == 1 && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;

    switch (cli->format) {
    case CLI_FORMAT_JSON: return SHOW_JSON;
    case CLI_FORMAT_TABLE: return SHOW_LINES;
    default: break;
    }
    if (can_be_live) {
        return SHOW_LIVE;
    }
    return options->output != NULL ? SHOW_NOTHING : SHOW_LINES;
}

/* `out` outlives the teller. */
static int prepare_showing(struct watching *w, struct teller_out *out)
{
    *out = lines_out(&w->lines);
    if (w->showing == SHOW_LIVE) {
        w->board = malloc(sizeof(*w->board));
        if (w->board == NULL) {
            return report_no_memory();
        }
        board_init(w->board, clock_monotonic_ns());
        *out = (struct teller_out){ live_change, live_notice, live_flush, live_alive, w };
    }
    if (w->showing == SHOW_LIVE || w->showing == SHOW_LINES) {
        w->told = teller_sink(&w->teller);
        w->told_domains = teller_domains_sink(&w->teller);
    }
    w->attendant.has_reader = w->showing == SHOW_LINES || w->showing == SHOW_JSON;
    int status = output_open(&w->output, NULL);

    w->output.is_endless = true;
    return status;
}

/* Not to know of which host it is harms nothing else. */
static void ask_host(struct watching *w, xenres *handle)
{
    CLI_REPLY reply = NULL;
    const xenres_host *host;
    size_t len_bytes;

    if (xenres_get_host(handle, &reply, &host, NULL) == 0) {
        const void *message = xenres_reply_message(reply, &len_bytes, NULL);

        buffer_append(&w->recorder.host, message, len_bytes);
    }
}

static int open_recorder(struct watching *w, const struct watching_options *options,
                         xenres_watch_query *query)
{
    struct recorder *r = &w->recorder;
    struct failure f = { 0 };
    int result = recorder_open(r, options->output, w->stream, options->resume, &f);

    if (result == 0 && w->stream == RECORDING_OF_RESOURCE) {
        result = request_check(&r->recorded_request, query, r->writer.path, &f);
    }
    if (result != 0) {
        return report_failure(&f);
    }
    if (!r->is_new) {
        query->cursor = recorder_cursor(r);
        query->feed = recorder_feed(r, &query->sequence);
        query->incarnation = r->ledger.incarnation[0] != '\0' ? r->ledger.incarnation : NULL;
    }
    result = w->stream == RECORDING_OF_RESOURCE ? request_pack(query, &r->request)
                                                : request_pack_domains(query->cursor, &r->request);
    return result == 0 ? 0 : report_no_memory();
}

/* --- how it ends --- */

/* A watch that ends with what it is of has come to its end. */
static int status_of_end(uint32_t reason)
{
    switch (reason) {
    case XENRES_END_RENAMED: return error_exit_status(ERROR_ABORTED);
    case XENRES_END_SAMPLING_FAILED: return error_exit_status(ERROR_FAILED_PRECONDITION);
    case XENRES_END_PERMISSION_WITHDRAWN: return error_exit_status(ERROR_PERMISSION_DENIED);
    case XENRES_END_CREDENTIALS_EXPIRED: return error_exit_status(ERROR_UNAUTHENTICATED);
    case XENRES_END_MAPPER_GONE:
    case XENRES_END_SHUTTING_DOWN: return error_exit_status(ERROR_UNAVAILABLE);
    default: return 0;
    }
}

static const char reader_left[] = "its reader has left";

/* Reports what is to be reported. `code` and `why`: for the recording. */
static int conclude(struct watching *w, int result, const xenres_error *error, bool was_ended,
                    uint32_t *code, const char **why)
{
    struct name_room room;

    *code = 0;
    if (w->recorder.failure.code != 0) {
        return report_failure(&w->recorder.failure);
    }
    if (w->output.reader_left) {
        *why = reader_left;
        return 0;
    }
    if (w->teller.status != 0) {
        *code = XENRES_INTERNAL;
        *why = "what came could not be shown";
        return w->teller.status > 0 ? w->teller.status : report_error(&w->teller.error);
    }
    if (result == 0) {
        *why = w->has_ended ? name_end_reason(w->end_reason, &room) : "the watch ended";
        return w->has_ended ? status_of_end(w->end_reason) : 0;
    }
    if (was_ended && error->code == XENRES_CANCELED) {
        *why = atomic_load(&w->attendant.reader_left) ? reader_left : "ended by a signal";
        return 0;
    }
    *code = error->code;
    *why = error->message;
    return report_error(error);
}

static void tell_sums(struct watching *w)
{
    BUFFER_AUTO(text, 1024);

    if (w->board != NULL) {
        board_summary(w->board, &text, clock_monotonic_ns());
        report_note("%s", buffer_string(&text));
    } else if (w->gaps > 0) {
        wording_lost(&text, unit_of(w), w->gaps, w->lost);
        report_note("%s", buffer_string(&text));
    }
}

static int follow(struct watching *w, xenres *handle, const xenres_watch_query *query)
{
    struct failure f = { 0 };
    xenres_error error = { 0 };
    uint32_t code;
    const char *why = "";

    if (w->recorder.is_on) {
        ask_host(w, handle);
    }
    if (attendant_start(&w->attendant, handle, w->board, &f) != 0) {
        return report_failure(&f);
    }
    int result = w->stream == RECORDING_OF_RESOURCE ? run_resource(w, handle, query, &error)
                                                    : run_domains(w, handle, query, &error);
    bool was_ended = attendant_stop(&w->attendant);
    int status = conclude(w, result, &error, was_ended, &code, &why);

    tell_sums(w);
    if (w->recorder.failure.code == 0 &&
        recorder_close(&w->recorder, clock_wall_ns(), code, why) != 0) {
        return report_failure(&w->recorder.failure);
    }
    return status;
}

static int prepare_and_follow(struct watching *w, struct cli *cli,
                              const struct watching_options *options)
{
    xenres_watch_query query = options->query;
    struct teller_out out;
    int status = 0;

    attendant_prepare(&w->attendant);
    CLI_HANDLE handle = cli_connect(cli, &status);

    if (handle == NULL) {
        return status;
    }
    teller_init(&w->teller, &out);
    lines_init(&w->lines, &w->output, &w->wall_ns);
    status = prepare_showing(w, &out);
    if (status == 0 && options->output != NULL) {
        status = open_recorder(w, options, &query);
    }
    if (status == 0) {
        status = follow(w, handle, &query);
    }
    return status == 0 ? output_commit(&w->output) : status;
}

int watching_run(struct cli *cli, const struct watching_options *options)
{
    SCOPE_FREE struct watching *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        return report_no_memory();
    }
    w->recorder.writer.fd = -1;
    w->output.fd = -1;
    w->stream = options->of_domains ? RECORDING_OF_DOMAINS : RECORDING_OF_RESOURCE;
    w->showing = choose_showing(cli, options);
    w->told = (xenres_watch_sink)XENRES_WATCH_SINK_INIT;
    w->told_domains = (xenres_domains_sink)XENRES_DOMAINS_SINK_INIT;
    int status = prepare_and_follow(w, cli, options);

    recorder_done(&w->recorder);
    teller_done(&w->teller);
    lines_done(&w->lines);
    output_abandon(&w->output);
    if (w->board != NULL) {
        board_done(w->board);
        free(w->board);
    }
    return status;
}
