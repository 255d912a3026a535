/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/copies.h"

#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 64 }; /* of as many copies as calls are in flight: MAPPER_CALLS_MAX */

/* One range of which a copy is on its way; its memory goes with the last who wants one. */
struct copy {
    struct copies *copies;
    struct copy *chain;
    struct message_snapshot request;
    struct copies_queue running; /* who gets the copy that is on its way */
    struct copies_queue next;    /* who gets the one after it */
};

struct copies {
    struct mapper_client *mapper;
    pthread_mutex_t lock;
    struct copy *buckets[BUCKETS];
};

int copies_new(struct mapper_client *mapper, struct copies **out, struct failure *f)
{
    struct copies *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the table of copies");
    }
    c->mapper = mapper;
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return 0;
}

void copies_free(struct copies *c)
{
    if (c == NULL) {
        return;
    }
    for (int i = 0; i < BUCKETS; i++) {
        assert(c->buckets[i] == NULL);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct copy **bucket_of(struct copies *c, const struct message_snapshot *s)
{
    uint32_t mixed = s->domain.domid ^ s->type << 16 ^ s->id << 20;

    mixed ^= s->first_frame * UINT32_C(0x9e3779b1) ^ s->frame_count * UINT32_C(0x85ebca6b);
    mixed ^= mixed >> 16;
    return &c->buckets[mixed % BUCKETS];
}

/* All that says what is copied: one block, without holes. */
static bool is_same(const struct message_snapshot *a, const struct message_snapshot *b)
{
    const size_t begin = offsetof(struct message_snapshot, domain);
    const size_t end = offsetof(struct message_snapshot, deadline_ns);

    return memcmp((const char *)a + begin, (const char *)b + begin, end - begin) == 0;
}

static struct copy *find(struct copies *c, const struct message_snapshot *s)
{
    struct copy *y = *bucket_of(c, s);

    while (y != NULL && !is_same(&y->request, s)) {
        y = y->chain;
    }
    return y;
}

static void link_request(struct copies_queue *queue, struct copies_request *q)
{
    TAILQ_INSERT_TAIL(queue, q, link);
    q->queue = queue;
}

static void unlink_request(struct copies_request *q)
{
    TAILQ_REMOVE(q->queue, q, link);
    q->queue = NULL;
}

/* Gives `result` to all whom the copy was for. */
static void finish(struct copy *y, const struct mapper_result *result)
{
    struct copies *c = y->copies;

    for (;;) {
        pthread_mutex_lock(&c->lock);
        struct copies_request *q = TAILQ_FIRST(&y->running);
        uint64_t wait = 0;

        if (q != NULL) {
            unlink_request(q);
            wait = q->wait;
        }
        pthread_mutex_unlock(&c->lock);
        if (q == NULL) {
            return;
        }
        /* Else its deadline is being told, maybe has been: q is not ours any more. */
        if (wait == 0 || mapper_client_end_wait(c->mapper, wait)) {
            q->done(q->arg, result);
        }
    }
}

static void remove_copy(struct copy *y)
{
    struct copy **at = bucket_of(y->copies, &y->request);

    while (*at != y) {
        at = &(*at)->chain;
    }
    *at = y->chain;
}

/* Makes those who wait the ones for whom the next copy is. False: nobody waits, and the copy is
 * gone. */
static bool begin(struct copy *y)
{
    struct copies *c = y->copies;
    struct copies_request *q;
    uint64_t deadline_ns = 0;

    pthread_mutex_lock(&c->lock);
    assert(TAILQ_EMPTY(&y->running));
    while ((q = TAILQ_FIRST(&y->next)) != NULL) {
        unlink_request(q);
        link_request(&y->running, q);
        deadline_ns = q->deadline_ns > deadline_ns ? q->deadline_ns : deadline_ns;
    }
    y->request.deadline_ns = deadline_ns;
    bool wanted = !TAILQ_EMPTY(&y->running);

    if (!wanted) {
        remove_copy(y);
    }
    pthread_mutex_unlock(&c->lock);
    if (!wanted) {
        free(y);
    }
    return wanted;
}

static void on_answer(void *arg, const struct mapper_result *result);

/* Not under the lock. After success `y` is on_answer()'s. */
static int call(struct copy *y, struct failure *f)
{
    union message m __attribute__((uninitialized)); /* 27 KiB, of which a snapshot is little */

    m.snapshot = y->request;
    return mapper_client_call(y->copies->mapper, &m, m.snapshot.deadline_ns, on_answer, y, f);
}

/* One copy after the other, until nobody waits or the mapper takes a call. */
static void go_on(struct copy *y)
{
    struct failure f;

    while (begin(y)) {
        if (call(y, &f) == 0) {
            return;
        }
        finish(y, &(struct mapper_result){ .failure = &f });
    }
}

static void on_answer(void *arg, const struct mapper_result *result)
{
    struct copy *y = arg;

    finish(y, result);
    go_on(y);
}

static void on_deadline(void *arg, const struct mapper_result *result)
{
    struct copies_request *q = arg;

    pthread_mutex_lock(&q->copies->lock);
    if (q->queue != NULL) {
        unlink_request(q);
    }
    pthread_mutex_unlock(&q->copies->lock);
    q->done(q->arg, result);
}

/* Waits for the copy after the one that is on its way. */
static int join(struct copy *y, struct copies_request *q, struct failure *f)
{
    /* Under the lock: the deadline may pass before this returns, and its callback takes the lock.
     */
    int result = mapper_client_wait(y->copies->mapper, q->deadline_ns, on_deadline, q, &q->wait, f);

    if (result == 0) {
        link_request(&y->next, q);
    }
    return result;
}

static int add(struct copies *c, const struct message_snapshot *s, struct copies_request *q,
               struct copy **out, struct failure *f)
{
    struct copy *y = calloc(1, sizeof(*y));

    if (y == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a copy");
    }
    y->copies = c;
    y->request = *s;
    y->request.deadline_ns = q->deadline_ns;
    TAILQ_INIT(&y->running);
    TAILQ_INIT(&y->next);
    link_request(&y->running, q);
    y->chain = *bucket_of(c, s);
    *bucket_of(c, s) = y;
    *out = y;
    return 0;
}

int copies_ask(struct copies *c, const struct message_snapshot *snapshot, struct copies_request *q,
               struct failure *f)
{
    struct copy *added = NULL;

    assert(snapshot->head.type == MESSAGE_SNAPSHOT);
    q->copies = c;
    q->queue = NULL;
    q->wait = 0;
    pthread_mutex_lock(&c->lock);
    struct copy *y = find(c, snapshot);
    int result = y != NULL ? join(y, q, f) : add(c, snapshot, q, &added, f);

    pthread_mutex_unlock(&c->lock);
    if (added == NULL) {
        return result;
    }
    result = call(added, f);
    if (result != 0) {
        pthread_mutex_lock(&c->lock);
        unlink_request(q); /* without a wait nobody else takes it */
        pthread_mutex_unlock(&c->lock);
        go_on(added); /* who came meanwhile tries for himself */
    }
    return result;
}
