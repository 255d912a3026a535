/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A manifest from JSON that anybody may have written. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/cli/trace_manifest.h"

/* The members of an object, one after the other: the first that is not right is remembered. */
struct reader {
    struct failure *f;
    int result;
};

static bool refuse(struct reader *r, const char *name, const char *what)
{
    if (r->result == 0) {
        r->result = failure_set(r->f, ERROR_INVALID_ARGUMENT, "the manifest is none: \"%s\" %s",
                                name, what);
        failure_next(r->f, r->result, "use the files of another recording, or of a backup");
    }
    return false;
}

static bool text_of(struct reader *r, const json_t *o, const char *name, char *out, size_t size)
{
    const json_t *value = json_object_get(o, name);

    if (!json_is_string(value) || json_string_length(value) >= size ||
        strlen(json_string_value(value)) != json_string_length(value)) {
        return refuse(r, name, "is no text, or too long");
    }
    (void)snprintf(out, size, "%s", json_string_value(value));
    return true;
}

#define TEXT(r, o, name, out) text_of((r), (o), (name), (out), sizeof(out))

static bool digits(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value)) {
            return false;
        }
    }
    *out = value;
    return len > 0;
}

static bool number_of(struct reader *r, const json_t *o, const char *name, uint64_t max,
                      uint64_t *out)
{
    const json_t *value = json_object_get(o, name);
    uint64_t number = 0;
    bool is_right = json_is_string(value)    ? digits(json_string_value(value), &number)
                    : json_is_integer(value) ? json_integer_value(value) >= 0
                                             : false;

    if (is_right && json_is_integer(value)) {
        number = (uint64_t)json_integer_value(value);
    }
    if (!is_right || number > max) {
        return refuse(r, name, "is no number that it can be");
    }
    *out = number;
    return true;
}

/* Places: two can be added. */
static bool place_of(struct reader *r, const json_t *o, const char *name, uint64_t *out)
{
    return number_of(r, o, name, UINT64_MAX / 4, out);
}

static bool small_of(struct reader *r, const json_t *o, const char *name, uint32_t *out)
{
    uint64_t value = 0;
    bool is_right = number_of(r, o, name, UINT32_MAX, &value);

    *out = (uint32_t)value;
    return is_right;
}

static bool bool_of(struct reader *r, const json_t *o, const char *name, bool *out)
{
    const json_t *value = json_object_get(o, name);

    *out = json_is_true(value);
    return json_is_boolean(value) || refuse(r, name, "is neither true nor false");
}

/* "2026-01-31T23:59:59.000000000Z", or null. */
static bool when_of(struct reader *r, const json_t *o, const char *name, int64_t *seconds,
                    uint32_t *nanoseconds)
{
    const json_t *value = json_object_get(o, name);
    struct tm tm = { 0 };

    *seconds = 0;
    *nanoseconds = 0;
    if (json_is_null(value)) {
        return true;
    }
    const char *rest =
        json_is_string(value) ? strptime(json_string_value(value), "%Y-%m-%dT%H:%M:%S", &tm) : NULL;

    if (rest == NULL || rest[0] != '.' || strspn(rest + 1, "0123456789") != 9 ||
        strcmp(rest + 10, "Z") != 0) {
        return refuse(r, name, "is no time");
    }
    *seconds = timegm(&tm);
    *nanoseconds = (uint32_t)strtoul(rest + 1, NULL, 10);
    return true;
}

static const json_t *object_of(struct reader *r, const json_t *o, const char *name)
{
    const json_t *value = json_object_get(o, name);

    if (!json_is_object(value)) {
        (void)refuse(r, name, "is no object");
    }
    return value;
}

static const json_t *array_of(struct reader *r, const json_t *o, const char *name, size_t max)
{
    const json_t *value = json_object_get(o, name);

    if (!json_is_array(value) || json_array_size(value) > max) {
        (void)refuse(r, name, "is no list, or too long");
    }
    return r->result == 0 ? value : NULL;
}

