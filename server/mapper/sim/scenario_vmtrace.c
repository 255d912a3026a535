/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How a domain's section `vmtrace` is read; see scenario_reader.h. */
#include "server/mapper/sim/scenario_reader.h"

#include <stdlib.h>
#include <string.h>

#include "common/layout.h"

/* The bytes of a file; NULL: a fault. */
static const struct trace_file *read_file(struct scenario_reader *r, cfg_t *section,
                                          const char *name)
{
    struct failure f;
    BUFFER_AUTO(path, SCENARIO_PATH_BYTES_MAX);
    BUFFER_AUTO(content, SCENARIO_TRACE_BYTES_MAX);
    scenario_reader_path(r, name, &path);
    if (!buffer_string(&path)) {
        SCENARIO_FAULT(r, section, "source: the name of the file is too long");
        return NULL;
    }
    if (settings_read_file(buffer_string(&path), SCENARIO_TRACE_BYTES_MAX, &content, &f) < 0) {
        SCENARIO_FAULT(r, section, "source: %s", f.message);
        return NULL;
    }
    if (content.len_bytes == 0) {
        SCENARIO_FAULT(r, section, "source: %s is empty", name);
        return NULL;
    }
    struct trace_file *file = malloc(sizeof(*file) + content.len_bytes);
    if (!file) {
        SCENARIO_FAULT(r, section, "source: no memory for %s", name);
        return NULL;
    }
    file->len_bytes = content.len_bytes;
    memcpy(file->bytes, content.data, content.len_bytes);
    r->s->traces[r->s->trace_count++] = file;
    return file;
}

static void read_sources(struct scenario_reader *r, cfg_t *section, struct scenario_vmtrace *v)
{
    unsigned count = cfg_size(section, "source");
    if (count > SCENARIO_TRACES_MAX - r->s->trace_count) {
        SCENARIO_FAULT(r, section, "source: more than %d trace files", SCENARIO_TRACES_MAX);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        v->sources[i] = read_file(r, section, cfg_getnstr(section, "source", i));
    }
    v->source_count = count; /* of which none is missing, or the scenario is refused */
}

static void read_laps(struct scenario_reader *r, cfg_t *section, struct scenario_vmtrace *v)
{
    unsigned count = cfg_size(section, "lap_at");
    if (count > SCENARIO_TRACE_LAPS_MAX) {
        SCENARIO_FAULT(r, section, "lap_at: expected at most %d", SCENARIO_TRACE_LAPS_MAX);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        v->lap_at[i] = (uint64_t)cfg_getnint(section, "lap_at", i);
        if (i > 0 && v->lap_at[i] <= v->lap_at[i - 1]) {
            SCENARIO_FAULT(r, section, "lap_at: expected ascending numbers");
        }
    }
    v->lap_count = count;
}

static void read_idle(struct scenario_reader *r, cfg_t *section, struct scenario_domain *d)
{
    for (unsigned i = 0; i < cfg_size(section, "idle_vcpus"); i++) {
        uint64_t vcpu = (uint64_t)cfg_getnint(section, "idle_vcpus", i);
        if (vcpu >= d->max_vcpus) {
            SCENARIO_FAULT(r, section, "idle_vcpus: the domain has no vCPU %llu",
                           (unsigned long long)vcpu);
            return;
        }
        d->vmtrace.idle_vcpus[vcpu / 64] |= UINT64_C(1) << vcpu % 64;
    }
}

void scenario_reader_vmtrace(struct scenario_reader *r, cfg_t *section, struct scenario_domain *d)
{
    struct scenario_vmtrace *v = &d->vmtrace;
    v->size_bytes = scenario_reader_number(section, "size");
    v->rate = (uint64_t)cfg_getint(section, "rate");
    v->is_looped = cfg_getbool(section, "loop");
    v->has_sequence = cfg_getbool(section, "sequence");
    v->is_enabled = cfg_getbool(section, "enabled");
    if ((v->size_bytes & (v->size_bytes - 1)) != 0) {
        SCENARIO_FAULT(r, section, "size = %u: expected a power of two", v->size_bytes);
    }
    if (v->size_bytes > 0 && d->type == DOMAIN_PV) {
        SCENARIO_FAULT(r, section, "a pv domain has no vmtrace buffer");
    }
    if (v->size_bytes == 0 && (v->rate > 0 || v->is_enabled || cfg_size(section, "source") > 0)) {
        SCENARIO_FAULT(r, section, "vmtrace without `size`");
    }
    read_sources(r, section, v);
    read_laps(r, section, v);
    read_idle(r, section, d);
    if (v->source_count > 0 && v->has_sequence) {
        SCENARIO_FAULT(r, section, "source and sequence: expected one of them");
    }
}
