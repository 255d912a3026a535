/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/feed_piece.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct shared_bytes *shared_bytes_new(const void *bytes, size_t len_bytes)
{
    struct shared_bytes *b = malloc(sizeof(*b) + len_bytes);

    if (b != NULL) {
        atomic_init(&b->refs, 1);
        b->len_bytes = len_bytes;
        memcpy(b->bytes, bytes, len_bytes);
    }
    return b;
}

struct shared_bytes *shared_bytes_ref(struct shared_bytes *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void shared_bytes_unref(struct shared_bytes *b)
{
    if (b != NULL && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1) {
        free(b);
    }
}

const void *shared_bytes_data(const struct shared_bytes *b, size_t *len_bytes)
{
    *len_bytes = b->len_bytes;
    return b->bytes;
}

struct feed_piece *feed_piece_ref(struct feed_piece *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void feed_piece_unref(struct feed_piece *p)
{
    if (p == NULL || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (unsigned i = 0; i < FEEDS_VARIANTS; i++) {
        shared_bytes_unref(p->made[i]);
    }
    free(p);
}

static bool is_same_place(const struct ring_place *a, const struct ring_place *b)
{
    return a->position == b->position && a->sequence == b->sequence && a->bytes == b->bytes;
}

struct feed_piece *feed_pieces_find(struct feed_pieces *k, const struct ring_place *place)
{
    for (unsigned i = 1; i <= FEEDS_SHARED_PER_FEED; i++) { /* the newest first */
        struct feed_piece *p = k->pieces[(k->next - i) % FEEDS_SHARED_PER_FEED];

        if (p != NULL && is_same_place(&p->place, place)) {
            return feed_piece_ref(p);
        }
    }
    return NULL;
}

static size_t bytes_of(const struct feed_piece *p)
{
    size_t bytes = sizeof(*p) + p->len_bytes;

    for (unsigned i = 0; i < FEEDS_VARIANTS; i++) {
        bytes += p->made[i] != NULL ? p->made[i]->len_bytes : 0;
    }
    return bytes;
}

static void drop(struct feed_pieces *k, unsigned index)
{
    struct feed_piece *p = k->pieces[index];

    if (p != NULL) {
        k->pieces[index] = NULL;
        k->bytes -= bytes_of(p);
        feed_piece_unref(p);
    }
}

/* Until there is room for so many more: the oldest first. */
static void make_room(struct feed_pieces *k, size_t bytes)
{
    for (unsigned i = 0; i < FEEDS_SHARED_PER_FEED; i++) {
        if (k->bytes + bytes <= FEED_PIECES_BYTES_MAX) {
            return;
        }
        drop(k, (k->next + i) % FEEDS_SHARED_PER_FEED);
    }
}

void feed_pieces_keep(struct feed_pieces *k, struct feed_piece *p)
{
    const struct feed_piece *newest = k->pieces[(k->next - 1) % FEEDS_SHARED_PER_FEED];
    size_t bytes = bytes_of(p);

    /* One who is far behind would push out what those want who are not, and what itself wants next. */
    if (bytes > FEED_PIECES_BYTES_MAX ||
        (newest != NULL && newest->place.position >= p->place.position)) {
        return;
    }
    drop(k, k->next);
    make_room(k, bytes);
    k->pieces[k->next] = feed_piece_ref(p);
    k->bytes += bytes;
    k->next = (k->next + 1) % FEEDS_SHARED_PER_FEED;
}

static bool is_kept(const struct feed_pieces *k, const struct feed_piece *p)
{
    for (unsigned i = 0; i < FEEDS_SHARED_PER_FEED; i++) {
        if (k->pieces[i] == p) {
            return true;
        }
    }
    return false;
}

struct shared_bytes *feed_pieces_share(struct feed_pieces *k, struct feed_piece *p,
                                       unsigned variant, struct shared_bytes *b)
{
    assert(variant < FEEDS_VARIANTS);
    if (p->made[variant] != NULL) {
        shared_bytes_unref(b);
        return shared_bytes_ref(p->made[variant]);
    }
    make_room(k, b->len_bytes);
    if (is_kept(k, p) && k->bytes + b->len_bytes <= FEED_PIECES_BYTES_MAX) {
        p->made[variant] = shared_bytes_ref(b);
        k->bytes += b->len_bytes;
    }
    return b;
}

void feed_pieces_drop(struct feed_pieces *k)
{
    for (unsigned i = 0; i < FEEDS_SHARED_PER_FEED; i++) {
        drop(k, i);
    }
}

void scratches_init(struct scratches *s)
{
    *s = (struct scratches){ 0 };
    pthread_mutex_init(&s->lock, NULL);
}

static void free_scratch(struct scratch *x)
{
    merge_done(&x->merge);
    free(x->words);
    free(x);
}

void scratches_done(struct scratches *s)
{
    while (s->first != NULL) {
        struct scratch *x = s->first;

        s->first = x->next;
        free_scratch(x);
    }
    pthread_mutex_destroy(&s->lock);
}

struct scratch *scratches_take(struct scratches *s, size_t room_bytes)
{
    pthread_mutex_lock(&s->lock);
    struct scratch *x = s->first;

    if (x != NULL) {
        s->first = x->next;
        s->count--;
    }
    pthread_mutex_unlock(&s->lock);
    if (x == NULL) {
        x = calloc(1, sizeof(*x));
    }
    if (x != NULL && x->room_bytes < room_bytes) {
        free(x->words);
        x->words = malloc(room_bytes);
        x->room_bytes = x->words != NULL ? room_bytes : 0;
        if (x->words == NULL) {
            free_scratch(x);
            return NULL;
        }
    }
    return x;
}

void scratches_give(struct scratches *s, struct scratch *x)
{
    if (x == NULL) {
        return;
    }
    pthread_mutex_lock(&s->lock);
    bool is_kept = s->count < FEED_SCRATCHES_KEPT;

    if (is_kept) {
        x->next = s->first;
        s->first = x;
        s->count++;
    }
    pthread_mutex_unlock(&s->lock);
    if (!is_kept) {
        free_scratch(x);
    }
}

int feed_piece_read(const struct ring_view *view, struct ring_place *at, struct scratch *x,
                    struct feed_piece **out, struct failure *f)
{
    struct ring_place behind = *at;
    struct ring_record found;
    int answer = ring_view_read(view, &behind, x->words, x->room_bytes, &found, f);

    if (answer != RING_RECORD) {
        return answer;
    }
    struct feed_piece *p = malloc(sizeof(*p) + found.len_bytes);

    if (p == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a feed's record");
    }
    *p =
        (struct feed_piece){ .place = found.place, .behind = behind, .len_bytes = found.len_bytes };
    atomic_init(&p->refs, 1);
    memcpy(p->words, x->words, found.len_bytes);
    int result = feed_record_check(found.kind, p->words, found.len_bytes, &p->record, f);

    if (result != 0) {
        feed_piece_unref(p);
        return result;
    }
    *at = behind;
    *out = p;
    return RING_RECORD;
}
