/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See resource.h. */
#include "server/mapper/sim/resource.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/layout.h"
#include "server/mapper/sim/call.h"

enum { MAPPING_FRAMES_MAX = 1 << 20 }; /* Xen and Linux answer ENOMEM from about there on */

struct mapping_handle {
    struct guest *guest;
    size_t len_bytes;
};

static int check_domain(struct backend *b, const struct call *c, struct guest **out,
                        struct failure *f)
{
    if (c->subject.domid == 0) {
        return call_fail(c, EPERM, f); /* our own */
    }
    struct guest *g = world_find(&b->sim->world, c->subject.domid);
    if (!g) {
        return call_fail(c, ESRCH, f);
    }
    world_look(&b->sim->world, g);
    *out = g;
    return 0;
}

/* Of each vCPU's ring. */
static uint32_t vmtrace_frames(const struct guest *g)
{
    return g->spec->vmtrace.size_bytes / LAYOUT_FRAME_BYTES;
}

static int size_of(const struct call *c, const struct guest *g, struct backend_size *out,
                   struct failure *f)
{
    struct backend_size size = { 0 };
    uint32_t first;
    switch (c->subject.type) {
    case RESOURCE_GRANT_TABLE:
        size.grant_version = g->grants.version;
        size.frames_in_use = g->grants.frame_count;
        size.frames_max = g->spec->grant_frames_max;
        if (c->subject.id > GRANT_TABLE_STATUS) {
            return call_fail(c, EINVAL, f);
        }
        if (c->subject.id == GRANT_TABLE_SHARED) {
            break;
        }
        if (g->grants.version != 2) {
            return call_fail(c, EINVAL, f);
        }
        layout_status_range(0, g->grants.frame_count, &first, &size.frames_in_use);
        layout_status_range(0, g->spec->grant_frames_max, &first, &size.frames_max);
        break;
    case RESOURCE_IOREQ_SERVER: /* whether the server exists or not */
        if (g->spec->type == DOMAIN_PV) {
            return call_fail(c, EINVAL, f);
        }
        size.frames_in_use = size.frames_max =
            1 +
            (g->spec->max_vcpus * LAYOUT_IOREQ_BYTES + LAYOUT_FRAME_BYTES - 1) / LAYOUT_FRAME_BYTES;
        break;
    case RESOURCE_VMTRACE_BUF: /* the vCPU is not looked at */
        if (!g->vmtrace.vcpus) {
            return call_fail(c, EINVAL, f);
        }
        size.frames_in_use = size.frames_max = vmtrace_frames(g);
        break;
    case RESOURCE_VCPU_STATS:
        if (!g->stats.memory) {
            return call_fail(c, EOPNOTSUPP, f);
        }
        size.frames_in_use = size.frames_max = g->stats.frame_count;
        break;
    default: return call_fail(c, EOPNOTSUPP, f);
    }
    *out = size;
    return 0;
}

/* Xen tells the version by a call of its own. */
static int ask_version(struct backend *b, const struct call *size, struct failure *f)
{
    const struct call c = { SCENARIO_OP_GRANT_VERSION, size->subject };
    const struct scenario_fault *fault;
    int result = call_enter(b, &c, &fault, f);
    if (result == 0) {
        call_leave(b, &c, fault);
    }
    return result;
}

int resource_size(struct backend *b, uint16_t domid, uint32_t type, uint32_t id,
                  struct backend_size *out, struct failure *f)
{
    const struct call c = { SCENARIO_OP_SIZE, { .domid = domid, .type = (int32_t)type, .id = id } };
    const struct scenario_fault *fault;
    struct guest *g;
    CALL_LOCKED(b);
    int result = call_enter(b, &c, &fault, f);
    if (result == 0) {
        result = check_domain(b, &c, &g, f);
    }
    if (result == 0 && type == RESOURCE_GRANT_TABLE) {
        result = ask_version(b, &c, f);
        if (result == 0) {
            result = check_domain(b, &c, &g, f); /* it may be gone since */
        }
    }
    if (result == 0) {
        result = size_of(&c, g, out, f);
    }
    if (result < 0) {
        return result;
    }
    if (fault && fault->effect == SCENARIO_WRONG_SIZE) {
        out->frames_in_use = out->frames_max = fault->value;
    }
    call_leave(b, &c, fault);
    return 0;
}

/* As gnttab_acquire_resource(): more than is in use makes the table grow, up to its maximum. */
static int grant_pages(struct backend *b, const struct call *c, struct guest *g, uint64_t end,
                       const struct pages **out, struct failure *f)
{
    if (c->subject.id > GRANT_TABLE_STATUS) {
        return call_fail(c, EINVAL, f);
    }
    bool status = c->subject.id == GRANT_TABLE_STATUS;
    if (status && g->grants.version != 2) {
        return call_fail(c, EINVAL, f);
    }
    const struct pages *p = status ? &g->grants.status : &g->grants.shared;
    if (end > p->frame_count) {
        return call_fail(c, EINVAL, f);
    }
    uint64_t needed = status ? end * 8 : end;
    if (needed > g->spec->grant_frames_max) {
        needed = g->spec->grant_frames_max;
    }
    uint32_t first, in_use = g->grants.frame_count;
    if (status) {
        layout_status_range(0, g->grants.frame_count, &first, &in_use);
    }
    if (end > in_use) {
        b->sim->ledger.grant_tables_grown++;
        g->grants.frame_count = (uint32_t)needed;
    }
    *out = p;
    return 0;
}

