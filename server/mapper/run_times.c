/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Type 3 is nobody's officially: another, unmerged series claims it for something else. So whatever
 * is mapped there is taken for a stats table only when its first bytes say so.
 */
#include "server/mapper/run_times.h"

#include "common/layout.h"
#include "server/mapper/copy.h"

enum {
    STATS_ID_VCPU = 0,
    STATS_FRAMES_MAX = 64,
    ENTRY_BYTES = 16, /* sequence, padding, run time */
};

/* Where they are read from. */
struct place {
    const struct backend_ops *ops;
    struct backend *backend;
    uint16_t domid;
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

static int map_table(const struct place *at, uint32_t frames, struct run_times *r,
                     struct backend_mapping *out, struct failure *f)
{
    *out = (struct backend_mapping){ 0 };
    int result =
        at->ops->map(at->backend, at->domid, RESOURCE_VCPU_STATS, STATS_ID_VCPU, 0, frames, out, f);
    r->maps += result == 0;
    return result;
}

static int read_entries(const struct backend_mapping *table, const struct layout_stats_header *h,
                        uint32_t vcpus, struct run_times *r, struct failure *f)
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
static int read_table(const struct place *at, struct run_times *r, struct failure *f)
{
    struct backend_mapping table;
    int result = map_table(at, 1, r, &table, f);
    if (result < 0) {
        return -ERROR_UNIMPLEMENTED;
    }
    _Alignas(8) struct layout_stats_header h;
    _Static_assert(sizeof(h) == 16, "as it lies in the page");
    result = copy_step(&h, table.address, sizeof(h), NULL, f);
    uint32_t frames = result == 0 ? frames_needed(&h, r->max) : 0;
    if (frames > 1) {
        at->ops->unmap(at->backend, &table);
        if (map_table(at, frames, r, &table, f) < 0) {
            return -ERROR_UNIMPLEMENTED;
        }
    }
    if (result == 0) {
        result = frames ? read_entries(&table, &h, r->max, r, f) : -ERROR_UNIMPLEMENTED;
    }
    at->ops->unmap(at->backend, &table);
    return result;
}

static int read_info(const struct place *at, struct run_times *r, struct failure *f)
{
    int result = at->ops->vcpu_info(at->backend, at->domid, r->vcpus, r->max, &r->count, f);
    if (result < 0) {
        return result;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        r->vcpus[i].run_time_ns &= ~LAYOUT_STATS_INACTIVE;
    }
    r->source = VCPU_STATS_INFO;
    return 0;
}

int run_times_read(const struct backend_ops *ops, struct backend *backend, uint16_t domid,
                   struct run_times *out, struct failure *f)
{
    const struct place at = { ops, backend, domid };
    int result = read_table(&at, out, f);
    return result == -ERROR_UNIMPLEMENTED ? read_info(&at, out, f) : result;
}
