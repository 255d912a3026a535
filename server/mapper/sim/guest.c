/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See guest.h. */
#include "server/mapper/sim/guest.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/layout.h"
#include "server/mapper/sim/draw.h"

enum { STATS_OFFSET_BYTES = 16, STATS_STRIDE_BYTES = 16 };
#define ELAPSED_MAX_NS (1000 * CLOCK_NS_PER_S) /* in one look, so that products with rates fit */

static void tell_change(void *arg, const struct pages *p, size_t offset_bytes, uint64_t before,
                        uint64_t after)
{
    struct guest *g = arg;
    g->words_changed++;
    if (!g->told->observer.changed) {
        return;
    }
    struct sim_change change = {
        .at_ns = g->told->now_ns,
        .of = { .domid = g->domid, .type = p->type, .id = p->id },
        .offset_bytes = offset_bytes,
        .before = before,
        .after = after,
    };
    memcpy(change.uuid, g->uuid, sizeof(change.uuid));
    g->told->observer.changed(g->told->observer.arg, &change);
}

uint64_t guest_vcpu_time_ns(const struct guest *g, uint32_t vcpu)
{
    return vcpu < g->spec->vcpus ? g->cpu_time_ns / g->spec->vcpus : 0;
}

/* Under the entry's sequence lock, as Xen writes it. */
static void move_vcpu(struct guest *g, uint32_t vcpu)
{
    size_t offset = STATS_OFFSET_BYTES + (size_t)vcpu * STATS_STRIDE_BYTES;
    uint64_t sequence, time_ns = guest_vcpu_time_ns(g, vcpu);
    memcpy(&sequence, g->stats.memory + offset, sizeof(sequence));
    if (vcpu >= g->spec->vcpus) {
        time_ns |= LAYOUT_STATS_INACTIVE;
    }
    bool is_free = sequence % 2 == 0;
    sequence += is_free;
    pages_store(&g->stats, offset, &sequence, sizeof(sequence));
    pages_store(&g->stats, offset + sizeof(sequence), &time_ns, sizeof(time_ns));
    sequence += is_free;
    pages_store(&g->stats, offset, &sequence, sizeof(sequence));
}

static void move_stats(struct guest *g)
{
    for (uint32_t vcpu = 0; g->stats.memory && !g->stats.lost && vcpu < g->spec->max_vcpus;
         vcpu++) {
        move_vcpu(g, vcpu);
    }
}

static int make_stats(struct guest *g, bool busy, struct failure *f)
{
    size_t bytes = STATS_OFFSET_BYTES + (size_t)g->spec->max_vcpus * STATS_STRIDE_BYTES;
    uint32_t frames = (uint32_t)((bytes + LAYOUT_FRAME_BYTES - 1) / LAYOUT_FRAME_BYTES);
    int result = pages_new(frames, &g->stats, f);
    if (result < 0) {
        return result;
    }
    g->stats.type = RESOURCE_VCPU_STATS;
    g->stats.observer = &g->observer;
    struct layout_stats_header header = {
        .magic = LAYOUT_STATS_MAGIC,
        .offset_bytes = STATS_OFFSET_BYTES,
        .size_bytes = STATS_STRIDE_BYTES,
        .stride_bytes = STATS_STRIDE_BYTES,
    };
    pages_store(&g->stats, 0, &header, sizeof(header));
    move_stats(g);
    if (busy) {
        const uint64_t being_written = 1; /* an odd number, for ever */
        pages_store(&g->stats, STATS_OFFSET_BYTES, &being_written, sizeof(being_written));
    }
    return 0;
}

