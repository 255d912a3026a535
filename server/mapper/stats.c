/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Type 3 is nobody's officially: another, unmerged series claims it for something else. So whatever
 * is mapped there is taken for a stats table only when its first bytes say so.
 */
#include "server/mapper/stats.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/layout.h"
#include "common/scope.h"
#include "server/mapper/copy.h"
#include "server/mapper/claim.h"

enum {
    STATS_ID_VCPU = 0,
    STATS_FRAMES_MAX = 64,
    ENTRY_BYTES = 16, /* sequence, padding, run time */
};

struct reading {
    struct message_vcpu *vcpus;
    uint32_t count, max;
    uint32_t source;
};

/*
 * The frames that a table with this header needs for `vcpus` entries; 0: it is no stats table that
 * we know. (A table may be longer than the first frame, which is all that is known
 * yet, so that layout_stats_header() cannot judge it here.)
 */
static uint32_t frames_needed(const struct layout_stats_header *h, uint32_t vcpus)
{
    if (h->magic != LAYOUT_STATS_MAGIC || h->offset_bytes < sizeof(*h) || h->offset_bytes % 8 ||
        h->stride_bytes % 8 || h->size_bytes < ENTRY_BYTES || h->stride_bytes < h->size_bytes) {
        return 0;
    }
    uint64_t bytes = h->offset_bytes + (uint64_t)h->stride_bytes * vcpus;
    uint64_t frames = (bytes + MESSAGE_FRAME_BYTES - 1) / MESSAGE_FRAME_BYTES;
    return frames <= STATS_FRAMES_MAX ? (uint32_t)frames : 0;
}

static int map_table(struct mapper *m, uint16_t domid, uint32_t frames, struct backend_mapping *out,
                     struct failure *f)
{
    *out = (struct backend_mapping){ 0 };
    int result =
        m->ops->map(m->backend, domid, RESOURCE_VCPU_STATS, STATS_ID_VCPU, 0, frames, out, f);
    m->brief_maps += result == 0;
    return result;
}

static int read_entries(const struct backend_mapping *table, const struct layout_stats_header *h,
                        uint32_t vcpus, struct reading *r, struct failure *f)
{
    for (uint32_t vcpu = 0; vcpu < vcpus; vcpu++) {
        const volatile uint64_t *entry =
            (const volatile uint64_t *)((const volatile uint8_t *)table->address + h->offset_bytes +
                                        (size_t)vcpu * h->stride_bytes);
        struct message_vcpu *out = &r->vcpus[vcpu];
        *out = (struct message_vcpu){ .vcpu = vcpu };
        uint64_t value = 0;
        int result = copy_sequence_locked(entry, entry + 1, &value, f);
        if (result == -ERROR_UNAVAILABLE) {
            out->flags = VCPU_UNREADABLE;
        } else if (result < 0) {
            return result;
        } else if (!(value & LAYOUT_STATS_INACTIVE)) {
            out->flags = VCPU_ONLINE;
        }
        out->run_time_ns = value & ~LAYOUT_STATS_INACTIVE;
    }
    r->count = vcpus;
    r->source = VCPU_STATS_TABLE;
    return 0;
}

/* 0, or -ERROR_UNIMPLEMENTED where there is no table: the caller then asks by hypercall. */
static int read_table(struct mapper *m, uint16_t domid, struct reading *r, struct failure *f)
{
    struct backend_mapping table;
    int result = map_table(m, domid, 1, &table, f);
    if (result < 0) {
        return -ERROR_UNIMPLEMENTED;
    }
    _Alignas(8) struct layout_stats_header h;
    _Static_assert(sizeof(h) == 16, "as it lies in the page");
    result = copy_step(&h, table.address, sizeof(h), NULL, f);
    uint32_t frames = result == 0 ? frames_needed(&h, r->max) : 0;
    if (frames > 1) {
        m->ops->unmap(m->backend, &table);
        if (map_table(m, domid, frames, &table, f) < 0) {
            return -ERROR_UNIMPLEMENTED;
        }
    }
    if (result == 0) {
        result = frames ? read_entries(&table, &h, r->max, r, f) : -ERROR_UNIMPLEMENTED;
    }
    m->ops->unmap(m->backend, &table);
    return result;
}

