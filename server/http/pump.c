/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/pump.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/scope.h"

enum { EVENTS_MAX = 64 }; /* at a time */

TAILQ_HEAD(pump_queue, pump_entry);

struct pump_thread {
    enum pump_verdict (*turn)(struct pump_entry *e);
    int epoll_fd, wake_fd;
    pthread_t thread;
    bool runs; /* `thread` is one */

    pthread_mutex_t lock; /* of what follows, and what says so in the entries; the innermost */
    struct pump_queue queue;
    uint32_t queued_count;
    uint32_t entry_count;
    bool sleeps;
    bool stopping;
};

struct pump {
    atomic_uint next;
    uint32_t thread_count;
    struct pump_thread threads[];
};

/* --- the queue ----------------------------------------------------------------------------------- */

/* Under the lock. True: the thread has to be told. */
static bool enqueue(struct pump_thread *t, struct pump_entry *e)
{
    if (e->is_queued) {
        return false;
    }
    e->is_queued = true;
    TAILQ_INSERT_TAIL(&t->queue, e, link);
    t->queued_count++;
    bool was_asleep = t->sleeps;

    t->sleeps = false;
    return was_asleep;
}

/* Under the lock. */
static void dequeue(struct pump_thread *t, struct pump_entry *e)
{
    TAILQ_REMOVE(&t->queue, e, link);
    t->queued_count--;
    e->is_queued = false;
}

/* The descriptor is never read: each write is an event of its own. */
static void tell(struct pump_thread *t)
{
    uint64_t one = 1;

    (void)!write(t->wake_fd, &one, sizeof(one));
}

void pump_wake(struct pump_entry *e)
{
    struct pump_thread *t = e->thread;

    (void)pthread_mutex_lock(&t->lock);
    bool has_to_be_told = enqueue(t, e);

    (void)pthread_mutex_unlock(&t->lock);
    if (has_to_be_told) {
        tell(t);
    }
}

bool pump_enter(struct pump *p, struct pump_entry *e, int fd)
{
    unsigned number = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
    struct pump_thread *t = &p->threads[number % p->thread_count];
    struct epoll_event event = { .events = EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = e };

    *e = (struct pump_entry){ .fd = fd, .thread = t };
    (void)pthread_mutex_lock(&t->lock);
    assert(!t->stopping);
    bool entered = epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
    bool has_to_be_told = entered && enqueue(t, e);

    t->entry_count += entered ? 1 : 0;
    (void)pthread_mutex_unlock(&t->lock);
    if (has_to_be_told) {
        tell(t);
    }
    return entered;
}

void pump_leave(struct pump_entry *e)
{
    struct pump_thread *t = e->thread;

    (void)epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, e->fd, NULL);
    (void)pthread_mutex_lock(&t->lock);
    if (e->is_queued) {
        dequeue(t, e);
    }
    t->entry_count--;
    (void)pthread_mutex_unlock(&t->lock);
}

/* --- a thread ------------------------------------------------------------------------------------ */

static struct pump_entry *take_first(struct pump_thread *t)
{
    (void)pthread_mutex_lock(&t->lock);
    struct pump_entry *e = TAILQ_FIRST(&t->queue);

    if (e != NULL) {
        dequeue(t, e);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return e;
}

/* A turn for each of the first `count`; then the sockets are looked at again. */
static void give_turns(struct pump_thread *t, uint32_t count)
{
    struct pump_entry *e;

    while (count-- > 0 && (e = take_first(t)) != NULL) {
        if (t->turn(e) == PUMP_GOES_ON) {
            pump_wake(e);
        }
    }
}

/* Queues those whose sockets have changed. */
static void look(struct pump_thread *t, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(t->epoll_fd, events, EVENTS_MAX, timeout_ms);

    (void)pthread_mutex_lock(&t->lock);
    t->sleeps = false;
    for (int i = 0; i < count; i++) {
        struct pump_entry *e = events[i].data.ptr;

        if (e != NULL) { /* else this thread was woken */
            e->peer_left |= (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
            (void)enqueue(t, e);
        }
    }
    (void)pthread_mutex_unlock(&t->lock);
}

static void *run(void *arg)
{
    struct pump_thread *t = arg;
    bool is_over = false;

    while (!is_over) {
        (void)pthread_mutex_lock(&t->lock);
        uint32_t count = t->queued_count;

        is_over = t->stopping && t->entry_count == 0;
        t->sleeps = count == 0 && !is_over;
        (void)pthread_mutex_unlock(&t->lock);
        give_turns(t, count);
        if (!is_over) {
            look(t, count == 0 ? -1 : 0);
        }
    }
    return NULL;
}

/* --- life ---------------------------------------------------------------------------------------- */

static int cannot_start(struct failure *f, const char *call, int errnum)
{
    return failure_call(f, failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot start sending threads"),
                        call, errnum);
}

static int start_thread(struct pump_thread *t, struct failure *f)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = NULL };

    t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->epoll_fd < 0 || t->wake_fd < 0 ||
        epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->wake_fd, &event) != 0) {
        return cannot_start(f, "epoll_create1, eventfd or epoll_ctl", errno);
    }
    int errnum = pthread_create(&t->thread, NULL, run, t);

    if (errnum != 0) {
        return cannot_start(f, "pthread_create", errnum);
    }
    t->runs = true;
    (void)pthread_setname_np(t->thread, "pump");
    return 0;
}

int pump_start(uint32_t threads, enum pump_verdict (*turn)(struct pump_entry *e), struct pump **out,
               struct failure *f)
{
    assert(threads > 0 && threads <= PUMP_THREADS_MAX);
    struct pump *p = calloc(1, sizeof(*p) + threads * sizeof(p->threads[0]));
    int result = p != NULL ? 0 : failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");

    if (p == NULL) {
        return result;
    }
    p->thread_count = threads;
    for (uint32_t i = 0; i < threads; i++) {
        struct pump_thread *t = &p->threads[i];

        t->turn = turn;
        t->epoll_fd = t->wake_fd = -1;
        TAILQ_INIT(&t->queue);
        (void)pthread_mutex_init(&t->lock, NULL);
    }
    for (uint32_t i = 0; i < threads && result == 0; i++) {
        result = start_thread(&p->threads[i], f);
    }
    if (result != 0) {
        pump_stop(p);
        return result;
    }
    *out = p;
    return 0;
}

static void stop_thread(struct pump_thread *t)
{
    if (t->runs) {
        (void)pthread_mutex_lock(&t->lock);
        t->stopping = true;
        (void)pthread_mutex_unlock(&t->lock);
        tell(t);
        (void)pthread_join(t->thread, NULL);
    }
    scope_close_fd(&t->epoll_fd);
    scope_close_fd(&t->wake_fd);
    (void)pthread_mutex_destroy(&t->lock);
}

void pump_stop(struct pump *p)
{
    for (uint32_t i = 0; p != NULL && i < p->thread_count; i++) {
        stop_thread(&p->threads[i]);
    }
    free(p);
}