/* --- whose it is --- */

static void read_host(struct reader *r, const json_t *o, struct manifest *m)
{
    TEXT(r, o, "uuid", m->host.uuid);
    TEXT(r, o, "bootId", m->host.boot_id);
    TEXT(r, o, "hostname", m->host.hostname);
    TEXT(r, o, "xenVersion", m->host.xen_version);
    TEXT(r, o, "gatewayVersion", m->host.gateway_version);
    TEXT(r, o, "backend", m->host.backend);
}

static void read_domain(struct reader *r, const json_t *o, struct manifest *m)
{
    small_of(r, o, "domid", &m->domid);
    TEXT(r, o, "uuid", m->uuid);
    TEXT(r, o, "name", m->name);
    TEXT(r, o, "incarnation", m->incarnation);
}

static void read_metadata(struct reader *r, const json_t *o, struct manifest *m)
{
    xenres_trace_metadata *d = &m->trace.metadata;

    number_of(r, o, "rtitCtl", UINT64_MAX, &d->rtit_ctl);
    number_of(r, o, "bufferBytes", UINT64_MAX, &d->buffer_bytes);
    TEXT(r, o, "cpuVendor", m->cpu_vendor);
    small_of(r, o, "cpuFamily", &d->cpu_family);
    small_of(r, o, "cpuModel", &d->cpu_model);
    small_of(r, o, "cpuStepping", &d->cpu_stepping);
    small_of(r, o, "cpuid15Eax", &d->cpuid_15_eax);
    small_of(r, o, "cpuid15Ebx", &d->cpuid_15_ebx);
    small_of(r, o, "cpuid15Ecx", &d->cpuid_15_ecx);
    small_of(r, o, "nominalMhz", &d->nominal_mhz);
    small_of(r, o, "tscKhz", &d->tsc_khz);
    small_of(r, o, "guestTscMode", &d->guest_tsc_mode);
    small_of(r, o, "guestTscKhz", &d->guest_tsc_khz);
    small_of(r, o, "guestBits", &d->guest_bits);
}

static void read_traced(struct reader *r, const json_t *o, struct manifest *m)
{
    const json_t *vcpus = array_of(r, o, "vcpus", XENRES_TRACED_VCPUS_MAX);

    m->traced_count = json_array_size(vcpus);
    for (size_t i = 0; i < m->traced_count; i++) {
        const json_t *value = json_array_get(vcpus, i);

        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
            json_integer_value(value) >= XENRES_TRACED_VCPUS_MAX) {
            (void)refuse(r, "vcpus", "has one that is none");
            return;
        }
        m->traced[i] = (uint32_t)json_integer_value(value);
    }
}

static void read_trace(struct reader *r, const json_t *o, struct manifest *m)
{
    xenres_trace *t = &m->trace;

    TEXT(r, o, "traceId", m->trace_id);
    TEXT(r, o, "owner", m->owner);
    read_traced(r, o, m);
    bool_of(r, o, "os", &t->os);
    bool_of(r, o, "user", &t->user);
    bool_of(r, o, "tsc", &t->tsc);
    bool_of(r, o, "retc", &t->retc);
    small_of(r, o, "pausesPerSecond", &t->pauses_per_second);
    bool_of(r, o, "lapsDetectable", &t->laps_detectable);
    when_of(r, o, "startTime", &t->start_seconds, &t->start_nanoseconds);
    bool_of(r, o, "startedHere", &m->is_ours);
    read_metadata(r, object_of(r, o, "metadata"), m);
}

/* --- vCPUs --- */