static int read_info(struct mapper *m, uint16_t domid, struct reading *r, struct failure *f)
{
    int result = m->ops->vcpu_info(m->backend, domid, r->vcpus, r->max, &r->count, f);
    if (result < 0) {
        return result;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        r->vcpus[i].run_time_ns &= ~LAYOUT_STATS_INACTIVE;
    }
    r->source = VCPU_STATS_INFO;
    return 0;
}

/* Into a slot, and the answer about it. */
static int deliver(struct mapper *m, const struct message_vcpu_stats *request,
                   const struct reading *r, union message *out, struct failure *f)
{
    struct message_vcpu_stats_answer *a = &out->vcpu_stats_answer;
    size_t len_bytes = r->count * sizeof(r->vcpus[0]);
    if (len_bytes == 0) {
        return failure_set(f, ERROR_FAILED_PRECONDITION, "domain %u has no vCPUs",
                           request->domain.domid);
    }
    int result = arena_take(m->arena, len_bytes, &a->slot, f);
    if (result < 0) {
        return result;
    }
    struct copy_digest *digest = copy_digest_new();
    if (digest) {
        copy_digest_begin(digest);
        copy_digest_add(digest, request->domain.incarnation, sizeof(request->domain.incarnation));
        result = copy_step(arena_slot_bytes(m->arena, &a->slot), r->vcpus, len_bytes, digest, f);
        copy_digest_end(digest, a->observation.digest);
        copy_digest_free(digest);
    } else {
        result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a digest");
    }
    if (result < 0) {
        arena_release(m->arena, a->slot.index, a->slot.generation);
    }
    a->source = r->source;
    a->vcpu_count = r->count;
    a->observation.consistency = r->source == VCPU_STATS_TABLE ? SNAPSHOT_SEQUENCE_LOCKED : 0;
    return result;
}

int stats_read(struct mapper *m, const struct message_vcpu_stats *request, union message *out,
               struct failure *f)
{
    const struct domain_identity *domain = &request->domain;
    const struct directory_entry *e;
    uint64_t monotonic_ns = clock_monotonic_ns();
    if (request->deadline_ns != 0 && monotonic_ns > request->deadline_ns) {
        return failure_set(f, ERROR_DEADLINE_EXCEEDED, "the deadline passed before it was begun");
    }
    int result = claim_allowed(m, domain, RESOURCE_VCPU_STATS, EXPORT_SNAPSHOT, f);
    if (result == 0) {
        result = claim_check(m, domain, &e, f);
    }
    if (result < 0) {
        return result;
    }

    struct reading r = { .max = e->domain.max_vcpus };
    if (r.max > MESSAGE_VCPUS_MAX) {
        r.max = MESSAGE_VCPUS_MAX;
    }
    SCOPE_FREE struct message_vcpu *vcpus = calloc(r.max ? r.max : 1, sizeof(*vcpus));
    if (!vcpus) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %u vCPUs", r.max);
    }
    r.vcpus = vcpus;
    memset(&out->vcpu_stats_answer, 0, sizeof(out->vcpu_stats_answer));
    message_init(out, MESSAGE_VCPU_STATS | MESSAGE_ANSWER, request->head.serial);
    struct message_observation *o = &out->vcpu_stats_answer.observation;
    o->wall_ns = clock_wall_ns();
    o->monotonic_ns = monotonic_ns;
    result = read_table(m, domain->domid, &r, f);
    if (result == -ERROR_UNIMPLEMENTED) {
        result = read_info(m, domain->domid, &r, f);
    }
    struct failure changed;
    if (claim_check(m, domain, NULL, &changed) < 0) {
        if (f) {
            *f = changed;
        }
        return -changed.code;
    }
    if (result < 0) {
        return result;
    }
    o->copy_duration_ns = clock_monotonic_ns() - monotonic_ns;
    return deliver(m, request, &r, out, f);
}
