/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See source_frames.h. What may be asked of which resource is in range.c. */
#include "server/mapper/source_frames.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/mapper/copy.h"
#include "server/mapper/range.h"

enum { STEP_FRAMES = COPY_STEP_BYTES / MESSAGE_FRAME_BYTES };

struct frames {
    struct source base;
    struct message_snapshot wanted;
    struct backend_domain known;
    struct range range; /* of the image */
    uint8_t *image;     /* NULL: no segment has begun */
    uint64_t image_bytes;
    uint32_t present; /* ioreq pages */
    enum feed_begin_reason
        void_by; /* a segment has to begin, for this reason; 0: the image stands */
    bool is_mapped;
    uint32_t mapped_first;
    struct backend_mapping mapping; /* of the shared frames */
    struct allowance *memory;
};

/* One copy of everything: into a new image, or compared with the one that stands. */
struct pass {
    struct frames *s;
    struct source_tools *t;
    const struct source_sample *now;
    const struct range *range;
    uint8_t *into; /* NULL: to compare */
    uint32_t present;
};

static bool keeps_mapping(const struct frames *s)
{
    return s->wanted.type == RESOURCE_GRANT_TABLE && s->wanted.id == GRANT_TABLE_SHARED;
}

static uint32_t frames_of(const struct range *r)
{
    return r->frame_count + r->status_frame_count;
}

/* --- mapping ----------------------------------------------------------------------------------- */

static int map(struct frames *s, struct source_tools *t, uint32_t id, uint32_t first,
               uint32_t count, struct backend_mapping *out, struct failure *f)
{
    *out = (struct backend_mapping){ 0 };
    int result =
        t->ops->map(t->backend, s->wanted.domain.domid, s->wanted.type, id, first, count, out, f);
    if (result == 0) {
        assert(out->frame_count == count && out->address);
        t->maps++;
        t->mapped++;
        t->mapped_frames += count;
    }
    return result;
}

static void unmap(struct source_tools *t, struct backend_mapping *mapping)
{
    t->mapped--;
    t->mapped_frames -= mapping->frame_count;
    t->ops->unmap(t->backend, mapping);
}

static void unmap_frames(struct source *source, struct source_tools *t)
{
    struct frames *s = (struct frames *)source;
    if (s->is_mapped) {
        unmap(t, &s->mapping);
        s->is_mapped = false;
    }
}

/* The number is asked for before and after: what is mapped is the domain's that is meant, and keeps it
 * from becoming another's. */
static int map_shared(struct frames *s, struct source_tools *t, struct source_sample *now,
                      const struct range *range, struct failure *f)
{
    bool covers = s->is_mapped && s->mapped_first == range->first_frame &&
                  s->mapping.frame_count == range->frame_count;
    if (!keeps_mapping(s) || covers) {
        return 0;
    }
    unmap_frames(&s->base, t);
    int result = map(s, t, s->wanted.id, range->first_frame, range->frame_count, &s->mapping, f);
    if (result < 0) {
        return result;
    }
    s->is_mapped = true;
    s->mapped_first = range->first_frame;
    result = source_check_domain(t, now, &s->known, f);
    if (result < 0) {
        unmap_frames(&s->base, t);
    }
    return result;
}

/* --- copying ----------------------------------------------------------------------------------- */

/* Frames at `from`, which are from number `index` on in the image. */
static int take(struct pass *p, uint32_t index, const volatile uint8_t *from, uint32_t count,
                struct failure *f)
{
    uint32_t step = p->into ? STEP_FRAMES : 1;
    for (uint32_t done = 0, n; done < count; done += n) {
        n = count - done < step ? count - done : step;
        size_t at = (size_t)(index + done) * MESSAGE_FRAME_BYTES;
        size_t len_bytes = (size_t)n * MESSAGE_FRAME_BYTES;
        if (done % STEP_FRAMES == 0 && source_is_stopped(p->now)) {
            return failure_set(f, ERROR_ABORTED, "the feed ends");
        }
        int result = copy_step(p->into ? p->into + at : p->t->page,
                               from + (size_t)done * MESSAGE_FRAME_BYTES, len_bytes, NULL, f);
        if (result < 0) {
            return result;
        }
        if (!p->into) {
            diff_gather(&p->t->changes, (uint32_t)(at / FEED_BLOCK_BYTES), p->s->image + at,
                        p->t->page, len_bytes);
        }
        p->t->sampled_bytes += len_bytes;
    }
    return 0;
}

