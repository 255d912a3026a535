/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include <pthread.h>

#include "server/rpc/wait.h"

enum { ROUNDS = 20000, WAKERS = 3 };

static void count_wake(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void a_wake_while_waiting_calls_once(void **state)
{
    struct wait w;
    atomic_int woken = 0;

    (void)state;
    wait_init(&w, count_wake, &woken);
    wait_look(&w);
    assert_true(wait_begin(&w));
    assert_int_equal(woken, 0);
    wait_wake(&w);
    wait_wake(&w);
    assert_int_equal(woken, 1);
    wait_look(&w);
    assert_true(wait_begin(&w));
    wait_wake(&w);
    assert_int_equal(woken, 2);
}

static void a_wake_after_the_look_is_not_lost(void **state)
{
    struct wait w;
    atomic_int woken = 0;

    (void)state;
    wait_init(&w, count_wake, &woken);
    wait_look(&w);
    wait_wake(&w);
    assert_false(wait_begin(&w)); /* look again */
    wait_look(&w);
    assert_true(wait_begin(&w));
    assert_int_equal(woken, 0);
}

static void a_wake_before_the_look_is_the_looks_to_see(void **state)
{
    struct wait w;
    atomic_int woken = 0;

    (void)state;
    wait_init(&w, count_wake, &woken);
    wait_wake(&w);
    wait_look(&w);
    assert_true(wait_begin(&w));
    assert_int_equal(woken, 0);
}

/* --- threads -------------------------------------------------------------------------------------- */

struct race {
    struct wait wait;
    atomic_int produced; /* what a look finds */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool woken;
};

static void on_wake(void *arg)
{
    struct race *r = arg;

    pthread_mutex_lock(&r->lock);
    assert_false(r->woken); /* once */
    r->woken = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void *produce(void *arg)
{
    struct race *r = arg;

    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&r->produced, 1);
        wait_wake(&r->wait);
    }
    return NULL;
}

/* Takes all of what is produced, and never sleeps with something to take. */
static void whoever_waits_misses_nothing(void **state)
{
    struct race r = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    pthread_t wakers[WAKERS];

    (void)state;
    wait_init(&r.wait, on_wake, &r);
    for (int i = 0; i < WAKERS; i++) {
        assert_int_equal(pthread_create(&wakers[i], NULL, produce, &r), 0);
    }
    for (int seen = 0; seen < WAKERS * ROUNDS;) {
        wait_look(&r.wait);
        int now = atomic_load(&r.produced);

        if (now == seen && wait_begin(&r.wait)) {
            pthread_mutex_lock(&r.lock);
            while (!r.woken) {
                pthread_cond_wait(&r.changed, &r.lock);
            }
            r.woken = false;
            pthread_mutex_unlock(&r.lock);
        }
        seen = now;
    }
    for (int i = 0; i < WAKERS; i++) {
        assert_int_equal(pthread_join(wakers[i], NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wake_while_waiting_calls_once),
        cmocka_unit_test(a_wake_after_the_look_is_not_lost),
        cmocka_unit_test(a_wake_before_the_look_is_the_looks_to_see),
        cmocka_unit_test(whoever_waits_misses_nothing),
    };

    return UNIT_RUN(tests);
}
