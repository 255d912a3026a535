/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What was recorded of a trace, and what is wrong with it. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/json.h"
#include "client/cli/output.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "client/cli/trace_show.h"
#include "common/scope.h"

bool trace_show_is_lossy(const struct manifest *m)
{
    for (size_t i = 0; i < m->vcpu_count; i++) {
        if (m->vcpus[i].gap_count > 0) {
            return true;
        }
    }
    return false;
}

/* --- tables --- */

static void append_vcpus(struct buffer *text, const struct manifest *m)
{
    TABLE_AUTO table;

    table_init(&table, "VCPU>|BYTES>|LOST>|GAPS>|FILES>|CUTS>|END");
    for (size_t i = 0; i < m->vcpu_count; i++) {
        const struct manifest_vcpu *v = &m->vcpus[i];
        struct manifest_sums sums = manifest_sum(v);
        BUFFER_AUTO(lost, 64);

        trace_show_lost(&lost, sums.lost, sums.open_losses > 0);
        table_cell(&table, "%u", v->vcpu);
        table_cell(&table, "%" PRIu64, sums.delivered);
        table_painted(&table, v->gap_count > 0 ? PAINT_BAD : PAINT_PLAIN, buffer_string(&lost));
        table_cell(&table, "%zu", v->gap_count);
        table_cell(&table, "%zu", v->file_count);
        table_cell(&table, "%u", v->interruptions);
        table_cell(&table, "%s",
                   v->has_end ? xenres_trace_end_reason_name(v->end_reason) : "not ended");
    }
    table_render(&table, render_columns(), text);
}

static void append_title(struct buffer *text, const struct manifest *m)
{
    const xenres_identity domain = {
        .domid = m->domid, .uuid = m->uuid, .name = m->name, .incarnation = m->incarnation
    };

    render_identity(text, &domain);
    buffer_append_string(text, "\ntrace ");
    render_safe(text, m->trace_id);
    buffer_append_string(text, " on ");
    render_safe(text, m->host.hostname[0] != '\0' ? m->host.hostname : "an unknown host");
    buffer_append_string(text, "\n");
}

static void add_finding(struct table *t, const struct trace_finding *f)
{
    BUFFER_AUTO(what, 256);
    BUFFER_AUTO(where, 128);
    BUFFER_AUTO(when, 128);

    if (f->length > 0 || f->at_least) {
        buffer_printf(&what, "%s%" PRIu64 " bytes from byte %" PRIu64,
                      f->at_least ? "at least " : "", f->length, f->position);
    }
    if (f->file[0] != '\0') {
        buffer_printf(&where, "%s, byte %" PRIu64, f->file, f->file_offset);
    }
    if (f->seconds != 0) {
        render_time(&when, f->seconds, f->nanoseconds);
    }
    table_painted(t, PAINT_BAD, trace_finding_name(f->kind));
    table_cell(t, "%u", f->vcpu);
    table_cell(t, "%s", what.len_bytes > 0 ? buffer_string(&what) : "");
    table_cell(t, "%s", where.len_bytes > 0 ? buffer_string(&where) : "");
    table_cell(t, "%s", when.len_bytes > 0 ? buffer_string(&when) : "");
    table_cell(t, "%s", f->why);
}

static int show_recording(const struct manifest *m)
{
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    append_title(&text, m);
    append_vcpus(&text, m);
    return output_print(&text);
}

static int show_check(const struct manifest *m, const struct trace_check *c)
{
    TABLE_AUTO table;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    append_title(&text, m);
    append_vcpus(&text, m);
    table_init(&table, "MISSING|VCPU>|WHAT|WHERE|WHEN|WHY");
    for (size_t i = 0; i < c->finding_count; i++) {
        add_finding(&table, &c->findings[i]);
    }
    if (c->finding_count > 0) {
        buffer_append_byte(&text, '\n');
        table_render(&table, render_columns(), &text);
    }
    if (c->left_off > 0) {
        buffer_printf(&text, "and %" PRIu64 " more\n", c->left_off);
    }
    if (!m->trace.laps_detectable) {
        buffer_append_string(&text, "recorded without timestamps: laps may be undetectable\n");
    }
    buffer_printf(&text, "complete: %s\n", trace_check_is_complete(c) ? "yes" : "no");
    return output_print(&text);
}

/* --- JSON, in the API's style: 64-bit numbers are strings --- */

static json_t *number(uint64_t value)
{
    return json_sprintf("%" PRIu64, value);
}

static json_t *json_of_vcpu(const struct manifest_vcpu *v)
{
    struct manifest_sums sums = manifest_sum(v);

    return json_pack("{s:i, s:o, s:o, s:o, s:b, s:i, s:i, s:i, s:s}", "vcpu", (int)v->vcpu,
                     "produced", number(sums.produced), "delivered", number(sums.delivered), "lost",
                     number(sums.lost), "atLeast", sums.open_losses > 0, "gaps", (int)v->gap_count,
                     "files", (int)v->file_count, "interruptions", (int)v->interruptions, "ended",
                     v->has_end ? xenres_trace_end_reason_name(v->end_reason) : "");
}

static json_t *json_of_recording(const struct manifest *m)
{
    json_t *vcpus = json_array();

    for (size_t i = 0; i < m->vcpu_count; i++) {
        if (json_array_append_new(vcpus, json_of_vcpu(&m->vcpus[i])) != 0) {
            json_decref(vcpus);
            return NULL;
        }
    }
    return json_pack("{s:s, s:s, s:b, s:s, s:b, s:o}", "traceId", m->trace_id, "domain", m->uuid,
                     "closed", m->is_closed, "closedWhy", m->closed_why, "lapsDetectable",
                     m->trace.laps_detectable, "vcpus", vcpus);
}

static json_t *json_of_finding(const struct trace_finding *f)
{
    return json_pack("{s:s, s:i, s:o, s:o, s:b, s:s, s:o, s:I, s:s}", "kind",
                     trace_finding_name(f->kind), "vcpu", (int)f->vcpu, "position",
                     number(f->position), "length", number(f->length), "atLeast", f->at_least,
                     "file", f->file, "fileOffset", number(f->file_offset), "timeSeconds",
                     (json_int_t)f->seconds, "why", f->why);
}

static json_t *json_of_check(const struct manifest *m, const struct trace_check *c)
{
    json_t *o = json_of_recording(m);
    json_t *findings = json_array();

    for (size_t i = 0; i < c->finding_count; i++) {
        (void)json_array_append_new(findings, json_of_finding(&c->findings[i]));
    }
    (void)json_object_set_new(o, "complete", json_boolean(trace_check_is_complete(c)));
    (void)json_object_set_new(o, "findings", findings);
    (void)json_object_set_new(o, "findingsLeftOff", number(c->left_off));
    return o;
}

/* Takes it over. */
static int print(json_t *o)
{
    BUFFER_AUTO(text, TABLE_MAX_BYTES);
    SCOPE_FREE char *dumped = o != NULL ? json_dumps(o, JSON_INDENT(2)) : NULL;

    json_decref(o);
    return dumped != NULL && buffer_append_string(&text, dumped) ? json_show_text(&text)
                                                                 : report_no_memory();
}

int trace_show_recording(const struct manifest *m, bool is_json)
{
    return is_json ? print(json_of_recording(m)) : show_recording(m);
}

int trace_show_check(const struct manifest *m, const struct trace_check *c, bool is_json)
{
    return is_json ? print(json_of_check(m, c)) : show_check(m, c);
}
