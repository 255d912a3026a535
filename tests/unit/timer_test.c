/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/rpc/timer.h"

enum { MANY = 5000, THREADS = 4, PER_THREAD = 500, WAIT_S = 20 };

/* What fires notes itself here. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count;
    const void *order[MANY];
    bool inside, may_return;
} log_of = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static struct timers *timers;

static int begin(void **state)
{
    (void)state;
    log_of.count = 0;
    log_of.inside = log_of.may_return = false;
    return timers_new(&timers, NULL);
}

static int end(void **state)
{
    (void)state;
    timers_free(timers);
    return 0;
}

static void note(void *arg)
{
    pthread_mutex_lock(&log_of.lock);
    if (log_of.count < MANY) {
        log_of.order[log_of.count] = arg;
    }
    log_of.count++;
    pthread_cond_broadcast(&log_of.changed);
    pthread_mutex_unlock(&log_of.lock);
}

static void wait_count(size_t count)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&log_of.lock);
    while (log_of.count < count &&
           pthread_cond_timedwait(&log_of.changed, &log_of.lock, &until) == 0) {
    }
    assert_int_equal(log_of.count, count);
    pthread_mutex_unlock(&log_of.lock);
}

static uint64_t in_ms(uint64_t ms)
{
    return clock_monotonic_ns() + ms * CLOCK_NS_PER_MS;
}

static uint64_t never(void)
{
    return in_ms(3600000);
}

static void stay_inside(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&log_of.lock);
    log_of.inside = true;
    pthread_cond_broadcast(&log_of.changed);
    while (!log_of.may_return) {
        pthread_cond_wait(&log_of.changed, &log_of.lock);
    }
    pthread_mutex_unlock(&log_of.lock);
    note(arg);
}

/* Nothing else fires until release(). */
static void hold(struct timer *t)
{
    timer_arm(timers, t, 0, stay_inside, t);
    pthread_mutex_lock(&log_of.lock);
    while (!log_of.inside) {
        pthread_cond_wait(&log_of.changed, &log_of.lock);
    }
    pthread_mutex_unlock(&log_of.lock);
}

static void release(void)
{
    pthread_mutex_lock(&log_of.lock);
    log_of.may_return = true;
    pthread_cond_broadcast(&log_of.changed);
    pthread_mutex_unlock(&log_of.lock);
}

static void it_fires_once_when_its_time_has_come(void **state)
{
    struct timer t = { 0 };
    uint64_t at_ns = in_ms(20);

    (void)state;
    timer_arm(timers, &t, at_ns, note, &t);
    wait_count(1);
    assert_true(clock_monotonic_ns() >= at_ns);
    assert_false(t.armed);
    timer_cancel(timers, &t); /* nothing to do */
}

static void what_is_past_fires_at_once(void **state)
{
    struct timer first = { 0 }, second = { 0 };

    (void)state;
    timer_arm(timers, &first, 0, note, &first);
    timer_arm(timers, &second, clock_monotonic_ns(), note, &second);
    wait_count(2);
}

static void they_fire_in_the_order_of_their_times(void **state)
{
    struct timer *t = calloc(MANY, sizeof(*t)), first = { 0 };
    uint32_t seed = 7;
    uint64_t before_ns = 0;

    (void)state;
    hold(&first);
    for (size_t i = 0; i < MANY; i++) { /* in no order, some of them alike */
        seed = seed * 1664525 + 1013904223;
        timer_arm(timers, &t[i], seed >> 18, note, &t[i]);
    }
    release();
    wait_count(1 + MANY);
    for (size_t i = 1; i < MANY; i++) {
        const struct timer *fired = log_of.order[i];

        assert_true(fired->at_ns >= before_ns);
        before_ns = fired->at_ns;
    }
    free(t);
}

static void a_nearer_one_that_comes_later_is_not_kept_waiting(void **state)
{
    struct timer far = { 0 }, near = { 0 };

    (void)state;
    timer_arm(timers, &far, never(), note, &far);
    timer_arm(timers, &near, in_ms(5), note, &near);
    wait_count(1);
    assert_ptr_equal(log_of.order[0], &near);
    timer_cancel(timers, &far);
}

static void what_is_cancelled_does_not_fire(void **state)
{
    struct timer *t = calloc(MANY, sizeof(*t)), first = { 0 };

    (void)state;
    hold(&first);
    for (size_t i = 0; i < MANY; i++) {
        timer_arm(timers, &t[i], (i * 7919) % MANY, note, &t[i]);
    }
    for (size_t i = 0; i < MANY; i++) { /* from every place of the heap: all but each seventh */
        size_t k = (i * 3571) % MANY;

        if (k % 7 != 0) {
            timer_cancel(timers, &t[k]);
            assert_false(t[k].armed);
            timer_cancel(timers, &t[k]); /* a second time is fine */
        }
    }
    release();
    wait_count(1 + (MANY + 6) / 7);
    for (size_t i = 1; i < log_of.count; i++) {
        assert_int_equal(((const struct timer *)log_of.order[i] - t) % 7, 0);
    }
    free(t);
}

