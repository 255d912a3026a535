/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/ring_view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/ring_layout.h"
#include "common/scope.h"

struct ring_view {
    const struct ring_control *control;
    const _Atomic uint64_t *words;
    uint64_t capacity_bytes, mask;
    struct ring_place first;
};

struct header {
    uint64_t shape; /* length in the lower half, kind in the upper one */
    struct ring_place place;
    uint64_t mark; /* position ^ the ring's mask */
};

static int no_ring(struct failure *f, const char *what)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "this is no ring to read: %s", what);

    failure_cause(f, result, "the mapper is not the one of this release, or it is taken over");
    return failure_next(f, result, "see the mapper's log; install both programs from one release");
}

static int cannot_map(struct failure *f)
{
    int errnum = errno;
    int result =
        failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot map a ring: %s", strerror(errnum));

    failure_call(f, result, "mmap", errnum);
    return failure_next(f, result, "free memory, or configure fewer or smaller spools");
}

static int check_file(int fd, uint64_t capacity_max_bytes, size_t *map_bytes, struct failure *f)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;

    if (seals < 0 || (seals & RING_SEALS) != RING_SEALS) {
        return no_ring(f, "not sealed");
    }
    if (fstat(fd, &st) != 0 || st.st_size <= RING_CONTROL_BYTES) {
        return no_ring(f, "too small");
    }
    uint64_t capacity_bytes = (uint64_t)st.st_size - RING_CONTROL_BYTES;

    if (!ring_capacity_can_be(capacity_bytes) || capacity_bytes > capacity_max_bytes) {
        return no_ring(f, "a size that cannot be");
    }
    /* A hole would be filled when it is read, at the reader's cost. With the seals none is made. */
    if (st.st_blocks < st.st_size / 512) {
        return no_ring(f, "not allocated");
    }
    *map_bytes = (size_t)st.st_size;
    return 0;
}

int ring_view_open(int fd, uint64_t capacity_max_bytes, struct ring_view **out, struct failure *f)
{
    size_t map_bytes = 0;
    int result = check_file(fd, capacity_max_bytes, &map_bytes, f);

    if (result != 0) {
        return result;
    }
    SCOPE_FREE struct ring_view *v = calloc(1, sizeof(*v));
    void *base = v == NULL ? MAP_FAILED : mmap(NULL, map_bytes, PROT_READ, MAP_SHARED, fd, 0);

    if (base == MAP_FAILED) {
        return cannot_map(f);
    }
    const struct ring_control *c = base;

    v->control = c;
    v->words = (const _Atomic uint64_t *)((const char *)base + RING_CONTROL_BYTES);
    v->capacity_bytes = map_bytes - RING_CONTROL_BYTES;
    uint64_t magic = RING_LOAD(&c->magic, memory_order_acquire);

    v->mask = RING_LOAD(&c->mask, memory_order_relaxed);
    v->first.position = RING_LOAD(&c->first_position, memory_order_relaxed);
    v->first.sequence = RING_LOAD(&c->first_sequence, memory_order_relaxed);
    v->first.bytes = RING_LOAD(&c->first_bytes, memory_order_relaxed);
    if (magic != RING_MAGIC ||
        RING_LOAD(&c->capacity_bytes, memory_order_relaxed) != v->capacity_bytes ||
        v->first.position % 8 != 0 || v->first.position > RING_POSITION_MAX) {
        (void)munmap(base, map_bytes);
        return no_ring(f, "it says other things of itself");
    }
    *out = scope_take_pointer(v);
    return 0;
}

void ring_view_close(struct ring_view *v)
{
    if (v != NULL) {
        (void)munmap((void *)(uintptr_t)v->control, RING_CONTROL_BYTES + (size_t)v->capacity_bytes);
        free(v);
    }
}

uint64_t ring_view_capacity(const struct ring_view *v)
{
    return v->capacity_bytes;
}

uint64_t ring_view_committed(const struct ring_view *v)
{
    return RING_LOAD(&v->control->committed, memory_order_acquire);
}

