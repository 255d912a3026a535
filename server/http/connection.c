/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/clock.h"

enum { PHASE_BITS = 3, NS_PER_US = 1000 };

int connections_init(struct connections *t, uint32_t limit, uint32_t limit_per_origin,
                     struct failure *f)
{
    pthread_condattr_t attributes;

    memset(t, 0, sizeof(*t));
    t->limit = limit;
    t->limit_per_origin = limit_per_origin;
    if (getrandom(&t->seed, sizeof(t->seed), 0) != (ssize_t)sizeof(t->seed)) {
        return failure_call(f, failure_set(f, ERROR_INTERNAL, "no random numbers"), "getrandom",
                            errno);
    }
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&t->quiet, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return 0;
}

void connections_done(struct connections *t)
{
    (void)pthread_cond_destroy(&t->quiet);
    (void)pthread_mutex_destroy(&t->lock);
}

static struct connection **bucket(struct connections *t, const struct socket_origin *origin)
{
    uint64_t hash = t->seed;

    for (size_t i = 0; i < sizeof(origin->bytes); i++) {
        hash = (hash ^ origin->bytes[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return &t->buckets[hash % CONNECTIONS_BUCKETS];
}

static bool within_limits(struct connections *t, const struct socket_origin *origin,
                          enum listener_refusal *why)
{
    uint32_t from_origin = 0;

    if (t->count >= t->limit) {
        *why = LISTENER_REFUSED_CONNECTIONS;
        return false;
    }
    for (const struct connection *c = *bucket(t, origin); c != NULL; c = c->chain) {
        if (memcmp(&c->origin, origin, sizeof(*origin)) == 0) {
            from_origin++;
        }
    }
    if (from_origin >= t->limit_per_origin) {
        *why = LISTENER_REFUSED_ADDRESS;
        return false;
    }
    return true;
}

bool connections_admit(struct connections *t, const struct sockaddr *address,
                       enum listener_refusal *why)
{
    struct socket_origin origin;
    bool admitted;

    socket_origin(address, &origin);
    (void)pthread_mutex_lock(&t->lock);
    admitted = within_limits(t, &origin, why);
    (void)pthread_mutex_unlock(&t->lock);
    return admitted;
}

static void connection_free(struct connection *c)
{
    if (c->memory.kept != NULL) {
        c->memory.release(c->memory.kept);
    }
    credentials_unref(c->judged);
    credentials_pair_unref(c->pair);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

static void link_in(struct connections *t, struct connection *c)
{
    struct connection **chain = bucket(t, &c->origin);

    c->chain = *chain;
    *chain = c;
    c->next = t->head;
    if (t->head != NULL) {
        t->head->prev = c;
    }
    t->head = c;
    t->count++;
}

struct connection *connection_add(struct connections *t, struct MHD_Connection *mhd, int fd,
                                  const struct sockaddr *address, struct credentials *credentials,
                                  enum listener_refusal *why)
{
    struct connection *c = calloc(1, sizeof(*c));
    bool admitted;

    if (c == NULL) {
        *why = LISTENER_REFUSED_MEMORY;
        return NULL;
    }
    c->table = t;
    c->mhd = mhd;
    c->fd = fd;
    socket_peer_text(address, c->peer);
    socket_origin(address, &c->origin);
    c->pair = credentials_take_pair(credentials);
    c->judged = credentials_ref(credentials);
    atomic_init(&c->refs, 1);
    (void)pthread_mutex_init(&c->lock, NULL);
    connection_enter(c, CONNECTION_HANDSHAKE);

    /* Between connections_admit() and here other threads may have let others in. */
    (void)pthread_mutex_lock(&t->lock);
    admitted = within_limits(t, &c->origin, why);
    if (admitted) {
        link_in(t, c);
    }
    (void)pthread_mutex_unlock(&t->lock);
    if (!admitted) {
        connection_free(c);
        return NULL;
    }
    return c;
}

void connection_remove(struct connection *c)
{
    struct connections *t = c->table;

    (void)pthread_mutex_lock(&t->lock);
    for (struct connection **p = bucket(t, &c->origin); *p != NULL; p = &(*p)->chain) {
        if (*p == c) {
            *p = c->chain;
            break;
        }
    }
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        t->head = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    t->count--;
    (void)pthread_mutex_unlock(&t->lock);
    connection_unref(c);
}

struct connection *connection_ref(struct connection *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void connection_unref(struct connection *c)
{
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        connection_free(c);
    }
}

void connection_enter(struct connection *c, enum connection_phase phase)
{
    uint64_t now_us = clock_monotonic_ns() / NS_PER_US;

    atomic_store_explicit(&c->phase, now_us << PHASE_BITS | (uint64_t)phase, memory_order_relaxed);
}

enum connection_phase connection_phase(const struct connection *c, uint64_t *since_ns)
{
    uint64_t word = atomic_load_explicit(&c->phase, memory_order_relaxed);

    *since_ns = (word >> PHASE_BITS) * NS_PER_US;
    return (enum connection_phase)(word & ((1U << PHASE_BITS) - 1));
}

void connections_request_began(struct connections *t)
{
    atomic_fetch_add(&t->requests, 1);
}

void connections_request_ended(struct connections *t)
{
    if (atomic_fetch_sub(&t->requests, 1) == 1 && atomic_load(&t->stopping)) {
        (void)pthread_mutex_lock(&t->lock);
        (void)pthread_cond_broadcast(&t->quiet);
        (void)pthread_mutex_unlock(&t->lock);
    }
}

void connections_wait_quiet(struct connections *t, uint64_t deadline_ns)
{
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / CLOCK_NS_PER_S),
        .tv_nsec = (long)(deadline_ns % CLOCK_NS_PER_S),
    };
    int waited = 0;

    (void)pthread_mutex_lock(&t->lock);
    while (atomic_load(&t->requests) > 0 && waited == 0) {
        waited = pthread_cond_timedwait(&t->quiet, &t->lock, &deadline);
    }
    (void)pthread_mutex_unlock(&t->lock);
}

void connections_each(struct connections *t, void (*look)(struct connection *c, void *arg),
                      void *arg)
{
    (void)pthread_mutex_lock(&t->lock);
    for (struct connection *c = t->head; c != NULL; c = c->next) {
        look(c, arg);
    }
    (void)pthread_mutex_unlock(&t->lock);
}

uint32_t connections_count(struct connections *t)
{
    uint32_t count;

    (void)pthread_mutex_lock(&t->lock);
    count = t->count;
    (void)pthread_mutex_unlock(&t->lock);
    return count;
}
