/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See guest_vmtrace.h. */
#include "server/mapper/sim/guest_vmtrace.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/layout.h"
#include "server/mapper/sim/draw.h"

/* What the rings hold before any trace: it stands for another guest's memory, and must never be seen
 * by anybody. */
enum { FOREIGN_BYTE = 0xa5, CHUNK_BYTES = 4096 };
#define TSC_PER_1000_NS UINT64_C(2100)
#define CTL_MASK                                                                                   \
    (VMTRACE_CTL_ENABLED | VMTRACE_CTL_OS | VMTRACE_CTL_USER | VMTRACE_CTL_TSC |                   \
     VMTRACE_CTL_NO_RETC | VMTRACE_CTL_BRANCH)
#define STATUS_RUNS UINT64_C(0x7) /* filter, context and trigger let packets through */
#define STATUS_MASK (STATUS_RUNS | VMTRACE_STATUS_ERROR | VMTRACE_STATUS_STOPPED)
#define STALE_CTL   (VMTRACE_CTL_OS | VMTRACE_CTL_USER | VMTRACE_CTL_TSC | VMTRACE_CTL_BRANCH)

uint64_t guest_vmtrace_tsc(uint64_t now_ns)
{
    return (uint64_t)((unsigned __int128)now_ns * TSC_PER_1000_NS / 1000);
}

static struct trace_manner manner(const struct guest_vmtrace *g, const struct vmtrace_vcpu *v)
{
    return (struct trace_manner){ .tsc = guest_vmtrace_tsc(g->advanced_ns),
                                  .has_tsc = (v->ctl & VMTRACE_CTL_TSC) != 0 };
}

/* --- writing ----------------------------------------------------------------------------------- */

static size_t ring_start(const struct guest_vmtrace *g, const struct vmtrace_vcpu *v)
{
    return (size_t)(v - g->vcpus) * g->spec->size_bytes;
}

/* Of more bytes than the ring has, only the last are ever seen: the others are not made. */
static void write_bytes(struct guest_vmtrace *g, struct vmtrace_vcpu *v, uint64_t count)
{
    uint32_t size = g->spec->size_bytes;
    uint64_t left = trace_source_left(&v->source, v->produced);
    count = count < left ? count : left;
    uint64_t skipped = count > size ? count - size : 0;
    uint8_t chunk[CHUNK_BYTES];
    for (uint64_t done = skipped; done < count;) {
        uint32_t at = (uint32_t)((v->position + done) % size);
        size_t len = size - at < sizeof(chunk) ? size - at : sizeof(chunk);
        len = count - done < len ? (size_t)(count - done) : len;
        bool known = trace_source_bytes(&v->source, v->produced + done, chunk, len);
        assert(known); /* what comes next always is */
        pages_store(&g->pages, ring_start(g, v) + at, chunk, len);
        done += len;
    }
    v->produced += count;
    v->position = (uint32_t)((v->position + count) % size);
}

static bool writes(const struct vmtrace_vcpu *v)
{
    return v->is_enabled && !v->never_runs && (v->ctl & VMTRACE_CTL_ENABLED) &&
           (v->ctl & (VMTRACE_CTL_OS | VMTRACE_CTL_USER)) &&
           !(v->status & (VMTRACE_STATUS_ERROR | VMTRACE_STATUS_STOPPED));
}

/* The bytes of some time; a forced lap is a whole ring more, in no time. */
static void write_for(struct guest_vmtrace *g, struct vmtrace_vcpu *v, uint64_t elapsed_ns)
{
    unsigned __int128 owed = (unsigned __int128)elapsed_ns * g->spec->rate + v->owed;
    uint64_t count = (uint64_t)(owed / CLOCK_NS_PER_S);
    v->owed = (uint64_t)(owed % CLOCK_NS_PER_S);
    v->status |= STATUS_RUNS;
    while (v->laps < g->spec->lap_count && g->spec->lap_at[v->laps] < v->produced + count) {
        count += g->spec->size_bytes;
        v->laps++;
    }
    write_bytes(g, v, count);
}

