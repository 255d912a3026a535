/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See guest_grants.h. Entries are written as a guest writes them: whole words at a time. */
#include "server/mapper/sim/guest_grants.h"

#include "common/clock.h"
#include "common/layout.h"
#include "server/mapper/sim/draw.h"

/* What fits into the frames in use: the scenario's entries are of its first version. */
static uint32_t entry_count(const struct guest_grants *g)
{
    uint32_t room = g->frame_count * layout_grants_per_frame(g->version);
    return g->spec->grant_entries < room ? g->spec->grant_entries : room;
}

static bool put_grant(struct guest_grants *g, struct layout_grant *grant)
{
    uint64_t entry[2] = { 0 };
    uint16_t use = (uint16_t)((grant->reading ? LAYOUT_GTF_READING : 0) |
                              (grant->writing ? LAYOUT_GTF_WRITING : 0));
    grant->flags = (uint16_t)((unsigned)grant->kind | (grant->readonly ? LAYOUT_GTF_READONLY : 0U) |
                              (grant->has_sub_page ? LAYOUT_GTF_SUB_PAGE : 0U));
    /* Xen notes the use of a grant in its flags in version 1, in its status in version 2. */
    if (g->version == 1) {
        grant->flags |= use;
        layout_put_grant_v1(entry, grant);
        return pages_store(&g->shared, (size_t)grant->reference * LAYOUT_GRANT_V1_BYTES, entry,
                           LAYOUT_GRANT_V1_BYTES);
    }
    uint16_t status = 0;
    grant->status = use;
    layout_put_grant_v2(entry, &status, grant);
    bool changed = pages_store(&g->shared, (size_t)grant->reference * LAYOUT_GRANT_V2_BYTES, entry,
                               LAYOUT_GRANT_V2_BYTES);
    return pages_store(&g->status, (size_t)grant->reference * LAYOUT_GRANT_STATUS_BYTES, &status,
                       sizeof(status)) ||
           changed;
}

/* A page shared with a backend in dom0, as drivers share them. */
static bool share(struct guest_grants *g, uint32_t reference)
{
    uint64_t r = draw_next(&g->random);
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
    if (g->version == 2 && (r & 0xf00) == 0x100) {
        grant.has_sub_page = true;
        grant.sub_page_offset_bytes = (uint16_t)((r >> 16) & 0x7ff);
        grant.sub_page_length_bytes = 512;
    }
    return put_grant(g, &grant);
}

static void fill(struct guest_grants *g)
{
    for (uint32_t r = 0; r < 2 && r < entry_count(g); r++) { /* the toolstack's, to dom0 */
        struct layout_grant grant = {
            .reference = r, .kind = LAYOUT_GRANT_PERMIT_ACCESS, .domid = 0, .frame = 0xff000U + r
        };
        put_grant(g, &grant);
    }
    for (uint32_t r = GUEST_RESERVED_REFERENCES; r < entry_count(g); r++) {
        share(g, r);
    }
}

static int make_pages(struct guest_grants *g, struct failure *f)
{
    uint32_t status_frames, first;
    layout_status_range(0, g->spec->grant_frames_max, &first, &status_frames);
    int result = pages_new(g->spec->grant_frames_max, &g->shared, f);
    if (result == 0) {
        result = pages_new(status_frames, &g->status, f);
    }
    g->shared.type = g->status.type = RESOURCE_GRANT_TABLE;
    g->shared.id = GRANT_TABLE_SHARED;
    g->status.id = GRANT_TABLE_STATUS;
    return result;
}

int guest_grants_init(struct guest_grants *g, const struct scenario_domain *spec, uint64_t seed,
                      const struct pages_observer *observer, struct failure *f)
{
    *g = (struct guest_grants){
        .spec = spec,
        .version = spec->grant_version,
        .frame_count = spec->grant_frames,
        .shared = PAGES_NONE,
        .status = PAGES_NONE,
        .play = { .play = spec->grants_play },
        .random = seed,
    };
    int result = make_pages(g, f);
    if (result < 0) {
        return result;
    }
    g->shared.observer = g->status.observer = observer;
    if (spec->grants_play) {
        guest_grants_advance(g, 0, 0);
    } else {
        fill(g);
    }
    return spec->grant_scribbles
               ? guest_scribbler_start(&g->shared, g->frame_count, seed, &g->scribbler, f)
               : 0;
}

static void stop_scribbling(struct guest_grants *g)
{
    guest_scribbler_stop(g->scribbler);
    g->scribbler = NULL;
}

void guest_grants_lose(struct guest_grants *g)
{
    stop_scribbling(g);
    pages_lose(&g->shared);
    pages_lose(&g->status);
}

void guest_grants_done(struct guest_grants *g)
{
    stop_scribbling(g);
    pages_done(&g->shared);
    pages_done(&g->status);
}

void guest_grants_change(struct guest_grants *g, uint32_t count)
{
    uint32_t first = GUEST_RESERVED_REFERENCES, end = entry_count(g);
    if (g->shared.lost || end <= first) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t reference = first + (uint32_t)(draw_next(&g->random) % (end - first));
        if (draw_next(&g->random) % 8 == 0) {
            struct layout_grant unused = { .reference = reference, .kind = LAYOUT_GRANT_UNUSED };
            g->changes += put_grant(g, &unused);
        } else {
            g->changes += share(g, reference);
        }
    }
}

void guest_grants_advance(struct guest_grants *g, uint64_t elapsed_ns, uint64_t ran_ns)
{
    g->changes += play_advance(&g->play, &g->shared, ran_ns);
    g->owed += elapsed_ns * g->spec->grant_changes_per_second;
    uint64_t changes = g->owed / CLOCK_NS_PER_S;
    g->owed %= CLOCK_NS_PER_S;
    guest_grants_change(g, changes < GUEST_GRANT_CHANGES_MAX ? (uint32_t)changes
                                                             : GUEST_GRANT_CHANGES_MAX);
}

void guest_grants_set_version(struct guest_grants *g, uint32_t version)
{
    if (version == g->version || g->shared.lost) {
        return;
    }
    g->version = version;
    pages_clear(&g->shared, 0, (size_t)g->frame_count * LAYOUT_FRAME_BYTES);
    pages_clear(&g->status, 0, (size_t)g->status.frame_count * LAYOUT_FRAME_BYTES);
    fill(g);
}
