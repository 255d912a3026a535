/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/trace_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/cli/render.h"
#include "client/cli/table.h"

/* --- pieces --- */

void trace_show_bytes(struct buffer *out, uint64_t bytes)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 10240) {
        buffer_printf(out, "%" PRIu64 " B", bytes);
        return;
    }
    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    buffer_printf(out, "%.1f %s", value, units[unit]);
}

void trace_show_lost(struct buffer *out, uint64_t bytes, bool at_least)
{
    buffer_append_string(out, at_least ? "at least " : "");
    buffer_printf(out, "%" PRIu64 " B", bytes);
}

/* A cell of its own. */
static void bytes_cell(struct table *t, uint64_t bytes)
{
    BUFFER_AUTO(text, 64);

    trace_show_bytes(&text, bytes);
    table_cell(t, "%s", buffer_string(&text));
}

static void lost_cell(struct table *t, uint64_t bytes, bool at_least)
{
    BUFFER_AUTO(text, 64);

    trace_show_lost(&text, bytes, at_least);
    table_painted(t, bytes > 0 || at_least ? PAINT_BAD : PAINT_PLAIN, buffer_string(&text));
}

static void append_vcpus(struct buffer *out, const uint32_t *vcpus, size_t count)
{
    for (size_t i = 0; i < count;) {
        size_t last = i;

        while (last + 1 < count && vcpus[last + 1] == vcpus[last] + 1) {
            last++;
        }
        buffer_printf(out, "%s%u", i > 0 ? "," : "", vcpus[i]);
        if (last > i) {
            buffer_printf(out, "%s%u", last > i + 1 ? "-" : ",", vcpus[last]);
        }
        i = last + 1;
    }
}

static const char *what_of(const xenres_trace *t)
{
    return t->os == t->user ? "os, user" : t->os ? "os" : "user";
}

static const char *state_of(const xenres_trace *t, char room[64])
{
    const char *name = xenres_trace_end_reason_name(t->end_reason);

    if (t->end_reason == XENRES_TRACE_SHUTDOWN) {
        (void)snprintf(room, 64, "shutdown (code %u)", t->shutdown_code);
        return room;
    }
    if (name[0] == '\0') {
        (void)snprintf(room, 64, "ended (%u)", t->end_reason);
        return room;
    }
    return name;
}

/* --- traces --- */

int trace_show_list(const xenres_traces *list)
{
    TABLE_AUTO table;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    table_init(&table, "ID>|NAME|STATE|VCPUS|WHAT|OWNER|BUDGET>|LEASE>|TRACE");
    for (size_t i = 0; i < list->trace_count; i++) {
        const xenres_trace *t = &list->traces[i];
        BUFFER_AUTO(vcpus, 1024);
        char room[64];

        append_vcpus(&vcpus, t->vcpus, t->vcpu_count);
        table_cell(&table, "%u", t->domain.domid);
        table_cell(&table, "%s", t->domain.name);
        table_painted(&table, t->end_reason == XENRES_TRACE_RUNS ? PAINT_GOOD : PAINT_WARN,
                      state_of(t, room));
        table_cell(&table, "%s", buffer_string(&vcpus));
        table_cell(&table, "%s", what_of(t));
        table_cell(&table, "%s", t->owner);
        table_cell(&table, "%u/s", t->pauses_per_second);
        table_cell(&table, "%.0f s", (double)t->lease_left_ms / 1000);
        table_cell(&table, "%s", t->trace_id);
    }
    table_render(&table, render_columns(), &text);
    return output_print(&text);
}

static void pair_of_time(struct table *t, const char *name, int64_t seconds, uint32_t nanoseconds)
{
    BUFFER_AUTO(text, 128);

    if (seconds != 0) {
        render_time(&text, seconds, nanoseconds);
        table_pair(t, name, "%s", buffer_string(&text));
    }
}

