/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See source_stats.h. */
#include "server/mapper/source_stats.h"

#include <stdlib.h>
#include <string.h>

#include "server/mapper/run_times.h"

/* An image, and behind it, as long, what the next sample is read into. */
struct run_image {
    uint8_t *bytes; /* NULL: none */
    uint8_t *fresh;
    uint64_t len_bytes;
};

struct stats {
    struct source base;
    struct backend_domain known;
    struct run_image image; /* of the segment that has begun */
    uint32_t consistency;
    struct allowance *memory;
};

static uint64_t bytes_for(uint32_t vcpus)
{
    uint64_t bytes = (uint64_t)vcpus * sizeof(struct message_vcpu);
    return (bytes + FEED_BLOCK_BYTES - 1) / FEED_BLOCK_BYTES * FEED_BLOCK_BYTES;
}

static void drop_image(struct allowance *memory, struct run_image *image)
{
    if (image->bytes) {
        free(image->bytes);
        allowance_give(memory, 2 * image->len_bytes);
    }
    *image = (struct run_image){ 0 };
}

static int new_image(struct stats *s, struct source_tools *t, uint64_t bytes, struct run_image *out,
                     struct failure *f)
{
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
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %llu bytes of run times",
                           (unsigned long long)bytes);
    }
    *out = (struct run_image){ .bytes = image, .fresh = image + bytes, .len_bytes = bytes };
    return 0;
}

static uint32_t gather(const struct run_image *i, struct diff *changes)
{
    uint32_t count = 0;
    for (uint64_t at = 0; at < i->len_bytes; at += MESSAGE_FRAME_BYTES) {
        uint64_t left = i->len_bytes - at;
        size_t len_bytes = left < MESSAGE_FRAME_BYTES ? (size_t)left : MESSAGE_FRAME_BYTES;
        count +=
            (uint32_t)__builtin_popcountll(diff_blocks(i->bytes + at, i->fresh + at, len_bytes));
        diff_gather(changes, (uint32_t)(at / FEED_BLOCK_BYTES), i->bytes + at, i->fresh + at,
                    len_bytes);
    }
    return count;
}

/* What a sample is made of, and what it was found to be. */
struct reading {
    struct run_image image; /* the one that stands, or one of another size */
    uint32_t vcpus;
    uint32_t consistency;
    struct feed_stamp stamp;
};

static int read_fresh(struct stats *s, struct source_tools *t, struct source_sample *now,
                      struct reading *r, struct failure *f)
{
    struct run_times times = { .vcpus = (struct message_vcpu *)(void *)r->image.fresh,
                               .max = r->vcpus };
    memset(r->image.fresh, 0, r->image.len_bytes);
    r->stamp = source_stamp(now);
    int result = run_times_read(t->ops, t->backend, s->known.domid, &times, f);
    source_stamp_end(now, &r->stamp);
    t->maps += times.maps;
    t->sampled_bytes += r->image.len_bytes;
    struct failure gone;
    if (source_check_domain(t, now, &s->known, &gone) < 0) {
        *f = gone;
        return -gone.code;
    }
    r->consistency = times.source == VCPU_STATS_TABLE ? SNAPSHOT_SEQUENCE_LOCKED : 0;
    return result;
}

static int publish(struct source_tools *t, struct source_sample *now, const struct reading *r,
                   bool has_begun, struct failure *f)
{
    diff_reset(&t->changes, has_begun ? spool_batch_most(now->spool) : 0);
    uint32_t count = gather(&r->image, &t->changes);
    if (has_begun && !t->changes.is_full) {
        return spool_changes(now->spool, &r->stamp, &t->changes, f);
    }
    const struct feed_begin shape = { .reason = has_begun          ? FEED_BEGIN_TOO_MANY
                                                : now->spool->ring ? FEED_BEGIN_RESIZED
                                                                   : FEED_BEGIN_START,
                                      .image_bytes = (uint32_t)r->image.len_bytes };
    return spool_begin(now->spool, &r->stamp, &shape, has_begun ? count : 0, f);
}

/* It is told: its image is the one that stands. */
static void keep(struct stats *s, const struct reading *r, bool is_other)
{
    if (is_other) {
        drop_image(s->memory, &s->image);
        s->image = r->image;
    }
    memcpy(s->image.bytes, s->image.fresh, s->image.len_bytes);
    s->consistency = r->consistency;
}

/* One of another size is not put in the place of the image before all of it is there: until then, and where
 * it fails, that of the segment that was told stands. */
static int sample_stats(struct source *source, struct source_tools *t, struct source_sample *now,
                        struct failure *f)
{
    struct stats *s = (struct stats *)source;
    int result = source_check_domain(t, now, &s->known, f);
    if (result < 0) {
        return result;
    }
    uint32_t vcpus =
        s->known.max_vcpus < MESSAGE_VCPUS_MAX ? s->known.max_vcpus : MESSAGE_VCPUS_MAX;
    struct reading r = { .image = s->image, .vcpus = vcpus };
    bool is_other = !s->image.bytes || s->image.len_bytes != bytes_for(vcpus);
    if (is_other) {
        result = new_image(s, t, bytes_for(vcpus), &r.image, f);
        s->memory = t->memory;
    }
    if (result < 0) {
        return result;
    }
    result = read_fresh(s, t, now, &r, f);
    if (result == 0) {
        result = publish(t, now, &r, !is_other, f);
    }
    if (result == 0) {
        keep(s, &r, is_other);
    } else if (is_other) {
        drop_image(s->memory, &r.image);
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
    *out = (struct source_image){ .bytes = s->image.bytes,
                                  .len_bytes = s->image.len_bytes,
                                  .consistency = s->consistency };
}

static void free_stats(struct source *source)
{
    struct stats *s = (struct stats *)source;
    drop_image(s->memory, &s->image);
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