/* Frames that no mapping may be kept of: mapped, copied, unmapped. */
static int take_briefly(struct pass *p, uint32_t index, uint32_t id, uint32_t first, uint32_t count,
                        struct failure *f)
{
    int result = 0;
    for (uint32_t done = 0, n; done < count && result == 0; done += n) {
        struct backend_mapping mapping;
        n = count - done < STEP_FRAMES ? count - done : STEP_FRAMES;
        result = map(p->s, p->t, id, first + done, n, &mapping, f);
        if (result == 0) {
            result = take(p, index + done, mapping.address, n, f);
            unmap(p->t, &mapping);
        }
    }
    return result;
}

/* Each ioreq page by itself: a map of both fails where one is missing. */
static int take_ioreqs(struct pass *p, struct failure *f)
{
    static const _Alignas(MESSAGE_FRAME_BYTES) uint8_t zeros[MESSAGE_FRAME_BYTES];
    bool is_sparse = (p->s->wanted.flags & SNAPSHOT_SPARSE) != 0;
    for (uint32_t i = 0; i < p->range->frame_count; i++) {
        struct failure why = { 0 };
        int result = take_briefly(p, i, p->s->wanted.id, p->range->first_frame + i, 1, &why);
        bool is_last = i + 1 == p->range->frame_count;
        bool is_absent = result < 0 && why.xen_errno == ENOENT;
        if (result == 0) {
            p->present |= UINT32_C(1) << i;
        } else if (is_absent && is_sparse && !(is_last && p->present == 0)) {
            result = take(p, i, zeros, 1, &why);
        }
        if (result < 0) {
            *f = why;
            return result;
        }
    }
    return 0;
}

static int take_all(struct pass *p, struct failure *f)
{
    const struct range *r = p->range;
    int result;
    if (keeps_mapping(p->s)) {
        result = take(p, 0, p->s->mapping.address, r->frame_count, f);
    } else if (p->s->wanted.type == RESOURCE_IOREQ_SERVER) {
        result = take_ioreqs(p, f);
    } else {
        result = take_briefly(p, 0, p->s->wanted.id, r->first_frame, r->frame_count, f);
    }
    if (result == 0) {
        result = take_briefly(p, r->frame_count, GRANT_TABLE_STATUS, r->first_status_frame,
                              r->status_frame_count, f);
    }
    return result;
}

/* --- segments ---------------------------------------------------------------------------------- */

static int new_image(struct source_tools *t, const struct range *range, uint8_t **out,
                     struct failure *f)
{
    uint64_t bytes = (uint64_t)frames_of(range) * MESSAGE_FRAME_BYTES;
    if (bytes > FEED_IMAGE_MAX_BYTES) {
        int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                                 "%u frames are more than one feed may have (%u)", frames_of(range),
                                 FEED_IMAGE_MAX_BYTES / MESSAGE_FRAME_BYTES);
        return failure_next(f, result, "watch fewer frames");
    }
    int result = allowance_take(t->memory, bytes, f);
    if (result < 0) {
        return result;
    }
    /* Not of whole pages: glibc takes those between others, and seldom again where it took them before. */
    *out = malloc(bytes);
    if (!*out) {
        allowance_give(t->memory, bytes);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for an image of %u frames",
                           frames_of(range));
    }
    return 0;
}

static uint32_t count_differences(const struct frames *s, const uint8_t *fresh)
{
    uint32_t count = 0;
    for (uint64_t at = 0; at < s->image_bytes; at += MESSAGE_FRAME_BYTES) {
        count += (uint32_t)__builtin_popcountll(
            diff_blocks(s->image + at, fresh + at, MESSAGE_FRAME_BYTES));
    }
    return count;
}

/* What had a segment begin may be overtaken by what is found now. */
static enum feed_begin_reason reason_of(const struct frames *s, const struct range *fresh)
{
    if (!s->image) {
        return FEED_BEGIN_START;
    }
    if (fresh->size.grant_version != s->range.size.grant_version) {
        return FEED_BEGIN_VERSION;
    }
    return frames_of(fresh) != frames_of(&s->range) ? FEED_BEGIN_RESIZED : s->void_by;
}