static void init(struct guest *g, const struct scenario *s, const struct guest_birth *birth,
                 struct guest_told *told, uint64_t *seed)
{
    g->spec = &s->domains[birth->spec_index];
    g->spec_index = birth->spec_index;
    g->domid = birth->domid;
    g->state = g->spec->state;
    g->shutdown_code = g->state == DOMAIN_CRASHED ? SCENARIO_SHUTDOWN_CRASH : 0;
    g->told = told;
    g->observer = (struct pages_observer){ .changed = tell_change, .arg = g };
    g->created_ns = g->advanced_ns = birth->now_ns;
    g->stats = PAGES_NONE;
    memcpy(g->uuid, birth->uuid ? birth->uuid : g->spec->uuid, sizeof(g->uuid));
    memcpy(g->name, g->spec->name, sizeof(g->name));
    memcpy(g->tags.value, g->spec->tags, sizeof(g->tags.value));
    for (uint32_t i = 0; i < SCENARIO_IOREQ_SERVERS_MAX; i++) {
        guest_ioreqs_init(&g->ioreq[i], &g->spec->ioreq[i], i, g->spec->vcpus, draw_next(seed));
    }
}

int guest_new(const struct scenario *s, const struct guest_birth *birth, struct guest_told *told,
              struct guest **out, struct failure *f)
{
    struct guest *g = calloc(1, sizeof(*g));
    uint64_t seed = s->seed ^ ((uint64_t)birth->spec_index << 32);
    if (!g) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a simulated domain");
    }
    init(g, s, birth, told, &seed);
    int result = guest_grants_init(&g->grants, g->spec, draw_next(&seed), &g->observer, f);
    if (result == 0) {
        result = guest_vmtrace_init(&g->vmtrace, g->spec, draw_next(&seed), birth->now_ns, f);
    }
    if (result == 0 && s->host.stats_table) {
        result = make_stats(g, s->host.stats_busy, f);
    }
    if (result < 0) {
        guest_free(g);
        return result;
    }
    *out = g;
    return 0;
}

void guest_free(struct guest *g)
{
    if (!g) {
        return;
    }
    guest_grants_done(&g->grants);
    guest_vmtrace_done(&g->vmtrace);
    pages_done(&g->stats);
    for (uint32_t i = 0; i < SCENARIO_IOREQ_SERVERS_MAX; i++) {
        guest_ioreqs_done(&g->ioreq[i]);
    }
    free(g);
}

void guest_advance(struct guest *g, uint64_t now_ns)
{
    bool runs = !g->dying && (g->state == DOMAIN_RUNNING || g->state == DOMAIN_BLOCKED);
    guest_vmtrace_advance(&g->vmtrace, now_ns, runs);
    if (now_ns < g->advanced_ns + CLOCK_NS_PER_MS) {
        return; /* or an event of a moment before the last look, which is told of now */
    }
    uint64_t elapsed_ns = now_ns - g->advanced_ns;
    g->advanced_ns = now_ns;
    if (!runs) {
        return;
    }
    g->ran_ns += elapsed_ns;
    g->cpu_time_ns += elapsed_ns / 100 * g->spec->cpu_percent * g->spec->vcpus;
    if (elapsed_ns > ELAPSED_MAX_NS) {
        elapsed_ns = ELAPSED_MAX_NS;
    }
    guest_grants_advance(&g->grants, elapsed_ns, g->ran_ns);
    for (uint32_t id = 0; id < SCENARIO_IOREQ_SERVERS_MAX; id++) {
        guest_ioreqs_advance(&g->ioreq[id], elapsed_ns, g->ran_ns);
    }
    move_stats(g);
}

int guest_ioreq_pages(struct guest *g, uint32_t id, bool *allocated, struct failure *f)
{
    return guest_ioreqs_acquire(&g->ioreq[id], g->ran_ns, &g->observer, allocated, f);
}

void guest_lose_pages(struct guest *g)
{
    guest_grants_lose(&g->grants);
    for (uint32_t i = 0; i < SCENARIO_IOREQ_SERVERS_MAX; i++) {
        pages_lose(&g->ioreq[i].pages);
    }
    pages_lose(&g->vmtrace.pages);
    pages_lose(&g->stats);
}