static void add_trace(struct table *t, const xenres_trace *trace)
{
    const xenres_trace_metadata *m = &trace->metadata;
    BUFFER_AUTO(who, 1024);
    BUFFER_AUTO(vcpus, 1024);
    BUFFER_AUTO(ring, 64);
    char room[64];

    render_identity(&who, &trace->domain);
    append_vcpus(&vcpus, trace->vcpus, trace->vcpu_count);
    trace_show_bytes(&ring, m->buffer_bytes);
    table_pair(t, "trace", "%s", trace->trace_id);
    table_pair(t, "domain", "%s", buffer_string(&who));
    table_pair(t, "owner", "%s", trace->owner);
    table_pair(t, "state", "%s", state_of(trace, room));
    if (trace->failure != NULL) {
        table_pair(t, "because", "%s %s", trace->failure->cause, trace->failure->next_step);
    }
    table_pair(t, "vcpus", "%s", buffer_string(&vcpus));
    table_pair(t, "what", "%s%s%s", what_of(trace), trace->tsc ? "" : ", without timestamps",
               trace->retc ? "" : ", without compressed returns");
    if (!trace->laps_detectable) {
        table_pair(t, "beware",
                   "laps may be undetectable: without timestamps, a whole round of the "
                   "same bytes looks like none");
    }
    table_pair(t, "budget", "%u pauses a second for each vCPU", trace->pauses_per_second);
    table_pair(t, "lease", "%.0f s, %.0f s left", (double)trace->lease_ms / 1000,
               (double)trace->lease_left_ms / 1000);
    pair_of_time(t, "started", trace->start_seconds, trace->start_nanoseconds);
    pair_of_time(t, "ended", trace->end_seconds, trace->end_nanoseconds);
    table_pair(t, "ring", "%s for each vCPU", buffer_string(&ring));
    table_pair(t, "rtit_ctl", "0x%" PRIx64, m->rtit_ctl);
    table_pair(t, "cpu", "%s family %u model %u stepping %u, %u MHz", m->cpu_vendor, m->cpu_family,
               m->cpu_model, m->cpu_stepping, m->nominal_mhz);
}

int trace_show_one(const xenres_trace *trace)
{
    TABLE_AUTO table;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    table_init(&table, NULL);
    add_trace(&table, trace);
    table_render(&table, render_columns(), &text);
    return output_print(&text);
}

static void add_vcpu(struct table *t, const xenres_trace_vcpu *v)
{
    BUFFER_AUTO(period, 64);

    render_duration(&period, v->period_ns);
    table_cell(t, "%u", v->vcpu);
    bytes_cell(t, v->produced_bytes);
    lost_cell(t, v->lost_bytes, v->open_losses > 0);
    bytes_cell(t, v->bytes_per_second);
    table_cell(t, "%u.%u %%", v->fill_permille / 10, v->fill_permille % 10);
    table_cell(t, "%u.%u %%", v->fill_most_permille / 10, v->fill_most_permille % 10);
    table_cell(t, "%s", buffer_string(&period));
    table_cell(t, "%" PRIu64, v->pauses);
    table_cell(t, "%" PRIu64, v->samples);
    table_cell(t, "%" PRIu64, v->late_samples);
    table_cell(t, "%u/%u", v->segment, v->epoch);
}

int trace_show_status(const xenres_trace_status *status)
{
    TABLE_AUTO facts;
    TABLE_AUTO vcpus;
    BUFFER_AUTO(text, TABLE_MAX_BYTES);

    table_init(&facts, NULL);
    add_trace(&facts, &status->trace);
    table_render(&facts, render_columns(), &text);
    buffer_append_byte(&text, '\n');
    table_init(&vcpus, "VCPU>|PRODUCED>|LOST>|A SECOND>|FILL>|MOST>|PERIOD>|PAUSES>|SAMPLES>|LATE>|"
                       "SEGMENT/EPOCH");
    for (size_t i = 0; i < status->vcpu_count; i++) {
        add_vcpu(&vcpus, &status->vcpus[i]);
    }
    table_render(&vcpus, render_columns(), &text);
    return output_print(&text);
}