static int broken(struct failure *f, const char *what, uint64_t position)
{
    int result = failure_set(f, ERROR_DATA_LOSS, "the ring holds nonsense at %llu: %s",
                             (unsigned long long)position, what);

    failure_cause(f, result, "the mapper is broken or taken over, or the place is of another ring");
    return failure_next(f, result, "begin anew; if it comes again, see the mapper's log");
}

static void load_words(const _Atomic uint64_t *from, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t word = RING_LOAD(&from[i], memory_order_relaxed);

        memcpy(bytes + 8 * i, &word, 8);
    }
}

/* `count` is at most the ring's number of words. */
static void get(const struct ring_view *v, uint64_t position, void *bytes, size_t count)
{
    size_t start = ring_word_of(position, v->capacity_bytes);
    size_t left = (size_t)v->capacity_bytes / 8 - start, first = count < left ? count : left;

    load_words(v->words + start, bytes, first);
    load_words(v->words, (uint8_t *)bytes + 8 * first, count - first);
}

static struct header get_header(const struct ring_view *v, uint64_t position)
{
    uint64_t words[RING_HEADER_WORDS];

    get(v, position, words, RING_HEADER_WORDS);
    return (struct header){
        .shape = words[RING_WORD_SHAPE],
        .place = { .position = position,
                   .sequence = words[RING_WORD_SEQUENCE],
                   .bytes = words[RING_WORD_BYTES] },
        .mark = words[RING_WORD_MARK],
    };
}

static uint32_t len_of(const struct header *h)
{
    return (uint32_t)h->shape;
}

static bool same_place(const struct ring_place *a, const struct ring_place *b)
{
    return a->position == b->position && a->sequence == b->sequence && a->bytes == b->bytes;
}

static struct ring_place behind(const struct header *h)
{
    return (struct ring_place){ .position = h->place.position + ring_whole_bytes(len_of(h)),
                                .sequence = h->place.sequence + 1,
                                .bytes = h->place.bytes + len_of(h) };
}

/* Has a header, of this very position, whose length can be. */
static bool is_record(const struct ring_view *v, const struct header *h)
{
    return h->place.position <= RING_POSITION_MAX && h->mark == (h->place.position ^ v->mask) &&
           len_of(h) <= ring_record_max(v->capacity_bytes);
}

/* After words from `position` on were read: may any of them be of a later lap? */
static bool overtaken(const struct ring_view *v, uint64_t position)
{
    RING_FENCE(memory_order_acquire);
    uint64_t reserved = RING_LOAD(&v->control->reserved, memory_order_acquire);

    return reserved > position && reserved - position > v->capacity_bytes;
}

static void get_bytes(const struct ring_view *v, const struct header *h, uint8_t *bytes)
{
    uint64_t at = h->place.position + RING_HEADER_BYTES;
    size_t words = len_of(h) / 8, rest = len_of(h) % 8;

    get(v, at, bytes, words);
    if (rest > 0) {
        uint64_t last;

        get(v, at + 8 * words, &last, 1);
        memcpy(bytes + 8 * words, &last, rest);
    }
}

int ring_view_read(const struct ring_view *v, struct ring_place *at, void *bytes, size_t room_bytes,
                   struct ring_record *out, struct failure *f)
{
    assert(room_bytes >= ring_record_max(v->capacity_bytes));
    uint64_t committed = RING_LOAD(&v->control->committed, memory_order_acquire);

    if (at->position == committed) {
        return RING_NOTHING;
    }
    struct header h = get_header(v, at->position);
    bool whole = is_record(v, &h) && at->position < committed &&
                 committed - at->position >= ring_whole_bytes(len_of(&h));

    if (whole) {
        get_bytes(v, &h, bytes);
    }
    if (overtaken(v, at->position)) {
        return RING_OVERTAKEN;
    }
    if (!whole || !same_place(&h.place, at)) {
        return broken(f, "no record is there", at->position);
    }
    *out = (struct ring_record){ .kind = (uint32_t)(h.shape >> 32),
                                 .len_bytes = len_of(&h),
                                 .place = h.place };
    *at = behind(&h);
    return RING_RECORD;
}