void guest_vmtrace_advance(struct guest_vmtrace *g, uint64_t now_ns, bool runs)
{
    if (now_ns <= g->advanced_ns) {
        return; /* an event of a moment before the last look, which is told of now */
    }
    uint64_t elapsed_ns = now_ns - g->advanced_ns;
    g->advanced_ns = now_ns;
    for (uint32_t i = 0; i < g->vcpu_count && runs; i++) {
        if (writes(&g->vcpus[i])) {
            write_for(g, &g->vcpus[i], elapsed_ns);
        }
    }
}

/* --- control ----------------------------------------------------------------------------------- */

/* The source goes on: a guest never does the same again. */
static void reset(struct guest_vmtrace *g, struct vmtrace_vcpu *v)
{
    const struct trace_manner m = manner(g, v);
    v->position = 0;
    v->status = 0;
    v->reset_at = v->produced;
    v->resets++;
    trace_source_reset(&v->source, v->produced, &m);
}

static void follow_options(const struct guest_vmtrace *g, struct vmtrace_vcpu *v)
{
    const struct trace_manner m = manner(g, v);
    trace_source_change(&v->source, v->produced, &m);
}

static int switch_on(struct guest_vmtrace *g, struct vmtrace_vcpu *v, bool is_reset)
{
    if (v->is_enabled) {
        return EINVAL;
    }
    v->is_enabled = true;
    v->ctl |= VMTRACE_CTL_ENABLED;
    if (is_reset) {
        reset(g, v);
    } else {
        follow_options(g, v);
    }
    return 0;
}

static int switch_off(struct vmtrace_vcpu *v)
{
    if (!v->is_enabled) {
        return EINVAL;
    }
    v->is_enabled = false;
    v->ctl &= ~VMTRACE_CTL_ENABLED;
    return 0;
}

static int set_option(struct guest_vmtrace *g, struct vmtrace_vcpu *v, uint32_t key, uint64_t value)
{
    if (key == VMTRACE_KEY_CTL && (value & ~CTL_MASK) == 0) {
        v->ctl = value;
        follow_options(g, v);
        return 0;
    }
    if (key == VMTRACE_KEY_STATUS && (value & ~STATUS_MASK) == 0) {
        v->status = value;
        return 0;
    }
    return EINVAL;
}

static int get_option(const struct vmtrace_vcpu *v, uint32_t key, uint64_t *value)
{
    switch (key) {
    case VMTRACE_KEY_CTL: *value = v->ctl; return 0;
    case VMTRACE_KEY_STATUS: *value = v->status; return 0;
    default: return EINVAL;
    }
}

int guest_vmtrace_control(struct guest_vmtrace *g, uint32_t vcpu, enum vmtrace_call call,
                          uint32_t key, uint64_t *value)
{
    assert(vcpu < g->vcpu_count);
    struct vmtrace_vcpu *v = &g->vcpus[vcpu];
    switch (call) {
    case VMTRACE_ENABLE: return switch_on(g, v, false);
    case VMTRACE_DISABLE: return switch_off(v);
    case VMTRACE_RESET_AND_ENABLE: return switch_on(g, v, true);
    case VMTRACE_POSITION: *value = v->answered = v->position; return 0;
    case VMTRACE_GET_OPTION: return get_option(v, key, value);
    case VMTRACE_SET_OPTION: return set_option(g, v, key, *value);
    default: return EOPNOTSUPP;
    }
}

static void happen(struct guest_vmtrace *g, struct vmtrace_vcpu *v, const struct scenario_event *e)
{
    switch (e->action) {
    case SCENARIO_VMTRACE_ENABLE: (void)switch_on(g, v, false); break;
    case SCENARIO_VMTRACE_DISABLE: (void)switch_off(v); break;
    case SCENARIO_VMTRACE_RESET:
        (void)switch_off(v);
        (void)switch_on(g, v, true);
        break;
    case SCENARIO_VMTRACE_CTL: (void)set_option(g, v, VMTRACE_KEY_CTL, e->value); break;
    case SCENARIO_VMTRACE_STATUS: (void)set_option(g, v, VMTRACE_KEY_STATUS, e->value); break;
    case SCENARIO_VMTRACE_EMIT:
        if (writes(v)) {
            write_bytes(g, v, e->value);
        }
        break;
    default: break; /* of no trace */
    }
}

