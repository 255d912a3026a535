/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A table that is searched from end to end: it has a few hundred rows at most. */
#include "server/mapper/mapping.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

struct mapping {
    bool live;
    uint32_t generation; /* of this use of the row, or of the last one */
    uint32_t pins;
    uint64_t used_ns;
    struct mapping_key key;
    struct backend_mapping backend;
};

struct mapping_cache {
    const struct backend_ops *ops;
    struct backend *backend;
    uint64_t idle_ns;
    uint32_t count_max, count;
    uint64_t frame_count, made;
    struct mapping rows[];
};

int mapping_cache_new(const struct backend_ops *ops, struct backend *backend, uint32_t count_max,
                      uint64_t idle_ns, struct mapping_cache **out, struct failure *f)
{
    struct mapping_cache *c = calloc(1, sizeof(*c) + count_max * sizeof(c->rows[0]));
    if (!c) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %u mappings", count_max);
    }
    c->ops = ops;
    c->backend = backend;
    c->idle_ns = idle_ns;
    c->count_max = count_max;
    *out = c;
    return 0;
}

void mapping_cache_free(struct mapping_cache *c)
{
    if (!c) {
        return;
    }
    mapping_drop_all(c);
    free(c);
}

static void drop(struct mapping_cache *c, struct mapping *m)
{
    c->frame_count -= m->key.frame_count;
    c->count--;
    c->ops->unmap(c->backend, &m->backend);
    m->live = false;
    m->pins = 0;
}

static bool covers(const struct mapping_key *have, const struct mapping_key *want)
{
    return have->domid == want->domid && have->type == want->type && have->id == want->id &&
           have->first_frame <= want->first_frame &&
           (uint64_t)have->first_frame + have->frame_count >=
               (uint64_t)want->first_frame + want->frame_count &&
           memcmp(have->incarnation, want->incarnation, sizeof(have->incarnation)) == 0;
}

static struct mapping *longest_unused(struct mapping_cache *c)
{
    struct mapping *oldest = NULL;
    for (uint32_t i = 0; i < c->count_max; i++) {
        struct mapping *m = &c->rows[i];
        if (m->live && m->pins == 0 && (!oldest || m->used_ns < oldest->used_ns)) {
            oldest = m;
        }
    }
    return oldest;
}

/* Makes room for one more of `frames`, and returns its row; NULL when all are in use. */
static struct mapping *make_room(struct mapping_cache *c, uint32_t frames)
{
    while (c->count == c->count_max || c->frame_count + frames > MAPPING_FRAMES_MAX) {
        struct mapping *m = longest_unused(c);
        if (!m) {
            return NULL;
        }
        drop(c, m);
    }
    for (uint32_t i = 0; i < c->count_max; i++) {
        if (!c->rows[i].live) {
            return &c->rows[i];
        }
    }
    return NULL;
}

int mapping_get(struct mapping_cache *c, const struct mapping_key *key, struct mapping_ref *out,
                struct failure *f)
{
    struct mapping *m = NULL;
    for (uint32_t i = 0; i < c->count_max && !m; i++) {
        if (c->rows[i].live && covers(&c->rows[i].key, key)) {
            m = &c->rows[i];
        }
    }
    if (!m) {
        m = make_room(c, key->frame_count);
        if (!m) {
            int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED,
                                     "%u mappings of %llu frames are in use, and there is room for"
                                     " no more",
                                     c->count, (unsigned long long)c->frame_count);
            if (key->frame_count > MAPPING_FRAMES_MAX) {
                return failure_next(f, result, "ask for %u frames or fewer", MAPPING_FRAMES_MAX);
            }
            failure_retry(f, result, FAILURE_RETRY_SOON_MS);
            return failure_next(f, result,
                                "ask again in a moment, or raise the mapper's"
                                " --mappings-max");
        }
        struct backend_mapping made = { 0 };
        int result = c->ops->map(c->backend, key->domid, key->type, key->id, key->first_frame,
                                 key->frame_count, &made, f);
        if (result < 0) {
            return result;
        }
        assert(made.frame_count == key->frame_count && made.address);
        uint32_t generation = m->generation + 1 != 0 ? m->generation + 1 : 1;
        *m = (struct mapping){
            .live = true, .generation = generation, .key = *key, .backend = made
        };
        c->count++;
        c->made++;
        c->frame_count += key->frame_count;
    }
    m->pins++;
    m->used_ns = clock_monotonic_ns();
    *out = (struct mapping_ref){ .index = (uint32_t)(m - c->rows), .generation = m->generation };
    return 0;
}

