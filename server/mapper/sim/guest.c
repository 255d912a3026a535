/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See guest.h. Entries are written as a guest writes them: whole words at a time. */
#include "server/mapper/sim/guest.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/layout.h"

enum {
    STATS_OFFSET_BYTES = 16,
    STATS_STRIDE_BYTES = 16,
    CHANGES_MAX = 1 << 20, /* made in one look, however long ago the last one was */
    IOREQ_STEPS_MAX = 4096,
};
/* What trace buffers hold before any trace: it stands for another guest's memory, and must never be
 * seen by anybody. */
enum { FOREIGN_BYTE = 0xa5 };

/* splitmix64: the same numbers from the same seed, everywhere. */
static uint64_t draw(struct guest *g)
{
    uint64_t z = (g->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void store_words(void *to, const void *from, size_t words)
{
    uint64_t *out = to;
    for (size_t i = 0; i < words; i++) {
        uint64_t w;
        memcpy(&w, (const uint8_t *)from + 8 * i, 8);
        __atomic_store_n(out + i, w, __ATOMIC_RELAXED);
    }
}

static void put_grant(struct guest *g, struct layout_grant *grant)
{
    uint64_t entry[2] = { 0 };
    uint16_t use = (uint16_t)((grant->reading ? LAYOUT_GTF_READING : 0) |
                              (grant->writing ? LAYOUT_GTF_WRITING : 0));
    grant->flags = (uint16_t)((unsigned)grant->kind | (grant->readonly ? LAYOUT_GTF_READONLY : 0U) |
                              (grant->has_sub_page ? LAYOUT_GTF_SUB_PAGE : 0U));
    /* Xen notes the use of a grant in its flags in version 1, in its status in version 2. */
    if (g->grant_version == 1) {
        grant->flags |= use;
    } else {
        grant->status = use;
    }
    if (g->grant_version == 1) {
        layout_put_grant_v1(entry, grant);
        store_words(g->grants.memory + (size_t)grant->reference * LAYOUT_GRANT_V1_BYTES, entry, 1);
        return;
    }
    uint16_t status = 0;
    layout_put_grant_v2(entry, &status, grant);
    store_words(g->grants.memory + (size_t)grant->reference * LAYOUT_GRANT_V2_BYTES, entry, 2);
    uint16_t *to = (uint16_t *)(void *)g->status.memory + grant->reference;
    __atomic_store_n(to, status, __ATOMIC_RELAXED);
}

/* A page shared with a backend in dom0, as drivers share them. */
static void share(struct guest *g, uint32_t reference)
{
    uint64_t r = draw(g);
    struct layout_grant grant = {
        .reference = reference,
        .kind = LAYOUT_GRANT_PERMIT_ACCESS,
        .domid = 0,
        .frame = 0x1000 + (r >> 44),
        .readonly = (r & 3) == 0,
        .reading = (r & 0x30) == 0x10,
        .writing = false,
    };
    grant.writing = grant.reading && !grant.readonly && (r & 0x40) != 0;
    if (g->grant_version == 2 && (r & 0xf00) == 0x100) {
        grant.has_sub_page = true;
        grant.sub_page_offset_bytes = (uint16_t)((r >> 16) & 0x7ff);
        grant.sub_page_length_bytes = 512;
    }
    put_grant(g, &grant);
}

static void fill_grants(struct guest *g)
{
    const uint16_t owners[] = { 0, 0 }; /* the console and the xenstore ring, to dom0 */
    for (uint32_t r = 0; r < 2 && r < g->spec->grant_entries; r++) {
        struct layout_grant grant = { .reference = r,
                                      .kind = LAYOUT_GRANT_PERMIT_ACCESS,
                                      .domid = owners[r],
                                      .frame = 0xff000U + r };
        put_grant(g, &grant);
    }
    for (uint32_t r = GUEST_RESERVED_REFERENCES; r < g->spec->grant_entries; r++) {
        share(g, r);
    }
}

static int make_grants(struct guest *g, struct failure *f)
{
    g->grant_version = g->spec->grant_version;
    g->grant_frames = g->spec->grant_frames;
    uint32_t status_frames, first;
    layout_status_range(0, g->spec->grant_frames_max, &first, &status_frames);
    int result = pages_new(g->spec->grant_frames_max, &g->grants, f);
    if (result == 0) {
        result = pages_new(status_frames, &g->status, f);
    }
    if (result == 0) {
        fill_grants(g);
    }
    return result;
}

static int make_vmtrace(struct guest *g, struct failure *f)
{
    uint32_t frames = g->spec->vmtrace_kib / 4 * g->spec->max_vcpus;
    if (frames == 0) {
        return 0;
    }
    int result = pages_new(frames, &g->vmtrace, f);
    /* The first page of each buffer is enough to show a leak, and keeps the others unallocated. */
    for (uint32_t i = 0; result == 0 && i < frames; i += g->spec->vmtrace_kib / 4) {
        memset(g->vmtrace.memory + (size_t)i * LAYOUT_FRAME_BYTES, FOREIGN_BYTE,
               LAYOUT_FRAME_BYTES);
    }
    return result;
}

uint64_t guest_vcpu_time_ns(const struct guest *g, uint32_t vcpu)
{
    return vcpu < g->spec->vcpus ? g->cpu_time_ns / g->spec->vcpus : 0;
}

static void move_stats(struct guest *g)
{
    for (uint32_t vcpu = 0; g->stats.memory && !g->stats.lost && vcpu < g->spec->max_vcpus;
         vcpu++) {
        uint64_t *entry = (uint64_t *)(void *)(g->stats.memory + STATS_OFFSET_BYTES +
                                               (size_t)vcpu * STATS_STRIDE_BYTES);
        uint64_t time_ns = guest_vcpu_time_ns(g, vcpu);
        if (vcpu >= g->spec->vcpus) {
            time_ns |= LAYOUT_STATS_INACTIVE;
        }
        if (*entry % 2 == 0) {
            __atomic_store_n(entry, *entry + 2, __ATOMIC_RELAXED);
        }
        __atomic_store_n(entry + 1, time_ns, __ATOMIC_RELAXED);
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
    struct layout_stats_header header = {
        .magic = LAYOUT_STATS_MAGIC,
        .offset_bytes = STATS_OFFSET_BYTES,
        .size_bytes = STATS_STRIDE_BYTES,
        .stride_bytes = STATS_STRIDE_BYTES,
    };
    memcpy(g->stats.memory, &header, sizeof(header));
    move_stats(g);
    if (busy) {
        g->stats.memory[STATS_OFFSET_BYTES] = 1; /* an odd number: being written, for ever */
    }
    return 0;
}

int guest_new(const struct scenario *s, uint32_t spec_index, uint16_t domid, uint64_t now_ns,
              struct guest **out, struct failure *f)
{
    struct guest *g = calloc(1, sizeof(*g));
    if (!g) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a simulated domain");
    }
    g->spec = &s->domains[spec_index];
    g->spec_index = spec_index;
    g->domid = domid;
    g->state = g->spec->state;
    memcpy(g->name, g->spec->name, sizeof(g->name));
    g->created_ns = g->advanced_ns = now_ns;
    g->random = s->seed ^ ((uint64_t)spec_index << 32);
    g->grants = g->status = g->vmtrace = g->stats = PAGES_NONE;
    for (uint32_t i = 0; i < SCENARIO_IOREQ_SERVERS_MAX; i++) {
        g->ioreq[i] = PAGES_NONE;
    }
    int result = make_grants(g, f);
    if (result == 0) {
        result = make_vmtrace(g, f);
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
    pages_done(&g->grants);
    pages_done(&g->status);
    pages_done(&g->vmtrace);
    pages_done(&g->stats);
    for (uint32_t i = 0; i < SCENARIO_IOREQ_SERVERS_MAX; i++) {
        pages_done(&g->ioreq[i]);
    }
    free(g);
}

/* --- what moves -------------------------------------------------------------------------------- */

void guest_change(struct guest *g, uint32_t count)
{
    uint32_t first = GUEST_RESERVED_REFERENCES;
    if (g->grants.lost || g->spec->grant_entries <= first) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t reference = first + (uint32_t)(draw(g) % (g->spec->grant_entries - first));
        if (draw(g) % 8 == 0) {
            struct layout_grant unused = { .reference = reference, .kind = LAYOUT_GRANT_UNUSED };
            put_grant(g, &unused);
        } else {
            share(g, reference);
        }
    }
}

static void move_request(struct guest *g, uint8_t *slot, uint32_t vcpu)
{
    struct layout_ioreq q;
    layout_ioreq(slot, LAYOUT_IOREQ_BYTES, 0, &q);
    if (q.state == LAYOUT_IOREQ_NONE) {
        uint64_t r = draw(g);
        q = (struct layout_ioreq){
            .address = r & 1 ? 0x3f8 + (r >> 8 & 7) : 0xfebc0000 + (r >> 8 & 0xffc),
            .type = r & 1 ? LAYOUT_IOREQ_PIO : LAYOUT_IOREQ_COPY,
            .data = r >> 32,
            .count = 1,
            .size_bytes = r & 1 ? 1 : 4,
            .event_channel = 16 + vcpu,
            .read = (r & 2) != 0,
            .state = LAYOUT_IOREQ_READY,
        };
    } else {
        q.state = (uint8_t)((q.state + 1) % 4);
    }
    uint64_t bytes[LAYOUT_IOREQ_BYTES / 8] = { 0 };
    layout_put_ioreq(bytes, &q);
    store_words(slot, bytes, LAYOUT_IOREQ_BYTES / 8);
}

/* A write to video memory goes into the queue; the device model takes the oldest when five wait. */
static void move_buffered(struct guest *g, uint8_t *frame)
{
    uint32_t read, write;
    bool valid;
    layout_buffered_pointers(frame, LAYOUT_FRAME_BYTES, &read, &write, &valid);
    uint64_t r = draw(g);
    struct layout_buffered_ioreq q = { .address = 0xa0000U + (uint32_t)(r & 0xfffc),
                                       .data = r >> 32,
                                       .size_bytes = 4,
                                       .type = LAYOUT_IOREQ_COPY };
    write += layout_put_buffered_ioreq(frame, write, &q);
    if (write - read > 5) {
        read++;
    }
    if (read >= LAYOUT_BUFFERED_SLOTS) { /* both at once, as Xen does it */
        read -= LAYOUT_BUFFERED_SLOTS;
        write -= LAYOUT_BUFFERED_SLOTS;
    }
    uint64_t both = (uint64_t)write << 32 | read;
    store_words(frame, &both, 1);
}

static void move_ioreqs(struct guest *g, uint64_t elapsed_ns)
{
    for (uint32_t id = 0; id < SCENARIO_IOREQ_SERVERS_MAX; id++) {
        struct pages *p = &g->ioreq[id];
        if (!p->memory || p->lost) {
            continue;
        }
        uint64_t steps =
            elapsed_ns / CLOCK_NS_PER_MS * g->spec->ioreq[id].requests_per_second / 1000;
        if (steps > IOREQ_STEPS_MAX) {
            steps = IOREQ_STEPS_MAX;
        }
        for (uint64_t i = 0; i < steps; i++) {
            uint32_t vcpu = (uint32_t)(draw(g) % g->spec->vcpus);
            if (vcpu >= LAYOUT_IOREQS_PER_FRAME) {
                continue;
            }
            move_request(g, p->memory + LAYOUT_FRAME_BYTES + vcpu * LAYOUT_IOREQ_BYTES, vcpu);
            if (g->spec->ioreq[id].buffered) {
                move_buffered(g, p->memory);
            }
        }
    }
}

void guest_advance(struct guest *g, uint64_t now_ns)
{
    uint64_t elapsed_ns = now_ns - g->advanced_ns;
    bool runs = !g->dying && (g->state == DOMAIN_RUNNING || g->state == DOMAIN_BLOCKED);
    if (elapsed_ns < CLOCK_NS_PER_MS) {
        return;
    }
    g->advanced_ns = now_ns;
    if (!runs) {
        return;
    }
    g->cpu_time_ns += elapsed_ns / 100 * g->spec->cpu_percent * g->spec->vcpus;
    if (elapsed_ns > 1000 * CLOCK_NS_PER_S) {
        elapsed_ns = 1000 * CLOCK_NS_PER_S; /* products fit */
    }
    g->changes_owed += elapsed_ns * g->spec->grant_changes_per_second;
    uint64_t changes = g->changes_owed / CLOCK_NS_PER_S;
    g->changes_owed %= CLOCK_NS_PER_S;
    guest_change(g, changes < CHANGES_MAX ? (uint32_t)changes : CHANGES_MAX);
    move_ioreqs(g, elapsed_ns);
    move_stats(g);
}

void guest_set_version(struct guest *g, uint32_t version)
{
    if (version == g->grant_version || g->grants.lost) {
        return;
    }
    g->grant_version = version;
    memset(g->grants.memory, 0, (size_t)g->grant_frames * LAYOUT_FRAME_BYTES);
    fill_grants(g);
}

int guest_ioreq_pages(struct guest *g, uint32_t id, bool *allocated, struct failure *f)
{
    if (g->ioreq[id].memory) {
        *allocated = false;
        return 0;
    }
    int result = pages_new(2, &g->ioreq[id], f);
    if (result == 0) {
        *allocated = true;
    }
    return result;
}

void guest_lose_pages(struct guest *g)
{
    pages_lose(&g->grants);
    pages_lose(&g->status);
    for (uint32_t i = 0; i < SCENARIO_IOREQ_SERVERS_MAX; i++) {
        pages_lose(&g->ioreq[i]);
    }
    pages_lose(&g->stats);
}
