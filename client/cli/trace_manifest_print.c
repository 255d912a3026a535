/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A manifest as JSON, in the API's style: 64-bit numbers are strings. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/cli/trace_manifest.h"

#define WHEN_MAX_S  253402300799 /* the end of the year 9999 */
#define WHEN_MAX_NS 999999999

/* jansson's functions take NULL and fail with it: that memory ran out is seen once, at the end. */
static void add(bool *is_whole, json_t *object, const char *name, json_t *value)
{
    *is_whole = json_object_set_new(object, name, value) == 0 && *is_whole;
}

static json_t *number(uint64_t value)
{
    return json_sprintf("%" PRIu64, value);
}

/* What is no UTF-8 was cut by us: never by a guest, whose names the gateway has escaped. */
static json_t *text(const char *value)
{
    json_t *string = json_string(value);

    return string != NULL ? string : json_string("?");
}

/* Of four digits for the year, as a manifest is read: what a gateway says beyond that is not known. */
static json_t *when(int64_t seconds, uint32_t nanoseconds)
{
    time_t at = (time_t)seconds;
    struct tm tm;
    char day[40];

    if (seconds < 1 || seconds > WHEN_MAX_S || nanoseconds > WHEN_MAX_NS ||
        gmtime_r(&at, &tm) == NULL || strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        return json_null();
    }
    return json_sprintf("%s.%09uZ", day, nanoseconds);
}

/* --- whose it is --- */

static json_t *host(const struct manifest *m, bool *ok)
{
    json_t *o = json_object();

    add(ok, o, "uuid", text(m->host.uuid));
    add(ok, o, "bootId", text(m->host.boot_id));
    add(ok, o, "hostname", text(m->host.hostname));
    add(ok, o, "xenVersion", text(m->host.xen_version));
    add(ok, o, "gatewayVersion", text(m->host.gateway_version));
    add(ok, o, "backend", text(m->host.backend));
    return o;
}

static json_t *domain(const struct manifest *m, bool *ok)
{
    json_t *o = json_object();

    add(ok, o, "domid", json_integer(m->domid));
    add(ok, o, "uuid", text(m->uuid));
    add(ok, o, "name", text(m->name));
    add(ok, o, "incarnation", text(m->incarnation));
    return o;
}

static json_t *metadata(const struct manifest *m, bool *ok)
{
    const xenres_trace_metadata *d = &m->trace.metadata;
    json_t *o = json_object();

    add(ok, o, "rtitCtl", number(d->rtit_ctl));
    add(ok, o, "bufferBytes", number(d->buffer_bytes));
    add(ok, o, "cpuVendor", text(m->cpu_vendor));
    add(ok, o, "cpuFamily", json_integer(d->cpu_family));
    add(ok, o, "cpuModel", json_integer(d->cpu_model));
    add(ok, o, "cpuStepping", json_integer(d->cpu_stepping));
    add(ok, o, "cpuid15Eax", json_integer(d->cpuid_15_eax));
    add(ok, o, "cpuid15Ebx", json_integer(d->cpuid_15_ebx));
    add(ok, o, "cpuid15Ecx", json_integer(d->cpuid_15_ecx));
    add(ok, o, "nominalMhz", json_integer(d->nominal_mhz));
    add(ok, o, "tscKhz", json_integer(d->tsc_khz));
    add(ok, o, "guestTscMode", json_integer(d->guest_tsc_mode));
    add(ok, o, "guestTscKhz", json_integer(d->guest_tsc_khz));
    add(ok, o, "guestBits", json_integer(d->guest_bits));
    return o;
}

static json_t *trace(const struct manifest *m, bool *ok)
{
    const xenres_trace *t = &m->trace;
    json_t *o = json_object();
    json_t *vcpus = json_array();

    for (size_t i = 0; i < m->traced_count; i++) {
        *ok = json_array_append_new(vcpus, json_integer(m->traced[i])) == 0 && *ok;
    }
    add(ok, o, "traceId", text(m->trace_id));
    add(ok, o, "owner", text(m->owner));
    add(ok, o, "vcpus", vcpus);
    add(ok, o, "os", json_boolean(t->os));
    add(ok, o, "user", json_boolean(t->user));
    add(ok, o, "tsc", json_boolean(t->tsc));
    add(ok, o, "retc", json_boolean(t->retc));
    add(ok, o, "pausesPerSecond", json_integer(t->pauses_per_second));
    add(ok, o, "lapsDetectable", json_boolean(t->laps_detectable));
    add(ok, o, "startTime", when(t->start_seconds, t->start_nanoseconds));
    add(ok, o, "startedHere", json_boolean(m->is_ours));
    add(ok, o, "metadata", metadata(m, ok));
    return o;
}

/* --- vCPUs --- */

static json_t *file(const struct manifest_vcpu *v, size_t i, bool *ok)
{
    const struct manifest_file *f = &v->files[i];
    char name[MANIFEST_NAME_BYTES];
    json_t *o = json_object();

    manifest_file_name(v->vcpu, i, name);
    add(ok, o, "file", text(name));
    add(ok, o, "segment", json_integer(f->segment));
    add(ok, o, "epoch", json_integer(f->epoch));
    add(ok, o, "position", number(f->position));
    add(ok, o, "offset", number(f->offset));
    add(ok, o, "bytes", number(f->bytes));
    add(ok, o, "sync", f->has_sync ? number(f->sync) : json_null());
    return o;
}