static uint32_t reason_from(const char *name, const char *(*name_of)(uint32_t))
{
    for (uint32_t i = 0; i < 128; i++) {
        if (name_of(i)[0] != '\0' && strcmp(name_of(i), name) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

static void read_file(struct reader *r, const json_t *o, struct manifest_vcpu *v)
{
    struct manifest_file f = { .bytes = 0 };
    char name[MANIFEST_NAME_BYTES], right[MANIFEST_NAME_BYTES];

    manifest_file_name(v->vcpu, v->file_count, right);
    if (TEXT(r, o, "file", name) && strcmp(name, right) != 0) {
        (void)refuse(r, "file", "is not the name of the file whose turn it is");
    }
    small_of(r, o, "segment", &f.segment);
    small_of(r, o, "epoch", &f.epoch);
    place_of(r, o, "position", &f.position);
    place_of(r, o, "offset", &f.offset);
    place_of(r, o, "bytes", &f.bytes);
    f.has_sync = !json_is_null(json_object_get(o, "sync"));
    if (f.has_sync) {
        place_of(r, o, "sync", &f.sync);
    }
    if (r->result == 0 && !manifest_add_file(v, &f)) {
        (void)refuse(r, "files", "are too many");
    }
}

static void read_gap(struct reader *r, const json_t *o, struct manifest_vcpu *v)
{
    struct manifest_gap g = { .length = 0 };
    char reason[MANIFEST_TEXT_BYTES] = "";

    TEXT(r, o, "reason", reason);
    g.reason = reason_from(reason, xenres_trace_gap_reason_name);
    place_of(r, o, "position", &g.position);
    place_of(r, o, "length", &g.length);
    bool_of(r, o, "atLeast", &g.at_least);
    small_of(r, o, "segment", &g.segment);
    small_of(r, o, "epoch", &g.epoch);
    place_of(r, o, "offset", &g.offset);
    when_of(r, o, "time", &g.seconds, &g.nanoseconds);
    if (r->result == 0 && !manifest_add_gap(v, &g)) {
        (void)refuse(r, "gaps", "are too many");
    }
}

static void read_time(struct reader *r, const json_t *o, struct manifest_vcpu *v)
{
    struct manifest_time t = { .tsc = 0 };

    place_of(r, o, "position", &t.position);
    when_of(r, o, "time", &t.seconds, &t.nanoseconds);
    number_of(r, o, "monotonicNs", UINT64_MAX, &t.monotonic_ns);
    number_of(r, o, "tsc", UINT64_MAX, &t.tsc);
    v->time_stride = 1;
    if (r->result == 0 && !manifest_add_time(v, &t)) {
        (void)refuse(r, "times", "are too many");
    }
}

static void read_end(struct reader *r, const json_t *o, struct manifest_vcpu *v)
{
    char reason[MANIFEST_TEXT_BYTES] = "";

    if (json_is_null(o)) {
        return;
    }
    v->has_end = true;
    TEXT(r, o, "reason", reason);
    v->end_reason = reason_from(reason, xenres_trace_end_reason_name);
    small_of(r, o, "shutdownCode", &v->shutdown_code);
    place_of(r, o, "position", &v->end_position);
    TEXT(r, o, "message", v->end_message);
}

static void read_each(struct reader *r, const json_t *o, const char *name, size_t max,
                      struct manifest_vcpu *v,
                      void (*read)(struct reader *, const json_t *, struct manifest_vcpu *))
{
    const json_t *list = array_of(r, o, name, max);

    for (size_t i = 0; r->result == 0 && i < json_array_size(list); i++) {
        read(r, json_array_get(list, i), v);
    }
}

/* What is printed of the sums follows from the rest: it has to. */
static void check_sums(struct reader *r, const json_t *o, const struct manifest_vcpu *v)
{
    struct manifest_sums sums = manifest_sum(v);
    uint64_t produced, delivered, lost;
    bool at_least;

    if (number_of(r, o, "produced", UINT64_MAX, &produced) && produced != sums.produced) {
        (void)refuse(r, "produced", "is not what files and gaps add up to");
    }
    if (number_of(r, o, "delivered", UINT64_MAX, &delivered) && delivered != sums.delivered) {
        (void)refuse(r, "delivered", "is not what the files add up to");
    }
    if (number_of(r, o, "lost", UINT64_MAX, &lost) && lost != sums.lost) {
        (void)refuse(r, "lost", "is not what the gaps add up to");
    }
    if (bool_of(r, o, "atLeast", &at_least) && at_least != (sums.open_losses > 0)) {
        (void)refuse(r, "atLeast", "is not what the gaps say");
    }
}

static void read_vcpu(struct reader *r, const json_t *o, struct manifest_vcpu *v)
{
    uint64_t stride = 1, seen = 0;

    if (small_of(r, o, "vcpu", &v->vcpu) && v->vcpu >= XENRES_TRACED_VCPUS_MAX) {
        (void)refuse(r, "vcpu", "is none");
    }
    TEXT(r, o, "feed", v->feed);
    TEXT(r, o, "cursor", v->cursor);
    place_of(r, o, "position", &v->position);
    small_of(r, o, "interruptions", &v->interruptions);
    read_each(r, o, "files", MANIFEST_FILES_MAX, v, read_file);
    read_each(r, o, "gaps", MANIFEST_GAPS_MAX, v, read_gap);
    read_each(r, o, "times", MANIFEST_TIMES_MAX, v, read_time);
    read_end(r, json_object_get(o, "end"), v);
    number_of(r, o, "timesStride", UINT64_MAX / 4, &stride);
    number_of(r, o, "timesSeen", UINT64_MAX / 4, &seen);
    v->time_stride = stride > 0 ? stride : 1;
    v->times_seen = seen;
    check_sums(r, o, v);
}

static void read_vcpus(struct reader *r, const json_t *o, struct manifest *m)
{
    const json_t *list = array_of(r, o, "vcpus", XENRES_TRACED_VCPUS_MAX);
    static const uint32_t none[XENRES_TRACED_VCPUS_MAX];

    if (r->result == 0 && !manifest_set_vcpus(m, none, json_array_size(list))) {
        r->result = failure_set(r->f, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    for (size_t i = 0; r->result == 0 && i < m->vcpu_count; i++) {
        read_vcpu(r, json_array_get(list, i), &m->vcpus[i]);
        if (i > 0 && m->vcpus[i].vcpu <= m->vcpus[i - 1].vcpu) {
            (void)refuse(r, "vcpus", "are out of order");
        }
    }
}

static void read_all(struct reader *r, const json_t *o, struct manifest *m)
{
    char format[MANIFEST_TEXT_BYTES] = "";
    uint32_t version = 0;

    if (!TEXT(r, o, "format", format) || strcmp(format, "xenres-trace") != 0) {
        (void)refuse(r, "format", "is another");
        return;
    }
    if (small_of(r, o, "version", &version) && version != MANIFEST_VERSION) {
        r->result =
            failure_set(r->f, ERROR_UNIMPLEMENTED,
                        "the manifest is of version %u, which this xenres does not know", version);
        failure_next(r->f, r->result, "use the xenres that made it, or a later one");
        return;
    }
    bool_of(r, o, "closed", &m->is_closed);
    TEXT(r, o, "closedWhy", m->closed_why);
    read_host(r, object_of(r, o, "host"), m);
    read_domain(r, object_of(r, o, "domain"), m);
    read_trace(r, object_of(r, o, "trace"), m);
    read_vcpus(r, o, m);
}

int manifest_parse(const void *text, size_t len_bytes, struct manifest *out, struct failure *f)
{
    struct reader r = { .f = f };
    json_error_t wrong;
    json_t *o = json_loadb(text, len_bytes, JSON_REJECT_DUPLICATES, &wrong);

    *out = (struct manifest){ .vcpus = NULL };
    if (!json_is_object(o)) {
        json_decref(o);
        r.result = failure_set(f, ERROR_INVALID_ARGUMENT, "the manifest is no JSON object");
        failure_cause(f, r.result, "%s", o == NULL ? wrong.text : "it is something else");
        return failure_next(f, r.result, "use the files of another recording, or of a backup");
    }
    read_all(&r, o, out);
    json_decref(o);
    if (r.result != 0) {
        manifest_done(out);
    }
    return r.result;
}