static void one_can_be_armed_again(void **state)
{
    struct timer t = { 0 };

    (void)state;
    for (size_t i = 1; i <= 3; i++) {
        timer_arm(timers, &t, in_ms(1), note, &t);
        wait_count(i);
        timer_cancel(timers, &t);
    }
    timer_arm(timers, &t, never(), note, &t);
    timer_cancel(timers, &t);
    timer_arm(timers, &t, 0, note, &t);
    wait_count(4);
}

/* --- from within ------------------------------------------------------------------------------------ */

struct again {
    struct timer timer;
    size_t left;
};

static void fire_again(void *arg)
{
    struct again *a = arg;

    if (--a->left > 0) {
        timer_arm(timers, &a->timer, 0, fire_again, a);
    }
    note(a);
}

static void one_arms_itself_again(void **state)
{
    struct again a = { .left = 100 };

    (void)state;
    timer_arm(timers, &a.timer, 0, fire_again, &a);
    wait_count(100);
    timer_cancel(timers, &a.timer);
    assert_int_equal(a.left, 0);
}

/* As an exchange that is freed by whom its deadline woke. */
static void cancel_itself(void *arg)
{
    struct again *a = arg;

    timer_cancel(timers, &a->timer); /* does not wait for itself */
    free(a);
    note(NULL);
}

static void one_that_fires_may_be_cancelled_and_freed_by_itself(void **state)
{
    (void)state;
    for (size_t i = 1; i <= 100; i++) {
        struct again *a = calloc(1, sizeof(*a));

        timer_arm(timers, &a->timer, 0, cancel_itself, a);
        wait_count(i);
    }
}

static void *cancel_from_outside(void *arg)
{
    timer_cancel(timers, arg);
    pthread_mutex_lock(&log_of.lock);
    size_t count = log_of.count; /* `fire` has returned by now */

    pthread_mutex_unlock(&log_of.lock);
    return (void *)count;
}

static void cancelling_waits_for_the_one_that_fires_and_for_no_other(void **state)
{
    struct timer t = { 0 }, other = { 0 };
    pthread_t thread;
    void *seen = NULL;

    (void)state;
    hold(&t);
    timer_arm(timers, &other, 0, note, &other);
    timer_cancel(timers, &other); /* at once, or this would hang */
    assert_int_equal(pthread_create(&thread, NULL, cancel_from_outside, &t), 0);
    release();
    assert_int_equal(pthread_join(thread, &seen), 0);
    assert_int_equal((size_t)seen, 1);
    assert_int_equal(log_of.count, 1);
}

/* --- all at once ------------------------------------------------------------------------------------ */

struct crowd {
    pthread_t thread;
    struct timer timers[PER_THREAD];
    atomic_size_t fired;
    uint32_t seed;
};

static void count_fire(void *arg)
{
    atomic_fetch_add((atomic_size_t *)arg, 1);
}

/* Memory goes after each cancel: who fires behind it is seen by the sanitizers. */
static void *arm_and_cancel(void *arg)
{
    struct crowd *c = arg;

    for (size_t round = 0; round < 4; round++) {
        for (size_t i = 0; i < PER_THREAD; i++) {
            c->seed = c->seed * 1664525 + 1013904223;
            timer_arm(timers, &c->timers[i], clock_monotonic_ns() + (c->seed >> 10), count_fire,
                      &c->fired);
        }
        for (size_t i = 0; i < PER_THREAD; i++) {
            timer_cancel(timers, &c->timers[i]);
        }
        memset(c->timers, 0, sizeof(c->timers));
    }
    return NULL;
}

static void many_threads_arm_and_cancel_at_once(void **state)
{
    struct crowd *crowd = calloc(THREADS, sizeof(*crowd));

    (void)state;
    for (uint32_t i = 0; i < THREADS; i++) {
        crowd[i].seed = i;
        assert_int_equal(pthread_create(&crowd[i].thread, NULL, arm_and_cancel, &crowd[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(crowd[i].thread, NULL), 0);
        assert_true(atomic_load(&crowd[i].fired) <= 4 * PER_THREAD);
    }
    free(crowd);
}

#define TIMER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIMER_TEST(it_fires_once_when_its_time_has_come),
        TIMER_TEST(what_is_past_fires_at_once),
        TIMER_TEST(they_fire_in_the_order_of_their_times),
        TIMER_TEST(a_nearer_one_that_comes_later_is_not_kept_waiting),
        TIMER_TEST(what_is_cancelled_does_not_fire),
        TIMER_TEST(one_can_be_armed_again),
        TIMER_TEST(one_arms_itself_again),
        TIMER_TEST(one_that_fires_may_be_cancelled_and_freed_by_itself),
        TIMER_TEST(cancelling_waits_for_the_one_that_fires_and_for_no_other),
        TIMER_TEST(many_threads_arm_and_cancel_at_once),
    };

    timers_free(NULL);
    return UNIT_RUN(tests);
}
