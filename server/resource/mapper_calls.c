/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/mapper_calls.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* Waits have rows of their own to use: an exchange that waits for the directory is not a call. */
enum {
    ROWS = 2 * MAPPER_CALLS_MAX,
    ROW_BITS = 11,
    NO_ROW = ROWS,
};
_Static_assert(ROWS == 1 << ROW_BITS, "a serial's low bits are the row");

enum row_state { ROW_FREE, ROW_LIVE, ROW_EXPIRED, ROW_WAIT };

struct row {
    enum row_state state;
    uint32_t next_free;
    uint64_t uses; /* from 1: no serial is 0, nor one of the first rows' width */
    struct mapper_call call;
};

struct mapper_calls {
    pthread_mutex_t lock;
    uint64_t wake_ns;   /* the receiving thread looks again by then */
    unsigned in_flight; /* rows LIVE and EXPIRED */
    unsigned waits;
    uint32_t first_free;
    bool closed;
    uint64_t deadlines[ROWS]; /* NEVER where nothing can expire; apart, to be scanned quickly */
    struct row rows[ROWS];
};

int mapper_calls_new(struct mapper_calls **out, struct failure *f)
{
    struct mapper_calls *t = calloc(1, sizeof(*t));

    if (t == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the table of calls");
    }
    pthread_mutex_init(&t->lock, NULL);
    t->wake_ns = MAPPER_CALLS_NEVER;
    for (uint32_t i = 0; i < ROWS; i++) {
        t->rows[i].next_free = i + 1;
        t->deadlines[i] = MAPPER_CALLS_NEVER;
    }
    *out = t;
    return 0;
}

void mapper_calls_free(struct mapper_calls *t)
{
    if (t == NULL) {
        return;
    }
    assert(t->in_flight == 0 && t->waits == 0);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static uint64_t serial_of(const struct mapper_calls *t, uint32_t index)
{
    return t->rows[index].uses << ROW_BITS | index;
}

static int cannot_add(const struct mapper_calls *t, bool wait, unsigned max, struct failure *f)
{
    unsigned bound = max < MAPPER_CALLS_MAX ? max : MAPPER_CALLS_MAX;
    int result;

    if (t->closed) {
        result = failure_set(f, ERROR_UNAVAILABLE, "the gateway is stopping");
        return failure_next(f, result, "try again when it is back");
    }
    if (wait ? t->waits < MAPPER_CALLS_MAX : t->in_flight < bound) {
        return 0;
    }
    result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%u requests wait for the mapper already",
                         wait ? (unsigned)MAPPER_CALLS_MAX : bound);
    failure_retry(f, result, FAILURE_RETRY_SOON_MS);
    failure_cause(f, result, "more is asked at once than the gateway takes, or the mapper stalls");
    return failure_next(f, result, "try again in a moment");
}

int mapper_calls_add(struct mapper_calls *t, const struct mapper_call *call, uint64_t deadline_ns,
                     unsigned max, uint64_t *serial, bool *wake, struct failure *f)
{
    bool wait = call->question.type == 0;

    pthread_mutex_lock(&t->lock);
    int result = cannot_add(t, wait, max, f);

    if (result != 0) {
        pthread_mutex_unlock(&t->lock);
        return result;
    }
    uint32_t index = t->first_free;

    assert(index != NO_ROW); /* the two counts bound it */
    struct row *row = &t->rows[index];

    t->first_free = row->next_free;
    row->state = wait ? ROW_WAIT : ROW_LIVE;
    row->uses++;
    row->call = *call;
    t->deadlines[index] = deadline_ns;
    *(wait ? &t->waits : &t->in_flight) += 1;
    *serial = serial_of(t, index);
    *wake = deadline_ns < t->wake_ns;
    if (*wake) {
        t->wake_ns = deadline_ns;
    }
    pthread_mutex_unlock(&t->lock);
    return 0;
}

static void free_row(struct mapper_calls *t, uint32_t index)
{
    struct row *row = &t->rows[index];

    assert(row->state != ROW_FREE);
    *(row->state == ROW_WAIT ? &t->waits : &t->in_flight) -= 1;
    row->state = ROW_FREE;
    row->next_free = t->first_free;
    t->first_free = index;
    t->deadlines[index] = MAPPER_CALLS_NEVER;
}