static int publish_segment(struct frames *s, struct source_sample *now, const struct pass *p,
                           const struct feed_stamp *stamp, struct failure *f)
{
    const struct range *r = p->range;
    enum feed_begin_reason reason = reason_of(s, r);
    const struct feed_begin shape = {
        .reason = reason,
        .first_frame = r->first_frame,
        .frame_count = r->frame_count,
        .first_status_frame = r->first_status_frame,
        .status_frame_count = r->status_frame_count,
        .frames_in_use = r->size.frames_in_use,
        .frames_max = r->size.frames_max,
        .grant_version = r->size.grant_version,
        .frames_present = p->present,
        .image_bytes = frames_of(r) * MESSAGE_FRAME_BYTES,
    };
    uint32_t lost = reason == FEED_BEGIN_TOO_MANY ? count_differences(s, p->into) : 0;
    return spool_begin(now->spool, stamp, &shape, lost, f);
}

static void take_image(struct frames *s, uint8_t *image, const struct pass *p)
{
    free(s->image);
    allowance_give(s->memory, s->image_bytes);
    s->image = image;
    s->range = *p->range;
    s->image_bytes = (uint64_t)frames_of(&s->range) * MESSAGE_FRAME_BYTES;
    s->present = p->present;
    s->void_by = 0;
}

/* The same checks as of a snapshot, before and after a copy of everything. */
static int copy_segment(struct frames *s, struct source_sample *now, struct pass *p,
                        struct feed_stamp *stamp, struct failure *f)
{
    *stamp = source_stamp(now);
    int result = take_all(p, f);
    source_stamp_end(now, stamp);
    if (result == 0) {
        result = range_recheck(p->t->ops, p->t->backend, &s->wanted, p->range, f);
    }
    if (result == 0 && !keeps_mapping(s)) {
        result = source_check_domain(p->t, now, &s->known, f);
    }
    return result;
}

static int begin_segment(struct frames *s, struct source_tools *t, struct source_sample *now,
                         struct failure *f)
{
    struct range range;
    int result = source_check_domain(t, now, &s->known, f);
    if (result == 0) {
        result = range_resolve(t->ops, t->backend, &s->wanted, &range, f);
        bool is_no_more = result == -ERROR_OUT_OF_RANGE || result == -ERROR_FAILED_PRECONDITION;
        now->over = s->image && is_no_more ? FEED_END_RESOURCE : now->over;
    }
    if (result == 0) {
        result = map_shared(s, t, now, &range, f);
    }
    uint8_t *image = NULL;
    if (result == 0) {
        result = new_image(t, &range, &image, f);
    }
    if (result < 0) {
        return result;
    }
    s->memory = t->memory;
    struct feed_stamp stamp;
    struct pass p = { .s = s, .t = t, .now = now, .range = &range, .into = image };
    result = copy_segment(s, now, &p, &stamp, f);
    if (result == 0) {
        result = publish_segment(s, now, &p, &stamp, f);
    }
    if (result < 0) {
        free(image);
        allowance_give(t->memory, (uint64_t)frames_of(&range) * MESSAGE_FRAME_BYTES);
        return result;
    }
    take_image(s, image, &p);
    return 0;
}

/* --- samples ----------------------------------------------------------------------------------- */

/* Is the table still the one that was copied? Else says why a segment has to begin. */
static int look_again(struct frames *s, struct source_tools *t, struct failure *f)
{
    if (s->wanted.type != RESOURCE_GRANT_TABLE) {
        return 0;
    }
    struct backend_size now;
    uint16_t domid = s->wanted.domain.domid;
    int result = t->ops->size(t->backend, domid, s->wanted.type, s->wanted.id, &now, f);
    if (result == 0) {
        result = range_check_size(domid, s->wanted.type, s->wanted.id, &now, f);
    }
    if (result < 0) {
        /* A table that went back to version 1 has no status frames any more. */
        s->void_by = s->wanted.id == GRANT_TABLE_STATUS ? FEED_BEGIN_VERSION : s->void_by;
        return result;
    }
    uint64_t end = (uint64_t)s->range.first_frame + s->range.frame_count;
    if (now.grant_version != s->range.size.grant_version) {
        s->void_by = FEED_BEGIN_VERSION;
    } else if (s->wanted.frame_count == MESSAGE_FRAMES_ALL ? now.frames_in_use != end
                                                           : now.frames_in_use < end) {
        s->void_by = FEED_BEGIN_RESIZED;
    } else {
        s->range.size = now;
    }
    return 0;
}