void guest_vmtrace_happen(struct guest_vmtrace *g, const struct scenario_event *e)
{
    for (uint32_t i = 0; i < g->vcpu_count; i++) {
        if (e->vcpu == GUEST_VMTRACE_ALL || (uint32_t)e->vcpu == i) {
            happen(g, &g->vcpus[i], e);
        }
    }
}

/* --- life, and truth --------------------------------------------------------------------------- */

static void init_vcpu(struct guest_vmtrace *g, const struct scenario_domain *d, uint32_t i,
                      const struct pt_options *made_up)
{
    const struct scenario_vmtrace *s = g->spec;
    struct vmtrace_vcpu *v = &g->vcpus[i];
    uint32_t stale = s->size_bytes / LAYOUT_FRAME_BYTES;
    stale = stale < GUEST_VMTRACE_STALE_FRAMES ? stale : GUEST_VMTRACE_STALE_FRAMES;
    memset(g->pages.memory + ring_start(g, v), FOREIGN_BYTE, stale * LAYOUT_FRAME_BYTES);
    v->never_runs = i >= d->vcpus || (s->idle_vcpus[i / 64] >> i % 64 & 1) != 0;
    if (s->source_count > 0) {
        trace_source_init_file(&v->source, s->sources[i % s->source_count], s->is_looped);
    } else {
        trace_source_init_made_up(&v->source, made_up);
    }
    if (s->is_enabled) {
        v->ctl = STALE_CTL;
        (void)switch_on(g, v, false);
    }
}

int guest_vmtrace_init(struct guest_vmtrace *g, const struct scenario_domain *d, uint64_t seed,
                       uint64_t now_ns, struct failure *f)
{
    *g = (struct guest_vmtrace){ .spec = &d->vmtrace, .pages = PAGES_NONE, .advanced_ns = now_ns };
    if (g->spec->size_bytes == 0) {
        return 0;
    }
    g->vcpus = calloc(d->max_vcpus, sizeof(*g->vcpus));
    if (!g->vcpus) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for simulated trace buffers");
    }
    g->vcpu_count = d->max_vcpus;
    int result = pages_new(g->spec->size_bytes / LAYOUT_FRAME_BYTES * d->max_vcpus, &g->pages, f);
    struct pt_options made_up = {
        .tsc_per_block = guest_vmtrace_tsc(PT_BLOCK_BYTES * CLOCK_NS_PER_S) /
                         (g->spec->rate + (g->spec->rate == 0)),
        .has_sequence = g->spec->has_sequence,
    };
    for (uint32_t i = 0; result == 0 && i < d->max_vcpus; i++) {
        made_up.seed = draw_next(&seed);
        init_vcpu(g, d, i, &made_up);
    }
    return result;
}

void guest_vmtrace_done(struct guest_vmtrace *g)
{
    pages_done(&g->pages);
    free(g->vcpus);
    g->vcpus = NULL;
}

void guest_vmtrace_truth(const struct guest_vmtrace *g, uint32_t vcpu, struct sim_trace *out)
{
    const struct vmtrace_vcpu *v = &g->vcpus[vcpu];
    *out = (struct sim_trace){
        .produced = v->produced,
        .reset_at = v->reset_at,
        .resets = v->resets,
        .position = v->position,
        .is_enabled = v->is_enabled,
        .is_writing = writes(v),
        .ctl = v->ctl,
        .status = v->status,
    };
}

bool guest_vmtrace_bytes(const struct guest_vmtrace *g, uint32_t vcpu, uint64_t from, void *out,
                         size_t len_bytes)
{
    const struct vmtrace_vcpu *v = &g->vcpus[vcpu];
    return from <= v->produced && len_bytes <= v->produced - from &&
           trace_source_bytes(&v->source, from, out, len_bytes);
}
