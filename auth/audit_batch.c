/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_batch.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct audit_batch {
    atomic_uint references;
    atomic_int state;  /* enum audit_batch_state */
    uint64_t sequence; /* before `state` says that it is written */
    pthread_mutex_t lock;
    bool is_closed;
    struct audit_bodies bodies; /* under the lock, until it is closed */
};

struct audit_batch *audit_batch_new(void)
{
    struct audit_batch *b = malloc(sizeof *b); /* what is not added, is not read */

    if (b != NULL) {
        atomic_init(&b->references, 1);
        atomic_init(&b->state, AUDIT_BATCH_OPEN);
        (void)pthread_mutex_init(&b->lock, NULL);
        b->is_closed = false;
        b->bodies.count = 0;
        b->bodies.len_bytes = 0;
    }
    return b;
}

struct audit_batch *audit_batch_ref(struct audit_batch *b)
{
    atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
    return b;
}

void audit_batch_unref(struct audit_batch *b)
{
    if (b != NULL && atomic_fetch_sub_explicit(&b->references, 1, memory_order_acq_rel) == 1) {
        (void)pthread_mutex_destroy(&b->lock);
        free(b);
    }
}

bool audit_batch_add(struct audit_batch *b, const struct audit_record *r, uint64_t wall_ns)
{
    struct audit_bodies *bodies = &b->bodies;

    assert(!audit_event_floods(r->event));
    (void)pthread_mutex_lock(&b->lock);
    bool has_room = !b->is_closed && bodies->count < AUDIT_BATCH_RECORDS &&
                    sizeof bodies->bytes - bodies->len_bytes >= AUDIT_BODY_MAX_BYTES;

    if (has_room) {
        size_t len = audit_record_format(r, wall_ns, bodies->bytes + bodies->len_bytes);

        bodies->lens_bytes[bodies->count++] = (uint16_t)len;
        bodies->len_bytes += len;
    }
    (void)pthread_mutex_unlock(&b->lock);
    return has_room;
}
_Static_assert(AUDIT_BODY_MAX_BYTES <= UINT16_MAX && AUDIT_BATCH_BYTES >= 4 * AUDIT_BODY_MAX_BYTES,
               "lengths and bodies have room");

const struct audit_bodies *audit_batch_close(struct audit_batch *b)
{
    (void)pthread_mutex_lock(&b->lock);
    b->is_closed = true;
    (void)pthread_mutex_unlock(&b->lock);
    return &b->bodies;
}

void audit_batch_end(struct audit_batch *b, bool is_written, uint64_t sequence)
{
    b->sequence = sequence;
    atomic_store_explicit(&b->state, is_written ? AUDIT_BATCH_WRITTEN : AUDIT_BATCH_FAILED,
                          memory_order_release);
}

enum audit_batch_state audit_batch_state(const struct audit_batch *b, uint64_t *sequence)
{
    int state = atomic_load_explicit(&b->state, memory_order_acquire);

    *sequence = state != AUDIT_BATCH_OPEN ? b->sequence : 0;
    return (enum audit_batch_state)state;
}
