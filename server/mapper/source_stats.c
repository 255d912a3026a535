/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See source_stats.h. */
#include "server/mapper/source_stats.h"

#include <stdlib.h>
#include <string.h>

#include "server/mapper/run_times.h"

struct stats {
    struct source base;
    struct backend_domain known;
    uint8_t *image; /* NULL: none yet; `fresh` is behind it, as long */
    uint8_t *fresh;
    uint64_t image_bytes;
    uint32_t consistency;
    bool has_begun; /* the image is that of a segment */
    struct allowance *memory;
};

static uint64_t bytes_for(uint32_t vcpus)
{
    uint64_t bytes = (uint64_t)vcpus * sizeof(struct message_vcpu);
    return (bytes + FEED_BLOCK_BYTES - 1) / FEED_BLOCK_BYTES * FEED_BLOCK_BYTES;
}

static void drop_image(struct stats *s)
{
    if (s->image) {
        free(s->image);
        allowance_give(s->memory, 2 * s->image_bytes);
    }
    s->image = s->fresh = NULL;
}

/* Makes room for as many vCPUs as there may be now. True in *is_other: it is another image. */
static int make_image(struct stats *s, struct source_tools *t, uint32_t vcpus, bool *is_other,
                      struct failure *f)
{
    uint64_t bytes = bytes_for(vcpus);
    *is_other = !s->image || s->image_bytes != bytes;
    if (!*is_other) {
        return 0;
    }
    if (bytes == 0) {
        return failure_set(f, ERROR_FAILED_PRECONDITION, "domain %u has no vCPUs", s->known.domid);
    }
    int result = allowance_take(t->memory, 2 * bytes, f);
    if (result < 0) {
        return result;
    }
    uint8_t *image = calloc(2, bytes);
    if (!image) {
        allowance_give(t->memory, 2 * bytes);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %u vCPUs", vcpus);
    }
    drop_image(s);
    s->memory = t->memory;
    s->image = image;
    s->fresh = image + bytes;
    s->image_bytes = bytes;
    return 0;
}

static uint32_t gather(struct stats *s, struct diff *changes)
{
    uint32_t count = 0;
    for (uint64_t at = 0; at < s->image_bytes; at += MESSAGE_FRAME_BYTES) {
        uint64_t left = s->image_bytes - at;
        size_t len_bytes = left < MESSAGE_FRAME_BYTES ? (size_t)left : MESSAGE_FRAME_BYTES;
        count +=
            (uint32_t)__builtin_popcountll(diff_blocks(s->image + at, s->fresh + at, len_bytes));
        diff_gather(changes, (uint32_t)(at / FEED_BLOCK_BYTES), s->image + at, s->fresh + at,
                    len_bytes);
    }
    return count;
}

static int read_fresh(struct stats *s, struct source_tools *t, struct source_sample *now,
                      uint32_t vcpus, struct feed_stamp *stamp, struct failure *f)
{
    struct run_times times = { .vcpus = (struct message_vcpu *)(void *)s->fresh, .max = vcpus };
    memset(s->fresh, 0, s->image_bytes);
    *stamp = source_stamp(now);
    int result = run_times_read(t->ops, t->backend, s->known.domid, &times, f);
    source_stamp_end(now, stamp);
    t->maps += times.maps;
    t->sampled_bytes += s->image_bytes;
    struct failure gone;
    if (source_check_domain(t, now, &s->known, &gone) < 0) {
        *f = gone;
        return -gone.code;
    }
    s->consistency = times.source == VCPU_STATS_TABLE ? SNAPSHOT_SEQUENCE_LOCKED : 0;
    return result;
}

static int publish(struct stats *s, struct source_tools *t, struct source_sample *now,
                   const struct feed_stamp *stamp, struct failure *f)
{
    diff_reset(&t->changes, s->has_begun ? spool_batch_most(now->spool) : 0);
    uint32_t count = gather(s, &t->changes);
    if (s->has_begun && !t->changes.is_full) {
        return spool_changes(now->spool, stamp, &t->changes, f);
    }
    const struct feed_begin shape = { .reason = s->has_begun       ? FEED_BEGIN_TOO_MANY
                                                : now->spool->ring ? FEED_BEGIN_RESIZED
                                                                   : FEED_BEGIN_START,
                                      .image_bytes = (uint32_t)s->image_bytes };
    return spool_begin(now->spool, stamp, &shape, s->has_begun ? count : 0, f);
}

static int sample_stats(struct source *source, struct source_tools *t, struct source_sample *now,
                        struct failure *f)
{
    struct stats *s = (struct stats *)source;
    bool is_other = false;
    int result = source_check_domain(t, now, &s->known, f);
    uint32_t vcpus =
        s->known.max_vcpus < MESSAGE_VCPUS_MAX ? s->known.max_vcpus : MESSAGE_VCPUS_MAX;
    if (result == 0) {
        result = make_image(s, t, vcpus, &is_other, f);
        s->has_begun = s->has_begun && !is_other;
    }
    struct feed_stamp stamp;
    if (result == 0) {
        result = read_fresh(s, t, now, vcpus, &stamp, f);
    }
    if (result == 0) {
        result = publish(s, t, now, &stamp, f);
    }
    if (result == 0) {
        memcpy(s->image, s->fresh, s->image_bytes);
        s->has_begun = true;
    }
    return result;
}

static void unmap_stats(struct source *source, struct source_tools *t)
{
    (void)source, (void)t; /* a table is mapped for one sample */
}

static void image_of_stats(const struct source *source, struct source_image *out)
{
    const struct stats *s = (const struct stats *)source;
    *out = (struct source_image){ .bytes = s->image,
                                  .len_bytes = s->image_bytes,
                                  .consistency = s->consistency };
}

static void free_stats(struct source *source)
{
    struct stats *s = (struct stats *)source;
    drop_image(s);
    free(s);
}

static const struct source_ops stats_ops = {
    .sample = sample_stats,
    .unmap = unmap_stats,
    .image = image_of_stats,
    .free = free_stats,
};

int source_stats_new(const struct backend_domain *known, struct source **out, struct failure *f)
{
    struct stats *s = calloc(1, sizeof(*s));
    if (!s) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a feed");
    }
    s->base.ops = &stats_ops;
    s->known = *known;
    *out = &s->base;
    return 0;
}
