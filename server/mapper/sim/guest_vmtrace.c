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

/* --- where the bytes come from ----------------------------------------------------------------- */

static const struct vmtrace_stretch *last_stretch(const struct vmtrace_vcpu *v)
{
    assert(v->stretch_count > 0);
    return &v->stretches[v->stretch_count - 1];
}

/* The stretch that a byte is of; NULL: it is no longer known. */
static const struct vmtrace_stretch *stretch_at(const struct vmtrace_vcpu *v, uint64_t at)
{
    for (uint32_t i = v->stretch_count; i > 0; i--) {
        if (v->stretches[i - 1].at <= at) {
            return &v->stretches[i - 1];
        }
    }
    return NULL;
}

/* Those that have not begun by `at` are forgotten: this one comes in their place. */
static void begin_stretch(struct vmtrace_vcpu *v, const struct vmtrace_stretch *s)
{
    while (v->stretch_count > 0 && last_stretch(v)->at >= s->at) {
        v->stretch_count--;
    }
    if (v->stretch_count == GUEST_VMTRACE_STRETCHES_MAX) {
        v->stretch_count--;
        memmove(v->stretches, v->stretches + 1, v->stretch_count * sizeof(v->stretches[0]));
    }
    v->stretches[v->stretch_count++] = *s;
}

static uint64_t source_at(const struct vmtrace_vcpu *v)
{
    const struct vmtrace_stretch *s = stretch_at(v, v->produced);
    assert(s); /* the newest, or the one before a newest that begins later */
    return s->source_at + (v->produced - s->at);
}

/* How many more bytes there are. */
static uint64_t source_left(const struct guest_vmtrace *g, const struct vmtrace_vcpu *v)
{
    if (!v->file || g->spec->is_looped) {
        return UINT64_MAX;
    }
    uint64_t at = source_at(v);
    return at < v->file->len_bytes ? v->file->len_bytes - at : 0;
}

static void file_bytes(const struct trace_file *file, uint64_t at, uint8_t *out, size_t len)
{
    for (size_t done = 0, part; done < len; done += part) {
        size_t from = (size_t)((at + done) % file->len_bytes);
        part = file->len_bytes - from < len - done ? file->len_bytes - from : len - done;
        memcpy(out + done, file->bytes + from, part);
    }
}

static bool read_bytes(const struct vmtrace_vcpu *v, uint64_t from, uint8_t *out, size_t len)
{
    for (size_t done = 0; done < len;) {
        const struct vmtrace_stretch *s = stretch_at(v, from + done);
        if (!s) {
            return false;
        }
        uint64_t at = s->source_at + (from + done - s->at);
        bool is_last = s == last_stretch(v);
        size_t part = len - done;
        if (!is_last && s[1].at - (from + done) < part) {
            part = (size_t)(s[1].at - (from + done));
        }
        if (v->file) {
            file_bytes(v->file, at, out + done, part);
        } else {
            pt_bytes(&s->pt, at, out + done, part);
        }
        done += part;
    }
    return true;
}

/* Packets as RTIT_CTL wants them from `at` on, where the source is at a block's begin. */
static void begin_generated(const struct guest_vmtrace *g, struct vmtrace_vcpu *v, uint64_t at,
                            uint64_t from, uint64_t seed)
{
    uint64_t now = guest_vmtrace_tsc(g->advanced_ns);
    struct vmtrace_stretch s = { .at = at, .source_at = from };
    const struct vmtrace_stretch *before = stretch_at(v, at);
    if (before) { /* time stamps never go back */
        uint64_t last = pt_tsc(&before->pt, before->source_at + (at - before->at));
        now = now > last ? now : last;
    }
    s.pt = (struct pt_options){
        .seed = seed,
        .tsc_per_block = g->spec->rate == 0
                             ? 1
                             : guest_vmtrace_tsc(PT_BLOCK_BYTES * CLOCK_NS_PER_S) / g->spec->rate,
        .has_tsc = (v->ctl & VMTRACE_CTL_TSC) != 0,
        .has_sequence = g->spec->has_sequence,
    };
    s.pt.tsc_start = now - pt_tsc(&s.pt, from); /* which wraps, and so does what it is added to */
    begin_stretch(v, &s);
}

/* The options may be others now: they hold from the next block on. A file's bytes are what they are. */
static void follow_options(const struct guest_vmtrace *g, struct vmtrace_vcpu *v)
{
    if (v->file) {
        return;
    }
    uint64_t from = source_at(v), wait = -from % PT_BLOCK_BYTES;
    begin_generated(g, v, v->produced + wait, from + wait, v->seed);
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
    uint64_t left = source_left(g, v);
    count = count < left ? count : left;
    uint64_t skipped = count > size ? count - size : 0;
    uint8_t chunk[CHUNK_BYTES];
    for (uint64_t done = skipped; done < count;) {
        uint32_t at = (uint32_t)((v->position + done) % size);
        size_t len = size - at < sizeof(chunk) ? size - at : sizeof(chunk);
        len = count - done < len ? (size_t)(count - done) : len;
        bool known = read_bytes(v, v->produced + done, chunk, len);
        assert(known); /* as source_at() is */
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

/* The source goes on: a guest never does the same again. Generated packets begin with a PSB. */
static void reset(struct guest_vmtrace *g, struct vmtrace_vcpu *v)
{
    v->position = 0;
    v->status = 0;
    v->owed = 0;
    v->reset_at = v->produced;
    v->resets++;
    if (!v->file) {
        draw_next(&v->seed);
        begin_generated(g, v, v->produced, 0, v->seed);
    }
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
                      uint64_t seed)
{
    const struct scenario_vmtrace *s = g->spec;
    struct vmtrace_vcpu *v = &g->vcpus[i];
    uint32_t stale = s->size_bytes / LAYOUT_FRAME_BYTES;
    stale = stale < GUEST_VMTRACE_STALE_FRAMES ? stale : GUEST_VMTRACE_STALE_FRAMES;
    memset(g->pages.memory + ring_start(g, v), FOREIGN_BYTE, stale * LAYOUT_FRAME_BYTES);
    v->file = s->source_count > 0 ? s->sources[i % s->source_count] : NULL;
    v->never_runs = i >= d->vcpus || (s->idle_vcpus[i / 64] >> i % 64 & 1) != 0;
    v->seed = seed;
    if (v->file) {
        begin_stretch(v, &(struct vmtrace_stretch){ 0 });
    } else {
        begin_generated(g, v, 0, 0, seed);
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
    for (uint32_t i = 0; result == 0 && i < d->max_vcpus; i++) {
        init_vcpu(g, d, i, draw_next(&seed));
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
           read_bytes(v, from, out, len_bytes);
}
