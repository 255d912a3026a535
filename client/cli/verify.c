/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres verify: what a recording lacks, as a table or as JSON. */
#include <inttypes.h>
#include <sys/stat.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/names.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "client/cli/trace_files.h"
#include "client/cli/trace_show.h"
#include "client/cli/verification.h"
#include "client/cli/wording.h"
#include "common/clock.h"
#include "common/scope.h"
#include "proto/json/scalar.h"
#include "proto/json/time_text.h"

static const char *unit_of(const struct verification *v)
{
    return v->stream == RECORDING_OF_RESOURCE ? "batch" : "event";
}

static const char *title_of(struct verification *v)
{
    const char *title = buffer_string(&v->title);

    return title != NULL && title[0] != '\0'    ? title
           : v->stream == RECORDING_OF_RESOURCE ? "a resource"
                                                : "domains";
}

static bool has_numbers(const struct verification_finding *f)
{
    return f->first != 0 || f->last != 0;
}

/* The reason's name; "" where there is none. */
static const char *reason_of(const struct verification_finding *f, struct name_room *room)
{
    if (f->kind == VERIFICATION_GAP) {
        return name_gap_reason(f->reason, room);
    }
    return f->kind == VERIFICATION_TAIL ? name_end_reason(f->reason, room) : "";
}

/* --- table --- */

static void append_what(struct buffer *out, const struct verification *v,
                        const struct verification_finding *f)
{
    if (f->kind == VERIFICATION_RECORDS_MISSING) {
        wording_numbers(out, "record", f->first, f->last);
    } else if (has_numbers(f) || f->kind == VERIFICATION_GAP || f->kind == VERIFICATION_NEW_FEED) {
        wording_numbers(out, unit_of(v), f->first, f->last);
    } else if (f->len_bytes > 0) {
        buffer_printf(out, "%" PRIu64 " bytes from byte %" PRIu64, f->len_bytes, f->offset_bytes);
    } else {
        buffer_printf(out, "at byte %" PRIu64, f->offset_bytes);
    }
    if (f->at_least && has_numbers(f)) {
        buffer_append_string(out, ", at least");
    }
    if (f->blocks > 0) {
        buffer_printf(out, " (%" PRIu64 " changed blocks)", f->blocks);
    }
}

static void add_finding(struct table *t, const struct verification *v,
                        const struct verification_finding *f)
{
    BUFFER_AUTO(what, 1024);
    BUFFER_AUTO(when, 128);
    struct name_room room;
    const char *reason = reason_of(f, &room);

    append_what(&what, v, f);
    render_time(&when, f->seconds, f->nanoseconds);
    table_painted(t, PAINT_BAD, verification_kind_name(f->kind));
    table_cell(t, "%s", buffer_string(&what));
    table_cell(t, "%s", buffer_string(&when));
    table_cell(t, "%s%s%s", reason, reason[0] != '\0' ? ", " : "", f->detail);
}

static void append_span(struct buffer *out, const struct verification *v)
{
    const struct player *p = &v->player;

    if (p->records == 0) {
        return;
    }
    buffer_append_string(out, "recorded from ");
    render_time(out, (int64_t)(p->first_wall_ns / CLOCK_NS_PER_S),
                (uint32_t)(p->first_wall_ns % CLOCK_NS_PER_S));
    buffer_append_string(out, " to ");
    render_time(out, (int64_t)(p->last_wall_ns / CLOCK_NS_PER_S),
                (uint32_t)(p->last_wall_ns % CLOCK_NS_PER_S));
    buffer_append_byte(out, '\n');
}

