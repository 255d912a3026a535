/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See truth.h; sim_open() is backend.c's. */
#include "server/mapper/sim/truth.h"

#include <string.h>

#include "common/layout.h"
#include "server/mapper/sim/call.h"
#include "server/mapper/sim/timeline.h"

uint64_t sim_now_ns(struct backend *b)
{
    CALL_LOCKED(b);
    return world_now_ns(&b->sim->world);
}

void sim_advance(struct backend *b, uint64_t by_ns)
{
    CALL_LOCKED(b);
    timeline_advance(&b->sim->world, by_ns);
    call_update_wake(b->sim);
}

void sim_step(struct backend *b)
{
    CALL_LOCKED(b);
    timeline_step(&b->sim->world);
    call_update_wake(b->sim);
}

static const struct pages *pages_of(const struct guest *g, const struct sim_resource *what)
{
    switch (what->type) {
    case RESOURCE_GRANT_TABLE:
        return what->id == GRANT_TABLE_STATUS ? &g->grants.status : &g->grants.shared;
    case RESOURCE_IOREQ_SERVER:
        return what->id < SCENARIO_IOREQ_SERVERS_MAX ? &g->ioreq[what->id].pages : NULL;
    case RESOURCE_VMTRACE_BUF: return &g->vmtrace.pages;
    case RESOURCE_VCPU_STATS: return &g->stats;
    default: return NULL;
    }
}

/* A resource's own frames among them: `count` from `first` on. NULL: there are none. */
static const struct pages *frames_of(const struct guest *g, const struct sim_resource *what,
                                     uint32_t *first, uint32_t *count)
{
    const struct pages *p = pages_of(g, what);
    if (!p || !p->memory || p->lost) {
        return NULL;
    }
    *first = 0;
    *count = p->frame_count;
    if (what->type == RESOURCE_VMTRACE_BUF) {
        *count /= g->vmtrace.vcpu_count;
        *first = what->id * *count;
        return what->id < g->vmtrace.vcpu_count ? p : NULL;
    }
    return p;
}

bool sim_read(struct backend *b, const struct sim_resource *what, uint32_t first_frame,
              uint32_t frame_count, void *out)
{
    CALL_LOCKED(b);
    const struct guest *g = world_find(&b->sim->world, what->domid);
    uint32_t first, count;
    const struct pages *p = g ? frames_of(g, what, &first, &count) : NULL;
    if (!p || frame_count > count || first_frame > count - frame_count) {
        return false;
    }
    memcpy(out, p->memory + (size_t)(first + first_frame) * LAYOUT_FRAME_BYTES,
           (size_t)frame_count * LAYOUT_FRAME_BYTES);
    return true;
}

void sim_delay(struct backend *b, const struct sim_delays *delays)
{
    CALL_LOCKED(b);
    b->sim->delays = *delays;
    memset(b->sim->moments, 0, sizeof(b->sim->moments));
}

/* The guest that has this vCPU's ring; NULL: none. */
static const struct guest *traced(const struct backend *b, uint16_t domid, uint32_t vcpu)
{
    const struct guest *g = world_find(&b->sim->world, domid);
    return g && vcpu < g->vmtrace.vcpu_count ? g : NULL;
}

bool sim_trace(struct backend *b, uint16_t domid, uint32_t vcpu, struct sim_trace *out)
{
    CALL_LOCKED(b);
    const struct guest *g = traced(b, domid, vcpu);
    if (g) {
        guest_vmtrace_truth(&g->vmtrace, vcpu, out);
    }
    return g != NULL;
}

bool sim_trace_bytes(struct backend *b, uint16_t domid, uint32_t vcpu, uint64_t from, void *out,
                     size_t len_bytes)
{
    CALL_LOCKED(b);
    const struct guest *g = traced(b, domid, vcpu);
    return g && guest_vmtrace_bytes(&g->vmtrace, vcpu, from, out, len_bytes);
}

bool sim_table(struct backend *b, uint16_t domid, struct sim_table *out)
{
    CALL_LOCKED(b);
    const struct guest *g = world_find(&b->sim->world, domid);
    if (!g) {
        return false;
    }
    *out = (struct sim_table){ .version = g->grants.version,
                               .frames_in_use = g->grants.frame_count,
                               .is_dying = g->dying };
    memcpy(out->uuid, g->uuid, sizeof(out->uuid));
    return true;
}

bool sim_changes(struct backend *b, uint16_t domid, struct sim_changes *out)
{
    CALL_LOCKED(b);
    const struct guest *g = world_find(&b->sim->world, domid);
    if (!g) {
        return false;
    }
    *out = (struct sim_changes){ .words = g->words_changed, .grants = g->grants.changes };
    for (uint32_t id = 0; id < SCENARIO_IOREQ_SERVERS_MAX; id++) {
        out->ioreqs += g->ioreq[id].moves;
        out->buffered_requests += g->ioreq[id].buffered;
    }
    return true;
}

void sim_observe(struct backend *b, const struct sim_observer *observer)
{
    CALL_LOCKED(b);
    b->sim->world.told.observer = *observer;
}