/* The row of a serial, or NO_ROW: hostile input may name any. */
static uint32_t find(const struct mapper_calls *t, uint64_t serial)
{
    uint32_t index = (uint32_t)(serial & (ROWS - 1));

    return t->rows[index].state != ROW_FREE && serial_of(t, index) == serial ? index : NO_ROW;
}

bool mapper_calls_withdraw(struct mapper_calls *t, uint64_t serial)
{
    pthread_mutex_lock(&t->lock);
    uint32_t index = find(t, serial);
    bool found = index != NO_ROW && t->rows[index].state != ROW_EXPIRED;

    if (found || index != NO_ROW) { /* expired, and never sent: no answer will free it */
        free_row(t, index);
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

enum mapper_calls_found mapper_calls_take(struct mapper_calls *t, uint64_t serial,
                                          struct mapper_call *out)
{
    enum mapper_calls_found found = MAPPER_CALLS_NONE;

    pthread_mutex_lock(&t->lock);
    uint32_t index = find(t, serial);

    if (index != NO_ROW && t->rows[index].state != ROW_WAIT) {
        found = t->rows[index].state == ROW_LIVE ? MAPPER_CALLS_LIVE : MAPPER_CALLS_EXPIRED;
        *out = t->rows[index].call;
        free_row(t, index);
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

/* Rows that are completed at once: copies, so that `done` is called without the lock. */
enum { BATCH = 32 };

static void complete(const struct mapper_call *calls, unsigned count, const struct failure *why)
{
    const struct mapper_result result = { .failure = why };

    for (unsigned i = 0; i < count; i++) {
        calls[i].done(calls[i].arg, &result);
    }
}

/* Under the lock: at most a batch of what has expired; sets `wake_ns` to the earliest that is
 * left. */
static unsigned take_expired(struct mapper_calls *t, uint64_t now_ns, struct mapper_call out[BATCH])
{
    uint64_t next = MAPPER_CALLS_NEVER;
    unsigned count = 0;

    for (uint32_t i = 0; i < ROWS; i++) {
        if (t->deadlines[i] > now_ns || count == BATCH) {
            next = t->deadlines[i] < next ? t->deadlines[i] : next;
            continue;
        }
        out[count++] = t->rows[i].call;
        if (t->rows[i].state == ROW_WAIT) {
            free_row(t, i);
        } else {
            t->rows[i].state = ROW_EXPIRED;
            t->deadlines[i] = MAPPER_CALLS_NEVER;
        }
    }
    t->wake_ns = next;
    return count;
}

uint64_t mapper_calls_expire(struct mapper_calls *t, uint64_t now_ns, const struct failure *why)
{
    struct mapper_call batch[BATCH];

    for (;;) {
        pthread_mutex_lock(&t->lock);
        unsigned count = now_ns >= t->wake_ns ? take_expired(t, now_ns, batch) : 0;
        uint64_t next_ns = t->wake_ns;

        pthread_mutex_unlock(&t->lock);
        complete(batch, count, why);
        if (count < BATCH) {
            return next_ns;
        }
    }
}

static unsigned take_abandoned(struct mapper_calls *t, bool waits, struct mapper_call out[BATCH])
{
    unsigned count = 0;

    for (uint32_t i = 0; i < ROWS && count < BATCH; i++) {
        struct row *row = &t->rows[i];

        if (row->state == ROW_FREE || (row->state == ROW_WAIT && !waits)) {
            continue;
        }
        if (row->state != ROW_EXPIRED) {
            out[count++] = row->call;
        }
        free_row(t, i);
    }
    return count;
}

void mapper_calls_abandon(struct mapper_calls *t, bool waits, const struct failure *why)
{
    struct mapper_call batch[BATCH];
    unsigned count;

    do {
        pthread_mutex_lock(&t->lock);
        t->closed = t->closed || waits;
        count = take_abandoned(t, waits, batch);
        pthread_mutex_unlock(&t->lock);
        complete(batch, count, why);
    } while (count == BATCH);
}