static int ioreq_pages(struct backend *b, const struct call *c, struct guest *g, uint64_t end,
                       const struct pages **out, struct failure *f)
{
    uint32_t id = c->subject.id;
    if (g->spec->type == DOMAIN_PV) {
        return call_fail(c, EINVAL, f);
    }
    if (g->dying || id >= SCENARIO_IOREQ_SERVERS_MAX || !g->ioreq[id].exists) {
        return call_fail(c, ENOENT, f);
    }
    if (g->spec->ioreq[id].in_stub_domain) {
        return call_fail(c, EPERM, f);
    }
    if (end > SCENARIO_IOREQ_FRAMES) {
        return call_fail(c, EINVAL, f);
    }
    bool allocated;
    int result = guest_ioreq_pages(g, id, &allocated, f); /* both, whichever is asked for */
    if (result < 0) {
        return result;
    }
    if (allocated) {
        b->sim->ledger.ioreq_allocations++;
    }
    if (c->subject.first_frame == 0 && !g->spec->ioreq[id].buffered) {
        return call_fail(c, ENOENT, f);
    }
    *out = &g->ioreq[id].pages;
    return 0;
}

/* Which pages the call means; *skip: frames of `out` before the resource's own first one. */
static int resource_pages(struct backend *b, const struct call *c, struct guest *g,
                          const struct pages **out, uint32_t *skip, struct failure *f)
{
    const struct explain_subject *s = &c->subject;
    uint64_t end = (uint64_t)s->first_frame + s->frame_count;
    *skip = 0;
    if (s->frame_count >= MAPPING_FRAMES_MAX) {
        return call_fail(c, ENOMEM, f);
    }
    switch (s->type) {
    case RESOURCE_GRANT_TABLE: return grant_pages(b, c, g, end, out, f);
    case RESOURCE_IOREQ_SERVER: return ioreq_pages(b, c, g, end, out, f);
    case RESOURCE_VMTRACE_BUF:
        if (g->dying || !g->vmtrace.vcpus) {
            return call_fail(c, EINVAL, f);
        }
        if (s->id >= g->spec->max_vcpus) {
            return call_fail(c, ENOENT, f);
        }
        if (end > vmtrace_frames(g)) {
            return call_fail(c, EINVAL, f);
        }
        *skip = s->id * vmtrace_frames(g);
        *out = &g->vmtrace.pages;
        return 0;
    case RESOURCE_VCPU_STATS:
        if (!g->stats.memory) {
            return call_fail(c, EOPNOTSUPP, f);
        }
        if (end > g->stats.frame_count) {
            return call_fail(c, EINVAL, f);
        }
        *out = &g->stats;
        return 0;
    default: return call_fail(c, EOPNOTSUPP, f);
    }
}

static int map_pages(struct backend *b, const struct call *c, struct guest *g,
                     struct backend_mapping *out, struct failure *f)
{
    const struct pages *p = NULL;
    uint32_t skip;
    int result = resource_pages(b, c, g, &p, &skip, f);
    if (result < 0) {
        return result;
    }
    struct mapping_handle *handle = malloc(sizeof(*handle));
    void *memory =
        handle ? pages_map(p, skip + c->subject.first_frame, c->subject.frame_count) : NULL;
    if (!memory) {
        free(handle);
        return call_fail(c, ENOMEM, f);
    }
    *handle = (struct mapping_handle){
        .guest = g,
        .len_bytes = (size_t)c->subject.frame_count * LAYOUT_FRAME_BYTES,
    };
    g->mappings++;
    b->sim->ledger.live_mappings++;
    if (c->subject.type == RESOURCE_GRANT_TABLE && c->subject.id == GRANT_TABLE_STATUS) {
        b->sim->ledger.status_maps++;
    }
    *out = (struct backend_mapping){ .address = memory,
                                     .frame_count = c->subject.frame_count,
                                     .handle = handle };
    return 0;
}

int resource_map(struct backend *b, uint16_t domid, uint32_t type, uint32_t id,
                 uint32_t first_frame, uint32_t frame_count, struct backend_mapping *out,
                 struct failure *f)
{
    const struct call c = { SCENARIO_OP_MAP,
                            { .domid = domid,
                              .type = (int32_t)type,
                              .id = id,
                              .first_frame = first_frame,
                              .frame_count = frame_count } };
    const struct scenario_fault *fault;
    struct guest *g;
    assert(frame_count > 0); /* the core's promise */
    CALL_LOCKED(b);
    int result = call_enter(b, &c, &fault, f);
    if (result == 0) {
        result = check_domain(b, &c, &g, f);
    }
    if (result == 0) {
        result = map_pages(b, &c, g, out, f);
    }
    if (result < 0) {
        return result;
    }
    b->sim->ledger.maps++;
    if (fault && fault->effect == SCENARIO_PAGES_LOST) {
        guest_lose_pages(g);
    }
    call_leave(b, &c, fault);
    call_delay(b->sim, SIM_AFTER_MAP);
    return 0;
}

void resource_unmap(struct backend *b, struct backend_mapping *mapping)
{
    struct mapping_handle *handle = mapping->handle;
    CALL_LOCKED(b);
    const struct call c = { SCENARIO_OP_UNMAP,
                            { .domid = handle->guest->domid, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    struct failure f;
    if (call_enter(b, &c, &fault, &f) < 0) {
        backend_give_up(f.xen_errno);
    }
    b->sim->ledger.live_mappings--;
    munmap((void *)(uintptr_t)mapping->address, handle->len_bytes);
    world_unmapped(&b->sim->world, handle->guest);
    free(handle);
    *mapping = (struct backend_mapping){ 0 };
    call_leave(b, &c, fault);
}
