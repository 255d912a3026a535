/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A watched grant table, decoded: grants that appear, change and go away. */
#include <string.h>

#include "server/rpc/present_inspect.h"
#include "server/rpc/watch_decoder.h"

enum {
    GRANTS_V1_A_BLOCK = FEED_BLOCK_BYTES / LAYOUT_GRANT_V1_BYTES,
    GRANTS_V2_A_BLOCK = FEED_BLOCK_BYTES / LAYOUT_GRANT_V2_BYTES,
    STATUS_A_BLOCK = FEED_BLOCK_BYTES / LAYOUT_GRANT_STATUS_BYTES, /* the most of the three */
};

static void begin_grants(const struct watch_decoder *d, struct pool *p, Xenres__V1__WatchDecoded *m)
{
    (void)d;
    m->grants = pool_array(p, WATCH_ENTRIES_MAX, sizeof(*m->grants));
}

static uint32_t first_reference(const struct watch_decoder *d)
{
    return d->first_frame * layout_grants_per_frame(d->grant_version);
}

/* Grant `index` of one of the two images. */
static bool decode(const struct watch_decoder *d, const uint8_t *image, uint32_t index,
                   struct layout_grant *out)
{
    size_t frames_bytes = (size_t)d->frame_count * MESSAGE_FRAME_BYTES;

    if (d->grant_version == 1) {
        return layout_grant_v1(image, frames_bytes, first_reference(d), index, out);
    }
    return layout_grant_v2(image, frames_bytes, first_reference(d), index,
                           d->status_frame_count > 0 ? image + frames_bytes : NULL,
                           d->image_bytes - frames_bytes,
                           d->first_status_frame * LAYOUT_STATUS_PER_FRAME, out);
}

static Xenres__V1__GrantEntry *present(struct pool *p, const struct layout_grant *grant)
{
    Xenres__V1__GrantEntry *m = pool_alloc(p, sizeof(*m));

    if (m != NULL) {
        present_grant(p, grant, m);
    }
    return m;
}

static bool is_same(const struct layout_grant *a, const struct layout_grant *b)
{
    return a->flags == b->flags && a->status == b->status && a->domid == b->domid &&
           a->frame == b->frame && a->sub_page_offset_bytes == b->sub_page_offset_bytes &&
           a->sub_page_length_bytes == b->sub_page_length_bytes &&
           a->transitive_domid == b->transitive_domid &&
           a->transitive_reference == b->transitive_reference;
}

/* What became of it; UNSPECIFIED: nothing that is to be told, as of one that was and is not in use. */
static Xenres__V1__GrantChangeKind kind_of(const struct layout_grant *before,
                                           const struct layout_grant *now)
{
    bool was = before->kind != LAYOUT_GRANT_UNUSED, is = now->kind != LAYOUT_GRANT_UNUSED;

    if (was && is) {
        return is_same(before, now) ? XENRES__V1__GRANT_CHANGE_KIND__GRANT_CHANGE_KIND_UNSPECIFIED
                                    : XENRES__V1__GRANT_CHANGE_KIND__GRANT_CHANGE_KIND_CHANGED;
    }
    return is    ? XENRES__V1__GRANT_CHANGE_KIND__GRANT_CHANGE_KIND_APPEARED
           : was ? XENRES__V1__GRANT_CHANGE_KIND__GRANT_CHANGE_KIND_WENT_AWAY
                 : XENRES__V1__GRANT_CHANGE_KIND__GRANT_CHANGE_KIND_UNSPECIFIED;
}

static void tell_grant(const struct watch_decoder *d, uint32_t index, struct pool *p,
                       Xenres__V1__WatchDecoded *m)
{
    struct layout_grant before, now;

    if (!decode(d, d->told, index, &before) || !decode(d, d->now, index, &now)) {
        return;
    }
    Xenres__V1__GrantChangeKind kind = kind_of(&before, &now);

    if (kind == XENRES__V1__GRANT_CHANGE_KIND__GRANT_CHANGE_KIND_UNSPECIFIED) {
        return;
    }
    Xenres__V1__GrantChange *change =
        PRESENT_NEW(p, Xenres__V1__GrantChange, xenres__v1__grant_change);

    if (change != NULL) {
        change->kind = kind;
        change->entry = present(p, &now);
        if (kind != XENRES__V1__GRANT_CHANGE_KIND__GRANT_CHANGE_KIND_APPEARED) {
            change->before = present(p, &before);
        }
        m->grants[m->n_grants++] = change;
    }
}

/* Grants whose status is in a block. Those whose entry has changed too were told with that. */
static void tell_status(const struct watch_decoder *d, uint32_t status_block, struct pool *p,
                        Xenres__V1__WatchDecoded *m)
{
    uint64_t reference = (uint64_t)d->first_status_frame * LAYOUT_STATUS_PER_FRAME +
                         (uint64_t)status_block * STATUS_A_BLOCK;
    uint64_t first = first_reference(d);
    uint64_t end = first + (uint64_t)d->frame_count * LAYOUT_GRANTS_PER_FRAME_V2;

    for (uint32_t i = 0; i < STATUS_A_BLOCK; i++, reference++) {
        if (reference < first || reference >= end) {
            continue;
        }
        uint32_t index = (uint32_t)(reference - first);

        if (!watch_decoder_is_changed(d, index / GRANTS_V2_A_BLOCK)) {
            tell_grant(d, index, p, m);
        }
    }
}

static void tell_grants(const struct watch_decoder *d, uint32_t block, struct pool *p,
                        Xenres__V1__WatchDecoded *m)
{
    uint32_t frame_blocks = d->frame_count * FEED_BLOCKS_A_FRAME;
    uint32_t count = d->grant_version == 1 ? GRANTS_V1_A_BLOCK : GRANTS_V2_A_BLOCK;

    if (block >= frame_blocks) {
        tell_status(d, block - frame_blocks, p, m);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        tell_grant(d, block * count + i, p, m);
    }
}

const struct watch_decoding watch_decoding_grants = { .entries_a_block = STATUS_A_BLOCK,
                                                      .begin = begin_grants,
                                                      .tell = tell_grants };
