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

#include "common/errand.h"
#include "common/scope.h"

enum { EVENTS_MAX = 64 }; /* at a time */

STAILQ_HEAD(pump_queue, pump_entry);

struct pump_thread {
    pump_turn *turn;
    int epoll_fd, wake_fd;
    pthread_t thread;
    bool runs; /* `thread` is one */

    pthread_mutex_t lock; /* of what follows, and of its entries; the innermost */
    pthread_cond_t done;  /* `wakers` fell to 0 */
    struct pump_queue queue;
    uint32_t queued_count;
    uint32_t entry_count;
    bool sleeps;     /* and nobody has promised to wake it */
    uint32_t wakers; /* have promised, and not yet kept it */
    bool stopping;
};

struct pump {
    atomic_uint next;
    uint32_t thread_count;
    struct pump_thread threads[];
};

/* --- the queue, under its lock -------------------------------------------------------------------- */

static void put(struct pump_thread *t, struct pump_entry *e)
{
    e->state = PUMP_ENTRY_QUEUED;
    STAILQ_INSERT_TAIL(&t->queue, e, link);
    t->queued_count++;
}

static struct pump_entry *take(struct pump_thread *t)
{
    struct pump_entry *e = STAILQ_FIRST(&t->queue);

    if (e != NULL) {
        STAILQ_REMOVE_HEAD(&t->queue, link);
        t->queued_count--;
        e->state = PUMP_ENTRY_HAS_TURN;
    }
    return e;
}

/* It has to have a turn that begins after this. */
static void queue(struct pump_thread *t, struct pump_entry *e)
{
    if (e->state == PUMP_ENTRY_RESTS) {
        put(t, e);
    } else if (e->state == PUMP_ENTRY_HAS_TURN) {
        e->state = PUMP_ENTRY_GOES_ON;
    }
}

/* True: the thread sleeps, and the caller promises to wake() it. */
static bool promise(struct pump_thread *t)
{
    bool promised = t->sleeps && t->queued_count > 0;

    if (promised) {
        t->sleeps = false;
        t->wakers++;
    }
    return promised;
}

/* --- turns ---------------------------------------------------------------------------------------- */

/* A turn for each of the first `count`. With the lock, which is given back for the turns. */
static void give_turns(struct pump_thread *t, uint32_t count, bool is_help)
{
    struct pump_entry *e;

    while (count-- > 0 && (e = take(t)) != NULL) {
        const struct pump_news news = { .peer_is_done = e->peer_is_done,
                                        .peer_left = e->peer_left,
                                        .is_help = is_help };

        (void)pthread_mutex_unlock(&t->lock);
        enum pump_verdict verdict = t->turn(e, &news);

        (void)pthread_mutex_lock(&t->lock);
        if (verdict == PUMP_GOES_ON || (verdict == PUMP_RESTS && e->state == PUMP_ENTRY_GOES_ON)) {
            put(t, e);
        } else if (verdict == PUMP_RESTS) {
            e->state = PUMP_ENTRY_RESTS;
        }
    }
}

/* The descriptor is never read: each write is an event of its own. */
static void tell(struct pump_thread *t)
{
    uint64_t one = 1;

    (void)!write(t->wake_fd, &one, sizeof(one));
}

/* With the lock. */
static void keep_promise(struct pump_thread *t)
{
    if (t->queued_count > 0) {
        tell(t);
    } else {
        t->sleeps = true; /* as far as is known; one that does not is told in vain */
    }
    if (--t->wakers == 0) {
        (void)pthread_cond_broadcast(&t->done);
    }
}

/* An errand. */
static void help(void *arg)
{
    struct pump_thread *t = arg;

    (void)pthread_mutex_lock(&t->lock);
    if (t->queued_count <= PUMP_HELP_MAX) {
        give_turns(t, t->queued_count, true);
    }
    keep_promise(t);
    (void)pthread_mutex_unlock(&t->lock);
}

static void wake(struct pump_thread *t)
{
    if (!errand_leave(help, t)) {
        (void)pthread_mutex_lock(&t->lock);
        keep_promise(t);
        (void)pthread_mutex_unlock(&t->lock);
    }
}

void pump_wake(struct pump_entry *e)
{
    struct pump_thread *t = e->thread;

    (void)pthread_mutex_lock(&t->lock);
    queue(t, e);
    bool promised = promise(t);

    (void)pthread_mutex_unlock(&t->lock);
    if (promised) {
        wake(t);
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

    t->entry_count += entered ? 1 : 0;
    (void)pthread_mutex_unlock(&t->lock);
    if (entered) {
        pump_wake(e);
    }
    return entered;
}

void pump_leave(struct pump_entry *e)
{
    struct pump_thread *t = e->thread;

    assert(pthread_equal(t->thread, pthread_self())); /* its events may name the entry, else */
    (void)epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, e->fd, NULL);
    (void)pthread_mutex_lock(&t->lock);
    assert(e->state == PUMP_ENTRY_HAS_TURN || e->state == PUMP_ENTRY_GOES_ON);
    t->entry_count--;
    (void)pthread_mutex_unlock(&t->lock);
}

/* --- a thread ------------------------------------------------------------------------------------- */

/* With the lock: queues those whose sockets have changed. */
static void take_events(struct pump_thread *t, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct pump_entry *e = events[i].data.ptr;

        if (e != NULL) { /* else this thread was told */
            e->peer_is_done |= (events[i].events & EPOLLRDHUP) != 0;
            e->peer_left |= (events[i].events & (EPOLLHUP | EPOLLERR)) != 0;
            queue(t, e);
        }
    }
}

static void *run(void *arg)
{
    struct pump_thread *t = arg;
    struct epoll_event events[EVENTS_MAX];

    (void)pthread_mutex_lock(&t->lock);
    while (!t->stopping || t->entry_count > 0) {
        t->sleeps = t->queued_count == 0;
        int timeout_ms = t->sleeps ? -1 : 0;

        (void)pthread_mutex_unlock(&t->lock);
        int count = epoll_wait(t->epoll_fd, events, EVENTS_MAX, timeout_ms);

        (void)pthread_mutex_lock(&t->lock);
        t->sleeps = false;
        take_events(t, events, count);
        give_turns(t, t->queued_count, false);
    }
    (void)pthread_mutex_unlock(&t->lock);
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

int pump_start(uint32_t threads, pump_turn *turn, struct pump **out, struct failure *f)
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
        STAILQ_INIT(&t->queue);
        (void)pthread_mutex_init(&t->lock, NULL);
        (void)pthread_cond_init(&t->done, NULL);
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
    (void)pthread_mutex_lock(&t->lock);
    while (t->wakers > 0) {
        (void)pthread_cond_wait(&t->done, &t->lock);
    }
    (void)pthread_mutex_unlock(&t->lock);
    scope_close_fd(&t->epoll_fd);
    scope_close_fd(&t->wake_fd);
    (void)pthread_cond_destroy(&t->done);
    (void)pthread_mutex_destroy(&t->lock);
}

void pump_stop(struct pump *p)
{
    for (uint32_t i = 0; p != NULL && i < p->thread_count; i++) {
        stop_thread(&p->threads[i]);
    }
    free(p);
}