/* Compares with the image. What was found counts only where it returns 0 and nothing is void. */
static int compare(struct frames *s, struct source_tools *t, struct source_sample *now,
                   struct feed_stamp *stamp, struct failure *f)
{
    struct pass p = { .s = s, .t = t, .now = now, .range = &s->range };
    diff_reset(&t->changes, spool_batch_most(now->spool));
    int result = keeps_mapping(s) ? 0 : source_check_domain(t, now, &s->known, f);
    if (result < 0) {
        return result;
    }
    *stamp = source_stamp(now);
    result = take_all(&p, f);
    source_stamp_end(now, stamp);
    bool is_faulty = result == -ERROR_ABORTED;
    struct failure changed;
    int still = look_again(s, t, &changed);
    if (still == 0 && !keeps_mapping(s)) {
        still = source_check_domain(t, now, &s->known, &changed);
    }
    if (still < 0) { /* that explains a failure to copy as well */
        *f = changed;
        return still;
    }
    if (s->void_by == 0 && result == 0) {
        if (p.present != s->present) {
            s->void_by = FEED_BEGIN_REMADE;
        } else if (t->changes.is_full) {
            s->void_by = FEED_BEGIN_TOO_MANY;
        }
    } else if (is_faulty && s->is_mapped) { /* its pages are gone: to be mapped anew */
        unmap_frames(&s->base, t);
        s->void_by = s->void_by ? s->void_by : FEED_BEGIN_REMADE;
    }
    return s->void_by ? 0 : result;
}

static int sample_frames(struct source *source, struct source_tools *t, struct source_sample *now,
                         struct failure *f)
{
    struct frames *s = (struct frames *)source;
    struct feed_stamp stamp;
    int result = s->void_by ? 0 : compare(s, t, now, &stamp, f);
    if (result == 0 && s->void_by) {
        result = begin_segment(s, t, now, f);
    } else if (result == 0) {
        result = spool_changes(now->spool, &stamp, &t->changes, f);
        if (result == 0) {
            diff_apply(&t->changes, s->image);
        }
    }
    if (result == 0 || now->over != 0 || source_is_stopped(now)) {
        return result;
    }
    struct failure gone;
    if (source_check_domain(t, now, &s->known, &gone) < 0 && now->over != 0) {
        *f = gone;
        return -gone.code;
    }
    if (s->image && s->wanted.type == RESOURCE_IOREQ_SERVER && f->xen_errno == ENOENT) {
        now->over = FEED_END_RESOURCE;
    }
    return result;
}

static void image_of_frames(const struct source *source, struct source_image *out)
{
    const struct frames *s = (const struct frames *)source;
    *out = (struct source_image){ .bytes = s->image,
                                  .len_bytes = s->image_bytes,
                                  .size = s->range.size,
                                  .first_frame = s->range.first_frame,
                                  .frame_count = s->range.frame_count,
                                  .first_status_frame = s->range.first_status_frame,
                                  .status_frame_count = s->range.status_frame_count,
                                  .frames_present = s->present,
                                  .consistency = SNAPSHOT_ALIGNED_8_BYTES };
}

static void free_frames(struct source *source)
{
    struct frames *s = (struct frames *)source;
    assert(!s->is_mapped);
    if (s->image) {
        free(s->image);
        allowance_give(s->memory, s->image_bytes);
    }
    free(s);
}

static const struct source_ops frames_ops = {
    .sample = sample_frames,
    .unmap = unmap_frames,
    .image = image_of_frames,
    .free = free_frames,
};

int source_frames_new(const struct message_snapshot *wanted, const struct backend_domain *known,
                      struct source **out, struct failure *f)
{
    struct frames *s = calloc(1, sizeof(*s));
    if (!s) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a feed");
    }
    s->base.ops = &frames_ops;
    s->wanted = *wanted;
    s->known = *known;
    s->void_by = FEED_BEGIN_START;
    *out = &s->base;
    return 0;
}
