/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Threads in lockstep: what is tested starts its threads as ever, and each is a strand of the test's one
 * thread, which runs until it waits: in poll(), for a condition, for another's end, or held by the test. Which
 * one goes on then, lockstep_turn() draws; what time it is, the test's clock says (clock_set_source()). So
 * a run is what its seed says, however busy the machine is, and as cheap as its work.
 *
 * Included by one file of a program: it takes the place of pthread_create() and of everything that waits
 * in it, and of the kernel's chance. A wait of the test's own lets strands go on until it is over, or
 * nobody can go on, which ends it as time would. Nobody may wait while he holds a lock that another one
 * takes (but for his condition's): that would be for ever.
 */
#ifndef XENRES_TESTS_LOCKSTEP_H
#define XENRES_TESTS_LOCKSTEP_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/clock.h"

enum { LOCKSTEP_STRANDS_MAX = 16, LOCKSTEP_STACK_BYTES = 1 << 20 };

enum strand_state {
    STRAND_FREE,
    STRAND_READY,
    STRAND_POLLS,
    STRAND_WAITS, /* for a condition */
    STRAND_HELD,
    STRAND_JOINS,
    STRAND_OVER,
};

struct strand {
    enum strand_state state;
    ucontext_t context;
    void *stack; /* kept for the next */
    void *(*run)(void *arg);
    void *arg, *result;
    struct pollfd *fds;
    nfds_t fd_count;
    const pthread_cond_t *condition;
    const struct strand *joined;
    bool (*is_held)(void *arg);
    void *held_arg;
    uint64_t until_ns; /* of the test's clock; UINT64_MAX: for ever */
};

static struct {
    struct strand strands[LOCKSTEP_STRANDS_MAX];
    struct strand *current; /* NULL: the test itself */
    ucontext_t test;
    const pthread_cond_t *test_waits_for; /* NULL: it was signalled, or waits for none */
    uint64_t chance_seed, chance_count;
    uint64_t turns;
} lockstep;

/* --- chance -------------------------------------------------------------------------------------------- */

static inline void lockstep_seed(uint64_t seed)
{
    lockstep.chance_seed = seed;
    lockstep.chance_count = 0;
}

static inline uint64_t lockstep_draw(void)
{
    uint64_t x = (lockstep.chance_seed << 32 ^ ++lockstep.chance_count) + 0x9e3779b97f4a7c15U;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

static inline uint32_t chance(uint32_t below)
{
    return (uint32_t)(lockstep_draw() % below);
}

ssize_t getrandom(void *out, size_t len_bytes, unsigned flags)
{
    uint8_t *bytes = out;

    (void)flags;
    for (size_t i = 0; i < len_bytes; i++) {
        bytes[i] = (uint8_t)lockstep_draw();
    }
    return (ssize_t)len_bytes;
}

/* --- who can go on ------------------------------------------------------------------------------------- */

static inline int lockstep_poll_now(struct pollfd *fds, nfds_t count)
{
    return (int)syscall(SYS_poll, fds, count, 0);
}

/* Whose descriptors are ready, of all who wait for theirs: one call for them together. */
static inline void lockstep_look(bool ready[LOCKSTEP_STRANDS_MAX])
{
    struct pollfd all[2 * LOCKSTEP_STRANDS_MAX];
    nfds_t count = 0, at = 0;

    for (size_t i = 0; i < LOCKSTEP_STRANDS_MAX; i++) {
        const struct strand *s = &lockstep.strands[i];

        if (s->state == STRAND_POLLS) {
            memcpy(all + count, s->fds, s->fd_count * sizeof(all[0]));
            count += s->fd_count;
        }
    }
    bool is_any = count > 0 && lockstep_poll_now(all, count) > 0;

    for (size_t i = 0; i < LOCKSTEP_STRANDS_MAX; i++) {
        const struct strand *s = &lockstep.strands[i];

        ready[i] = false;
        for (nfds_t n = 0; s->state == STRAND_POLLS && n < s->fd_count; n++) {
            ready[i] = ready[i] || (is_any && all[at + n].revents != 0);
        }
        at += s->state == STRAND_POLLS ? s->fd_count : 0;
    }
}

static inline bool strand_can_go(const struct strand *s, bool is_ready, uint64_t now_ns)
{
    switch (s->state) {
    case STRAND_READY: return true;
    case STRAND_POLLS: return is_ready || now_ns >= s->until_ns;
    case STRAND_WAITS: return now_ns >= s->until_ns;
    case STRAND_HELD: return !s->is_held(s->held_arg);
    case STRAND_JOINS: return s->joined->state == STRAND_OVER;
    case STRAND_FREE:
    case STRAND_OVER: break;
    }
    return false;
}

/* One that can go on, whichever, goes on until it waits. False: nobody can. The test's only. */
static inline bool lockstep_turn(void)
{
    bool ready[LOCKSTEP_STRANDS_MAX];
    uint32_t first = chance(LOCKSTEP_STRANDS_MAX);
    uint64_t now_ns = clock_monotonic_ns();

    lockstep_look(ready);
    for (uint32_t i = 0; i < LOCKSTEP_STRANDS_MAX; i++) {
        uint32_t which = (first + i) % LOCKSTEP_STRANDS_MAX;
        struct strand *s = &lockstep.strands[which];

        if (strand_can_go(s, ready[which], now_ns)) {
            s->state = STRAND_READY;
            lockstep.current = s;
            lockstep.turns++;
            (void)swapcontext(&lockstep.test, &s->context);
            lockstep.current = NULL;
            return true;
        }
    }
    return false;
}

/* Until nobody can go on. */
static inline void lockstep_settle(void)
{
    while (lockstep_turn()) {
    }
}

/* The current strand waits as `state` says. */
static inline void strand_wait(enum strand_state state)
{
    struct strand *s = lockstep.current;

    s->state = state;
    (void)swapcontext(&s->context, &lockstep.test);
}

/* The current strand goes on once `is_held` is false. */
static inline void lockstep_hold(bool (*is_held)(void *arg), void *arg)
{
    lockstep.current->is_held = is_held;
    lockstep.current->held_arg = arg;
    strand_wait(STRAND_HELD);
}

/* --- threads ------------------------------------------------------------------------------------------- */

static inline void strand_main(void)
{
    struct strand *s = lockstep.current;

    s->result = s->run(s->arg);
    strand_wait(STRAND_OVER);
    abort();
}

/* Its stack, and where it begins. */
static inline void strand_prepare(struct strand *s)
{
    if (s->stack == NULL) {
        s->stack = mmap(NULL, LOCKSTEP_STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    }
    if (s->stack == MAP_FAILED || getcontext(&s->context) != 0) {
        abort();
    }
    s->context.uc_stack.ss_sp = s->stack;
    s->context.uc_stack.ss_size = LOCKSTEP_STACK_BYTES;
    s->context.uc_link = NULL;
    makecontext(&s->context, strand_main, 0);
}

int pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *arg)
{
    (void)attributes;
    for (size_t i = 0; i < LOCKSTEP_STRANDS_MAX; i++) {
        struct strand *s = &lockstep.strands[i];

        if (s->state == STRAND_FREE) {
            strand_prepare(s);
            s->run = run;
            s->arg = arg;
            s->state = STRAND_READY;
            *out = (pthread_t)(i + 1);
            return 0;
        }
    }
    return EAGAIN;
}

int pthread_join(pthread_t thread, void **result)
{
    struct strand *s = &lockstep.strands[(size_t)thread - 1];

    if (lockstep.current != NULL) {
        lockstep.current->joined = s;
        strand_wait(STRAND_JOINS);
    }
    while (s->state != STRAND_OVER) {
        if (!lockstep_turn()) {
            fprintf(stderr, "seed %llu: a thread does not end\n",
                    (unsigned long long)lockstep.chance_seed);
            abort();
        }
    }
    if (result != NULL) {
        *result = s->result;
    }
    s->state = STRAND_FREE;
    return 0;
}

int pthread_setname_np(pthread_t thread, const char *name)
{
    (void)thread, (void)name;
    return 0;
}

/* --- what waits ---------------------------------------------------------------------------------------- */

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct strand *s = lockstep.current;
    int ready = lockstep_poll_now(fds, count);

    if (ready != 0 || timeout_ms == 0) {
        return ready;
    }
    if (s == NULL) {
        while (ready == 0 && lockstep_turn()) {
            ready = lockstep_poll_now(fds, count);
        }
        return ready;
    }
    if (count > 2) {
        abort(); /* lockstep_look() has room for so many of each */
    }
    s->fds = fds;
    s->fd_count = count;
    s->until_ns =
        timeout_ms < 0 ? UINT64_MAX : clock_monotonic_ns() + (uint64_t)timeout_ms * CLOCK_NS_PER_MS;
    strand_wait(STRAND_POLLS);
    return lockstep_poll_now(fds, count);
}

static inline int lockstep_wait_condition(const pthread_cond_t *condition, pthread_mutex_t *lock,
                                          uint64_t until_ns)
{
    struct strand *s = lockstep.current;
    int answer = 0;

    (void)pthread_mutex_unlock(lock);
    if (s != NULL) {
        s->condition = condition;
        s->until_ns = until_ns;
        strand_wait(STRAND_WAITS);
        answer = s->condition != NULL ? ETIMEDOUT : 0;
        s->condition = NULL;
    } else {
        lockstep.test_waits_for = condition;
        while (lockstep.test_waits_for != NULL && answer == 0) {
            answer = lockstep_turn() ? 0 : ETIMEDOUT;
        }
        lockstep.test_waits_for = NULL;
    }
    (void)pthread_mutex_lock(lock);
    return answer;
}

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock)
{
    return lockstep_wait_condition(condition, lock, UINT64_MAX);
}

/* Of a monotonic condition. */
int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock,
                           const struct timespec *until)
{
    return lockstep_wait_condition(
        condition, lock, (uint64_t)until->tv_sec * CLOCK_NS_PER_S + (uint64_t)until->tv_nsec);
}

int pthread_cond_broadcast(pthread_cond_t *condition)
{
    for (size_t i = 0; i < LOCKSTEP_STRANDS_MAX; i++) {
        struct strand *s = &lockstep.strands[i];

        if (s->state == STRAND_WAITS && s->condition == condition) {
            s->condition = NULL;
            s->state = STRAND_READY;
        }
    }
    if (lockstep.test_waits_for == condition) {
        lockstep.test_waits_for = NULL;
    }
    return 0;
}

int pthread_cond_signal(pthread_cond_t *condition)
{
    return pthread_cond_broadcast(condition); /* who is waked for nothing looks again */
}

#endif
