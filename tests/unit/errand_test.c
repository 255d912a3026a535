/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What waits until its thread has given its locks back. */
#include "common/errand.h"

#include <pthread.h>
#include <stdbool.h>

#include "tests/lib/unit.h"

static char ran[ERRANDS_MAX + 1];
static size_t ran_count;

static void run(void *arg)
{
    assert_true(ran_count < sizeof(ran));
    ran[ran_count++] = *(const char *)arg;
}

static void errands_wait_and_run_in_order(void **state)
{
    char names[] = "abc";

    (void)state;
    ran_count = 0;
    errands_hold();
    for (int i = 0; i < 3; i++) {
        assert_true(errand_leave(run, &names[i]));
    }
    assert_int_equal(ran_count, 0);
    errands_run();
    assert_int_equal(ran_count, 3);
    assert_memory_equal(ran, "abc", 3);
    errands_hold();
    errands_run(); /* each once */
    assert_int_equal(ran_count, 3);
}

static void nothing_is_taken_that_nobody_would_run(void **state)
{
    char name = 'x';

    (void)state;
    assert_false(errand_leave(run, &name));
    errands_hold();
    errands_run();
    assert_false(errand_leave(run, &name));
}

static void so_many_wait_and_not_one_more(void **state)
{
    char name = 'x';

    (void)state;
    ran_count = 0;
    errands_hold();
    for (int i = 0; i < ERRANDS_MAX; i++) {
        assert_true(errand_leave(run, &name));
    }
    assert_false(errand_leave(run, &name));
    errands_run();
    assert_int_equal(ran_count, ERRANDS_MAX);
}

static void *leave_one(void *arg)
{
    bool *taken = arg;
    char name = 'x';

    *taken = errand_leave(run, &name);
    return NULL;
}

static void each_thread_has_its_own(void **state)
{
    pthread_t other;
    bool taken = true;

    (void)state;
    ran_count = 0;
    errands_hold();
    assert_int_equal(pthread_create(&other, NULL, leave_one, &taken), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_false(taken);
    errands_run();
    assert_int_equal(ran_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errands_wait_and_run_in_order),
        cmocka_unit_test(nothing_is_taken_that_nobody_would_run),
        cmocka_unit_test(so_many_wait_and_not_one_more),
        cmocka_unit_test(each_thread_has_its_own),
    };

    return UNIT_RUN(tests);
}