static void append_sums(struct buffer *out, const struct verification *v)
{
    const struct ledger *l = &v->ledger;
    const struct player *p = &v->player;
    struct name_room room;

    buffer_printf(out, "%" PRIu64 " ", l->delivered);
    wording_unit(out, unit_of(v), l->delivered);
    buffer_printf(out, " delivered, %" PRIu64 " told as lost in %" PRIu64 " ", l->lost, l->gaps);
    wording_unit(out, "gap", l->gaps);
    buffer_printf(out, ", %" PRIu64 " missing without a word\n", l->undeclared);
    buffer_printf(out, "%" PRIu64 " messages of %" PRIu64 " ", l->messages, l->streams);
    wording_unit(out, "stream", l->streams);
    buffer_printf(out, ", %" PRIu64 " ", p->interruptions);
    wording_unit(out, "interruption", p->interruptions);
    buffer_append_byte(out, '\n');
    if (p->unknown_records > 0) {
        buffer_printf(out, "%" PRIu64 " records are of a kind that this xenres does not know\n",
                      p->unknown_records);
    }
    if (l->has_ended) {
        buffer_printf(out, "the watch ended: %s\n", name_end_reason(l->end_reason, &room));
    }
    if (p->is_closed) {
        buffer_append_string(out, "closed: ");
        render_safe(out, p->closed.text);
        buffer_append_byte(out, '\n');
    }
}

static int show_table(struct verification *v)
{
    TABLE_AUTO table;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    buffer_printf(&text, "%s\n", title_of(v));
    append_span(&text, v);
    append_sums(&text, v);
    table_init(&table, "MISSING|WHAT|WHEN|WHY");
    for (size_t i = 0; i < v->finding_count; i++) {
        add_finding(&table, v, &v->findings[i]);
    }
    if (v->finding_count > 0) {
        table_render(&table, render_columns(), &text);
    }
    if (v->left_off > 0) {
        buffer_printf(&text, "and %" PRIu64 " more\n", v->left_off);
    }
    buffer_printf(&text, "complete: %s\n", verification_is_complete(v) ? "yes" : "no");
    return output_print(&text);
}

/* --- JSON: of our own, in the API's style: 64-bit numbers are strings --- */

static void member_text(struct buffer *out, const char *indent, const char *name, const char *value)
{
    buffer_printf(out, "%s\"%s\": ", indent, name);
    if (!scalar_print_string(out, value)) {
        buffer_append_string(out, "\"\"");
    }
}

static void member_number(struct buffer *out, const char *indent, const char *name, uint64_t value)
{
    buffer_printf(out, "%s\"%s\": \"%" PRIu64 "\"", indent, name, value);
}

static void member_bool(struct buffer *out, const char *indent, const char *name, bool value)
{
    buffer_printf(out, "%s\"%s\": %s", indent, name, value ? "true" : "false");
}

static void append_finding(struct buffer *out, const struct verification_finding *f)
{
    static const char indent[] = ",\n      ";
    struct name_room room;

    member_text(out, "    {\n      ", "kind", verification_kind_name(f->kind));
    member_text(out, indent, "reason", reason_of(f, &room));
    member_number(out, indent,
                  f->kind == VERIFICATION_RECORDS_MISSING ? "firstRecord" : "firstSequence",
                  f->first);
    member_number(out, indent, f->kind == VERIFICATION_RECORDS_MISSING ? "lastRecord" : "sequence",
                  f->last);
    member_bool(out, indent, "atLeast", f->at_least);
    member_number(out, indent, "blocks", f->blocks);
    buffer_printf(out, "%s\"time\": ", indent);
    if (!time_text_print_timestamp(out,
                                   (struct time_text){ f->seconds, (int32_t)f->nanoseconds })) {
        buffer_append_string(out, "null");
    }
    member_number(out, indent, "offsetBytes", f->offset_bytes);
    member_number(out, indent, "lengthBytes", f->len_bytes);
    member_text(out, indent, "detail", f->detail);
    buffer_append_string(out, "\n    }");
}