static json_t *gap(const struct manifest_gap *g, const char *behind, bool *ok)
{
    const char *reason = xenres_trace_gap_reason_name(g->reason);
    json_t *o = json_object();

    add(ok, o, "reason", text(reason[0] != '\0' ? reason : "unknown"));
    add(ok, o, "position", number(g->position));
    add(ok, o, "length", number(g->length));
    add(ok, o, "atLeast", json_boolean(g->at_least));
    add(ok, o, "behind", text(behind));
    add(ok, o, "segment", json_integer(g->segment));
    add(ok, o, "epoch", json_integer(g->epoch));
    add(ok, o, "offset", number(g->offset));
    add(ok, o, "time", when(g->seconds, g->nanoseconds));
    return o;
}

/* Each behind the last file that begins before it. Both are in the order of their positions. */
static json_t *gaps(const struct manifest_vcpu *v, bool *ok)
{
    char behind[MANIFEST_NAME_BYTES] = "";
    json_t *o = json_array();
    size_t files = 0;

    for (size_t i = 0; i < v->gap_count; i++) {
        size_t before = files;

        while (files < v->file_count && v->files[files].position < v->gaps[i].position) {
            files++;
        }
        if (files > before) {
            manifest_file_name(v->vcpu, files - 1, behind);
        }
        *ok = json_array_append_new(o, gap(&v->gaps[i], behind, ok)) == 0 && *ok;
    }
    return o;
}

static json_t *pair(const struct manifest_time *t, bool *ok)
{
    json_t *o = json_object();

    add(ok, o, "position", number(t->position));
    add(ok, o, "time", when(t->seconds, t->nanoseconds));
    add(ok, o, "monotonicNs", number(t->monotonic_ns));
    add(ok, o, "tsc", number(t->tsc));
    return o;
}

static json_t *end(const struct manifest_vcpu *v, bool *ok)
{
    const char *reason = xenres_trace_end_reason_name(v->end_reason);

    if (!v->has_end) {
        return json_null();
    }
    json_t *o = json_object();

    add(ok, o, "reason", text(reason[0] != '\0' ? reason : "unknown"));
    add(ok, o, "shutdownCode", json_integer(v->shutdown_code));
    add(ok, o, "position", number(v->end_position));
    add(ok, o, "message", text(v->end_message));
    return o;
}

static json_t *vcpu(const struct manifest_vcpu *v, bool *ok)
{
    struct manifest_sums sums = manifest_sum(v);
    json_t *o = json_object();
    json_t *files = json_array(), *times = json_array();

    for (size_t i = 0; i < v->file_count; i++) {
        *ok = json_array_append_new(files, file(v, i, ok)) == 0 && *ok;
    }
    for (size_t i = 0; i < v->time_count; i++) {
        *ok = json_array_append_new(times, pair(&v->times[i], ok)) == 0 && *ok;
    }
    add(ok, o, "vcpu", json_integer(v->vcpu));
    add(ok, o, "feed", text(v->feed));
    add(ok, o, "cursor", text(v->cursor));
    add(ok, o, "position", number(v->position));
    add(ok, o, "produced", number(sums.produced));
    add(ok, o, "delivered", number(sums.delivered));
    add(ok, o, "lost", number(sums.lost));
    add(ok, o, "atLeast", json_boolean(sums.open_losses > 0));
    add(ok, o, "interruptions", json_integer(v->interruptions));
    add(ok, o, "files", files);
    add(ok, o, "gaps", gaps(v, ok));
    add(ok, o, "end", end(v, ok));
    add(ok, o, "timesStride", number(v->time_stride));
    add(ok, o, "timesSeen", number(v->times_seen));
    add(ok, o, "times", times);
    return o;
}

static int append(const char *bytes, size_t len, void *arg)
{
    return buffer_append(arg, bytes, len) ? 0 : -1;
}

bool manifest_print(const struct manifest *m, struct buffer *out)
{
    bool ok = true;
    json_t *o = json_object(), *vcpus = json_array();

    for (size_t i = 0; i < m->vcpu_count; i++) {
        ok = json_array_append_new(vcpus, vcpu(&m->vcpus[i], &ok)) == 0 && ok;
    }
    add(&ok, o, "format", text("xenres-trace"));
    add(&ok, o, "version", json_integer(MANIFEST_VERSION));
    add(&ok, o, "writer", text("xenres " XENRES_VERSION));
    add(&ok, o, "closed", json_boolean(m->is_closed));
    add(&ok, o, "closedWhy", text(m->closed_why));
    add(&ok, o, "host", host(m, &ok));
    add(&ok, o, "domain", domain(m, &ok));
    add(&ok, o, "trace", trace(m, &ok));
    add(&ok, o, "vcpus", vcpus);
    ok = ok && json_dump_callback(o, append, out, JSON_INDENT(2)) == 0;
    json_decref(o);
    return ok && buffer_append_byte(out, '\n');
}