static bool refers(const struct mapping_cache *c, struct mapping_ref ref)
{
    return ref.generation != 0 && ref.index < c->count_max && c->rows[ref.index].live &&
           c->rows[ref.index].generation == ref.generation;
}

const volatile uint8_t *mapping_resolve(const struct mapping_cache *c, struct mapping_ref ref,
                                        uint32_t first_frame)
{
    if (!refers(c, ref)) {
        return NULL;
    }
    const struct mapping *m = &c->rows[ref.index];
    assert(first_frame >= m->key.first_frame &&
           first_frame - m->key.first_frame < m->key.frame_count);
    return (const volatile uint8_t *)m->backend.address +
           (size_t)(first_frame - m->key.first_frame) * MESSAGE_FRAME_BYTES;
}

void mapping_put(struct mapping_cache *c, struct mapping_ref *ref)
{
    if (refers(c, *ref)) {
        struct mapping *m = &c->rows[ref->index];
        assert(m->pins > 0);
        m->pins--;
        m->used_ns = clock_monotonic_ns();
    }
    ref->generation = 0;
}

void mapping_discard(struct mapping_cache *c, struct mapping_ref *ref)
{
    if (refers(c, *ref)) {
        drop(c, &c->rows[ref->index]);
    }
    ref->generation = 0;
}

void mapping_drop_incarnation(struct mapping_cache *c, const uint8_t incarnation[16])
{
    for (uint32_t i = 0; i < c->count_max; i++) {
        struct mapping *m = &c->rows[i];
        if (m->live && memcmp(m->key.incarnation, incarnation, 16) == 0) {
            drop(c, m);
        }
    }
}

void mapping_drop_all(struct mapping_cache *c)
{
    for (uint32_t i = 0; i < c->count_max; i++) {
        if (c->rows[i].live) {
            drop(c, &c->rows[i]);
        }
    }
}

void mapping_drop_idle(struct mapping_cache *c, uint64_t now_ns)
{
    for (uint32_t i = 0; i < c->count_max; i++) {
        struct mapping *m = &c->rows[i];
        if (m->live && m->pins == 0 && now_ns - m->used_ns >= c->idle_ns) {
            drop(c, m);
        }
    }
}

uint64_t mapping_idle_deadline_ns(const struct mapping_cache *c)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < c->count_max && c->count > 0; i++) {
        const struct mapping *m = &c->rows[i];
        if (m->live && m->pins == 0 && m->used_ns + c->idle_ns < first) {
            first = m->used_ns + c->idle_ns;
        }
    }
    return first;
}

uint32_t mapping_count(const struct mapping_cache *c)
{
    return c->count;
}

struct mapping_usage mapping_usage(const struct mapping_cache *c)
{
    return (
        struct mapping_usage){ .count = c->count, .frame_count = c->frame_count, .made = c->made };
}

const struct mapping_key *mapping_next(const struct mapping_cache *c, uint32_t *at)
{
    while (*at < c->count_max) {
        const struct mapping *m = &c->rows[(*at)++];
        if (m->live) {
            return &m->key;
        }
    }
    return NULL;
}

uint32_t mapping_domids(const struct mapping_cache *c, uint16_t *out, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->count_max; i++) {
        bool known = !c->rows[i].live;
        for (uint32_t k = 0; k < count && !known; k++) {
            known = out[k] == c->rows[i].key.domid;
        }
        if (!known && count < max) {
            out[count++] = c->rows[i].key.domid;
        }
    }
    return count;
}
