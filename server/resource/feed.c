/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/feed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/scope.h"
#include "server/resource/feed_keeper.h"

enum { WAKES_AT_ONCE = 32 }; /* before others may have the lock */

int feed_new(struct feeds *s, const struct feed_source *source, struct feed **out,
             struct failure *f)
{
    struct feed *y = calloc(1, sizeof(*y));

    if (y == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a feed");
    }
    atomic_init(&y->refs, 1);
    y->feeds = feeds_ref(s);
    y->source = *source;
    y->kind = feed_source_kind(source);
    y->live_index = -1;
    y->ask_ns = y->drop_ns = UINT64_MAX;
    y->phase = FEED_STARTING;
    pthread_mutex_init(&y->lock, NULL);
    LIST_INIT(&y->members);
    LIST_INIT(&y->armed);
    *out = y;
    return 0;
}

struct feed *feed_ref(struct feed *y)
{
    atomic_fetch_add_explicit(&y->refs, 1, memory_order_relaxed);
    return y;
}

void feed_unref(struct feed *y)
{
    if (y == NULL || atomic_fetch_sub_explicit(&y->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    assert(y->member_count == 0 && !y->is_listed);
    feed_pieces_drop(&y->pieces);
    feed_image_unref(y->image);
    ring_view_close(y->view);
    free(y->failure);
    free(y->image_failure);
    pthread_mutex_destroy(&y->lock);
    feeds_unref(y->feeds);
    free(y);
}

bool feed_source_equal(const struct feed_source *a, const struct feed_source *b)
{
    if (a->is_domains || b->is_domains) {
        return a->is_domains == b->is_domains;
    }
    return a->type == b->type && a->id == b->id && a->first_frame == b->first_frame &&
           a->frame_count == b->frame_count && a->flags == b->flags &&
           memcmp(a->trace_id, b->trace_id, sizeof(a->trace_id)) == 0 &&
           domain_identity_equal(&a->domain, &b->domain);
}

enum feed_kind feed_source_kind(const struct feed_source *source)
{
    if (source->is_domains) {
        return FEED_DOMAINS;
    }
    return source->type == RESOURCE_VMTRACE_BUF ? FEED_APPEND : FEED_FRAMES;
}

/* --- who is subscribed -------------------------------------------------------------------------------- */

void feed_arm_locked(struct feed *y, struct feed_member *m)
{
    if (!m->is_armed) {
        m->is_armed = true;
        LIST_INSERT_HEAD(&y->armed, m, armed_link);
    }
}

static void disarm(struct feed_member *m)
{
    if (m->is_armed) {
        m->is_armed = false;
        LIST_REMOVE(m, armed_link);
    }
}

void feed_enter(struct feed *y, struct feed_member *m)
{
    pthread_mutex_lock(&y->lock);
    LIST_INSERT_HEAD(&y->members, m, link);
    y->member_count++;
    pthread_mutex_unlock(&y->lock);
}

bool feed_exit(struct feed *y, struct feed_member *m)
{
    pthread_mutex_lock(&y->lock);
    disarm(m);
    LIST_REMOVE(m, link);
    bool is_empty = --y->member_count == 0;

    if (y->member_count <= 1) {
        feed_pieces_drop(&y->pieces); /* there is nobody to share them with */
    }

    pthread_mutex_unlock(&y->lock);
    return is_empty;
}

struct holder *feed_other_holder(struct feed *y)
{
    pthread_mutex_lock(&y->lock);
    const struct feed_member *m = LIST_FIRST(&y->members);
    struct holder *holder = m != NULL ? m->holder : NULL;

    pthread_mutex_unlock(&y->lock);
    return holder;
}

bool feed_arm(struct feed *y, struct feed_member *m, const struct ring_place *place)
{
    pthread_mutex_lock(&y->lock);
    bool waits = place == NULL ? y->phase == FEED_STARTING
                               : !y->is_gone && ring_view_committed(y->view) == place->position;

    /* What is published after this look comes with a ring of the doorbell, which wakes with the lock. */
    if (waits) {
        feed_arm_locked(y, m);
    }
    pthread_mutex_unlock(&y->lock);
    return waits;
}

void feed_wake_locked(struct feed *y)
{
    struct feed_members waking = y->armed;
    uint64_t count = 0;

    LIST_INIT(&y->armed);
    if (!LIST_EMPTY(&waking)) {
        LIST_FIRST(&waking)->armed_link.le_prev = &LIST_FIRST(&waking);
    }
    while (!LIST_EMPTY(&waking)) {
        struct feed_member *m = LIST_FIRST(&waking);

        disarm(m);
        m->wake(m->arg);
        count++;
        if (count % WAKES_AT_ONCE == 0) {
            pthread_mutex_unlock(&y->lock);
            pthread_mutex_lock(&y->lock);
        }
    }
    feeds_add(&feeds_sums(y->feeds)->wakes, count);
}

void feed_wake(struct feed *y)
{
    pthread_mutex_lock(&y->lock);
    feed_wake_locked(y);
    pthread_mutex_unlock(&y->lock);
}

void feed_go(struct feed *y)
{
    struct feed_member *m;

    pthread_mutex_lock(&y->lock);
    if (!y->is_gone) {
        y->is_gone = true;
        y->gone_position = y->view != NULL ? ring_view_committed(y->view) : 0;
        feed_image_unref(scope_take_pointer(y->image));
    }
    LIST_FOREACH(m, &y->members, link)
    {
        feed_arm_locked(y, m); /* also who only waits for a time */
    }
    feed_wake_locked(y);
    pthread_mutex_unlock(&y->lock);
}

void feed_fail(struct feed *y, const struct failure *why)
{
    y->phase = FEED_FAILED;
    if (y->failure == NULL) {
        y->failure = malloc(sizeof(*why));
    }
    if (y->failure != NULL) {
        *y->failure = *why;
    }
}

uint64_t feed_wanted_period(struct feed *y)
{
    uint64_t wanted = UINT64_MAX;
    struct feed_member *m;

    pthread_mutex_lock(&y->lock);
    LIST_FOREACH(m, &y->members, link)
    {
        wanted = m->period_ns < wanted ? m->period_ns : wanted;
    }
    pthread_mutex_unlock(&y->lock);
    return wanted;
}

/* --- records ------------------------------------------------------------------------------------------ */

int feed_read(struct feed *y, struct ring_place *at, struct scratch *x, struct feed_piece **out,
              struct failure *f)
{
    pthread_mutex_lock(&y->lock);
    bool is_shared = y->member_count > 1;
    struct feed_piece *p = is_shared ? feed_pieces_find(&y->pieces, at) : NULL;

    pthread_mutex_unlock(&y->lock);
    if (p != NULL) {
        *at = p->behind;
        *out = p;
        return RING_RECORD;
    }
    int answer = feed_piece_read(y->view, at, x, &p, f);

    if (answer != RING_RECORD) {
        return answer;
    }
    if (is_shared) {
        pthread_mutex_lock(&y->lock);
        struct feed_piece *theirs = feed_pieces_find(&y->pieces, &p->place);

        if (theirs == NULL) {
            feed_pieces_keep(&y->pieces, p);
        } else {
            feed_piece_unref(p);
            p = theirs;
        }
        pthread_mutex_unlock(&y->lock);
    }
    *out = p;
    return RING_RECORD;
}

int feed_refusal(struct feed *y, struct failure *f)
{
    int result = 0;

    pthread_mutex_lock(&y->lock);
    if (y->phase == FEED_FAILED && y->failure == NULL) {
        result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a feed");
    } else if (y->phase == FEED_FAILED) {
        result = -y->failure->code;
        if (f != NULL) {
            *f = *y->failure;
        }
    }
    pthread_mutex_unlock(&y->lock);
    return result;
}

struct shared_bytes *feed_shared(struct feed *y, struct feed_piece *p, unsigned variant)
{
    pthread_mutex_lock(&y->lock);
    struct shared_bytes *b = p->made[variant] != NULL ? shared_bytes_ref(p->made[variant]) : NULL;

    pthread_mutex_unlock(&y->lock);
    return b;
}

struct shared_bytes *feed_share(struct feed *y, struct feed_piece *p, unsigned variant,
                                struct shared_bytes *b)
{
    pthread_mutex_lock(&y->lock);
    b = feed_pieces_share(&y->pieces, p, variant, b);
    pthread_mutex_unlock(&y->lock);
    return b;
}

bool feed_is_gone(struct feed *y)
{
    pthread_mutex_lock(&y->lock);
    bool is_gone = y->is_gone;

    pthread_mutex_unlock(&y->lock);
    return is_gone;
}

bool feed_is_over_at(struct feed *y, const struct ring_place *place)
{
    pthread_mutex_lock(&y->lock);
    bool is_over = y->is_gone && place->position >= y->gone_position;

    pthread_mutex_unlock(&y->lock);
    return is_over;
}

static void note_last(struct feed_last *last, const struct feed_record *r)
{
    struct feed_position *p = &last->position;

    switch (r->kind) {
    case FEED_RECORD_BEGIN:
        p->batch = r->begin->batch;
        p->blocks = r->begin->blocks_before;
        break;
    case FEED_RECORD_CHANGES:
        p->batch = r->changes->batch - (r->changes->more != 0 ? 1 : 0);
        p->blocks = r->changes->blocks_before + r->changes->block_count;
        break;
    case FEED_RECORD_STILL:
        p->batch = r->still->batch;
        p->blocks = r->still->blocks_before;
        break;
    case FEED_RECORD_DOMAIN: p->batch = r->domain->number; break;
    case FEED_RECORD_END:
        p->batch = r->end->batch;
        p->blocks = r->end->blocks_before;
        last->has_end = true;
        last->end = *r->end;
        break;
    case FEED_RECORD_BYTES: /* nobody asks how far a feed that appends has come: it is read */
    case FEED_RECORD_LOSS: break;
    }
}

/* From the oldest record to the end; RING_OVERTAKEN: not all of them. */
static int read_all(struct feed *y, struct scratch *x, struct feed_last *last, struct failure *f)
{
    struct feed_record record;
    struct ring_record found;
    int result = ring_view_find(y->view, RING_OLDEST, &last->position.place, f);

    if (result != 0) {
        return result;
    }
    /* An event is a record: in an empty ring as well. */
    last->position.batch = y->kind == FEED_DOMAINS ? last->position.place.sequence : 0;
    for (uint64_t i = 0; i <= ring_view_capacity(y->view) / RING_HEADER_BYTES; i++) {
        result = ring_view_read(y->view, &last->position.place, x->words, x->room_bytes, &found, f);
        if (result != RING_RECORD) {
            return result;
        }
        result = feed_record_check(found.kind, x->words, found.len_bytes, &record, f);
        if (result != 0) {
            return result;
        }
        note_last(last, &record);
    }
    return RING_OVERTAKEN; /* more than it has room for: it is written meanwhile */
}

int feed_find_last(struct feed *y, struct scratch *x, struct feed_last *out, struct failure *f)
{
    for (int i = 0; i < RING_LOOKS_MAX; i++) {
        struct feed_last last = { 0 };
        int answer = read_all(y, x, &last, f);

        if (answer == RING_NOTHING) {
            *out = last;
        }
        if (answer != RING_OVERTAKEN) {
            return answer;
        }
    }
    return failure_set(f, ERROR_UNAVAILABLE, "the spool is written faster than it is read");
}

/* What is before a record. */
static int note_first(const struct feed *y, struct feed_position *p, const struct feed_record *r,
                      struct failure *f)
{
    struct feed_last last = { 0 };

    if (y->kind == FEED_APPEND) {
        const struct ring_place place = p->place;
        int result = feed_position_before(r, p, f);

        p->place = place;
        return result;
    }
    note_last(&last, r);
    p->batch = last.position.batch;
    p->blocks = last.position.blocks;
    if (r->kind == FEED_RECORD_CHANGES) {
        p->batch = r->changes->batch - 1;
        p->blocks = r->changes->blocks_before;
    } else if (r->kind == FEED_RECORD_DOMAIN) {
        p->batch = r->domain->number - 1;
    }
    return 0;
}

int feed_find_oldest(struct feed *y, struct scratch *x, struct feed_position *out,
                     struct failure *f)
{
    for (int i = 0; i < RING_LOOKS_MAX; i++) {
        struct feed_record record;
        struct ring_record found;
        struct feed_position at = { 0 };
        int result = ring_view_find(y->view, RING_OLDEST, &at.place, f);

        if (result != 0) {
            return result;
        }
        struct ring_place behind = at.place;
        int answer = ring_view_read(y->view, &behind, x->words, x->room_bytes, &found, f);

        if (answer == RING_RECORD) {
            answer = feed_record_check(found.kind, x->words, found.len_bytes, &record, f);
            answer = answer == 0 ? note_first(y, &at, &record, f) : answer;
            if (answer == 0) {
                *out = at;
            }
            return answer;
        }
        if (answer == RING_NOTHING) {
            return failure_set(f, ERROR_DATA_LOSS, "there is nothing in a feed's spool");
        }
        if (answer != RING_OVERTAKEN) {
            return answer;
        }
    }
    return failure_set(f, ERROR_UNAVAILABLE, "the spool is written faster than it is read");
}