/* One look. RING_OVERTAKEN: look again. */
static int look_for(const struct ring_view *v, enum ring_end end, struct ring_place *out,
                    struct failure *f)
{
    const struct ring_control *c = v->control;
    uint64_t position = RING_LOAD(end == RING_OLDEST ? &c->oldest : &c->last, memory_order_acquire);
    /* The first place is known, and holds no record in an empty ring. */
    bool is_first = position == (end == RING_OLDEST ? v->first.position : RING_NO_RECORD);
    struct header h = { .place = v->first };

    if (!is_first) {
        h = get_header(v, position);
    }
    if (overtaken(v, h.place.position)) {
        return RING_OVERTAKEN;
    }
    if (!is_first && !is_record(v, &h)) {
        return broken(f, "its oldest or newest record is none", position);
    }
    *out = h.place;
    if (end == RING_NEWEST && !is_first) {
        uint64_t committed = RING_LOAD(&c->committed, memory_order_relaxed); /* to compare only */
        struct ring_place after = behind(&h);

        /* Not yet, or never: who writes it may have been killed. */
        *out = committed >= after.position ? after : h.place;
    }
    return 0;
}

bool ring_view_newest_kind(const struct ring_view *v, uint32_t *kind)
{
    uint64_t position = RING_LOAD(&v->control->last, memory_order_acquire);

    if (position == RING_NO_RECORD) {
        return false;
    }
    struct header h = get_header(v, position);

    if (overtaken(v, position) || !is_record(v, &h) ||
        ring_view_committed(v) < behind(&h).position) {
        return false;
    }
    *kind = (uint32_t)(h.shape >> 32);
    return true;
}

int ring_view_find(const struct ring_view *v, enum ring_end end, struct ring_place *out,
                   struct failure *f)
{
    for (int i = 0; i < RING_LOOKS_MAX; i++) {
        int result = look_for(v, end, out, f);

        if (result != RING_OVERTAKEN) {
            return result;
        }
    }
    int result = failure_set(f, ERROR_UNAVAILABLE, "the ring is written faster than it is read");

    return failure_next(f, result, "try again, or configure a larger spool");
}

int ring_view_skip(const struct ring_view *v, enum ring_end end, struct ring_place *at,
                   struct ring_missed *missed, struct failure *f)
{
    struct ring_place to;
    int result = ring_view_find(v, end, &to, f);

    if (result != 0) {
        return result;
    }
    struct ring_missed m = { .records = to.sequence - at->sequence, .bytes = to.bytes - at->bytes };
    uint64_t moved = to.position - at->position;

    /* Nothing is behind, and no more was missed than there was room for. */
    if (to.position < at->position || m.bytes > moved ||
        m.records > (moved - m.bytes) / RING_HEADER_BYTES) {
        return broken(f, "it does not go on from where it was read", at->position);
    }
    *missed = m;
    *at = to;
    return 0;
}

/* RING_RECORD: the end moved on, so that a record is there. */
static int check_end(const struct ring_view *v, const struct ring_place *place, struct failure *f)
{
    struct ring_place end;
    int result = ring_view_find(v, RING_NEWEST, &end, f);

    if (result != 0) {
        return result;
    }
    if (end.position != place->position) {
        return end.position > place->position ? RING_RECORD
                                              : broken(f, "its end went back", end.position);
    }
    return same_place(&end, place) ? RING_NOTHING : RING_NO_BOUNDARY;
}

int ring_view_check(const struct ring_view *v, const struct ring_place *place, struct failure *f)
{
    if (place->position % 8 != 0 || place->position < v->first.position) {
        return RING_NO_BOUNDARY;
    }
    uint64_t committed = RING_LOAD(&v->control->committed, memory_order_acquire);

    if (place->position > committed) {
        return RING_FUTURE;
    }
    if (place->position == committed) {
        int result = check_end(v, place, f);

        if (result != RING_RECORD) {
            return result;
        }
    }
    struct header h = get_header(v, place->position);

    if (overtaken(v, place->position)) {
        return RING_OVERTAKEN;
    }
    return is_record(v, &h) && same_place(&h.place, place) ? RING_RECORD : RING_NO_BOUNDARY;
}