static int show_json(struct verification *v)
{
    static const char indent[] = ",\n  ";
    BUFFER_AUTO(out, TABLE_MAX_BYTES);
    struct name_room room;

    member_bool(&out, "{\n  ", "complete", verification_is_complete(v));
    member_text(&out, indent, "of", title_of(v));
    member_text(&out, indent, "feed", v->ledger.feed);
    member_number(&out, indent, "delivered", v->ledger.delivered);
    member_number(&out, indent, "lost", v->ledger.lost);
    member_number(&out, indent, "gaps", v->ledger.gaps);
    member_number(&out, indent, "lostBlocks", v->ledger.lost_blocks);
    member_number(&out, indent, "missing", v->ledger.undeclared);
    member_number(&out, indent, "lastSequence", v->ledger.last);
    member_number(&out, indent, "messages", v->ledger.messages);
    member_number(&out, indent, "streams", v->ledger.streams);
    member_number(&out, indent, "interruptions", v->player.interruptions);
    member_number(&out, indent, "unknownRecords", v->player.unknown_records);
    member_text(&out, indent, "ended",
                v->ledger.has_ended ? name_end_reason(v->ledger.end_reason, &room) : "");
    member_bool(&out, indent, "closed", v->player.is_closed);
    member_number(&out, indent, "findingsLeftOff", v->left_off);
    buffer_append_string(&out, ",\n  \"findings\": [");
    for (size_t i = 0; i < v->finding_count; i++) {
        buffer_append_string(&out, i > 0 ? ",\n" : "\n");
        append_finding(&out, &v->findings[i]);
    }
    buffer_append_string(&out, v->finding_count > 0 ? "\n  ]\n}" : "]\n}");
    return json_show_text(&out);
}

/* The folder of a recorded trace. */
static int run_trace(const struct cli *cli, const char *path)
{
    MANIFEST_AUTO manifest = { .vcpus = NULL };
    TRACE_CHECK_AUTO check = { .findings = NULL };
    SCOPE_FD int dir_fd = -1;
    struct failure f = { 0 };

    if (trace_files_open_to_read(path, &dir_fd, &f) != 0 ||
        trace_files_load(dir_fd, &manifest, &f) != 0) {
        (void)report_failure(&f);
        return f.code == ERROR_UNKNOWN ? EXIT_LOCAL : error_exit_status(f.code);
    }
    trace_check_run(&check, &manifest, dir_fd);
    if (check.is_out_of_memory) {
        return report_no_memory();
    }
    int status = trace_show_check(&manifest, &check, cli->format == CLI_FORMAT_JSON);

    if (status != 0) {
        return status;
    }
    return trace_check_is_complete(&check) ? 0 : error_exit_status(ERROR_DATA_LOSS);
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int run(struct cli *cli, const struct arguments *arguments)
{
    if (is_folder(arguments->operands[0])) {
        return run_trace(cli, arguments->operands[0]);
    }

    RECORDING_READER_AUTO reader = { 0 };
    VERIFICATION_AUTO v = { 0 };
    struct failure f = { 0 };

    if (recording_reader_open_path(&reader, arguments->operands[0], &f) != 0 ||
        verification_run(&v, &reader, &f) != 0) {
        (void)report_failure(&f);
        return f.code == ERROR_INVALID_ARGUMENT || f.code == ERROR_UNIMPLEMENTED
                   ? error_exit_status(f.code)
                   : EXIT_LOCAL;
    }
    int status = cli->format == CLI_FORMAT_JSON ? show_json(&v) : show_table(&v);

    if (status != 0) {
        return status;
    }
    return verification_is_complete(&v) ? 0 : error_exit_status(ERROR_DATA_LOSS);
}

const struct verb verb_verify = {
    .name = "verify",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "is a recording complete? If not, what is missing, and why",
    .description =
        "Reads a recording of \"xenres watch --output\" without asking a gateway: checksums,\n"
        "numbers without holes, losses that were told, whole images, a proper end. The exit\n"
        "status is 0 where it is complete, and 25 where anything is missing. Of a folder of\n"
        "\"xenres trace record\": that each byte is in a file or told as lost, that the files\n"
        "have what the manifest says, and that the trace's end is reached.",
    .run = run,
};
