/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/ceiling.h"

#include "common/clock.h"
#include "tests/lib/unit.h"

static void a_burst_passes_and_then_the_rate_holds(void **state)
{
    struct ceiling c;
    struct ceiling_meter meter = { 0 };
    struct failure f;
    uint64_t now_ns = 5 * CLOCK_NS_PER_S, calls = 1000, admitted = 0;

    (void)state;
    ceiling_init(&c, 1000, now_ns);
    meter.seen = calls;
    while (ceiling_admit(&c, &meter, now_ns, calls, &f) == 0) {
        calls += 10;
        admitted++;
    }
    assert_int_equal(admitted, 25); /* a quarter of a second's worth */
    assert_int_equal(f.code, ERROR_RESOURCE_EXHAUSTED);
    uint64_t start = calls;

    for (int ms = 0; ms < 10000; ms++) {
        now_ns += CLOCK_NS_PER_MS;
        if (ceiling_admit(&c, &meter, now_ns, calls, &f) == 0) {
            calls += 10;
        }
    }
    assert_in_range(calls - start, 9900, 10100); /* ten seconds at 1000 */
}

static void a_long_pause_saves_up_no_more_than_a_burst(void **state)
{
    struct ceiling c;
    struct ceiling_meter meter = { 0 };
    uint64_t calls = 0, now_ns = 0;

    (void)state;
    ceiling_init(&c, 1000, now_ns);
    meter.seen = calls;
    now_ns += 3600 * CLOCK_NS_PER_S;
    while (ceiling_admit(&c, &meter, now_ns, calls, NULL) == 0) {
        calls++;
    }
    assert_int_equal(calls, 250);
}

static void one_costly_request_is_paid_for_afterwards(void **state)
{
    struct ceiling c;
    struct ceiling_meter meter = { 0 };
    uint64_t now_ns = 0;

    (void)state;
    ceiling_init(&c, 1000, now_ns);
    assert_int_equal(ceiling_admit(&c, &meter, now_ns, 0, NULL), 0);
    assert_int_equal(ceiling_admit(&c, &meter, now_ns, 5250, NULL), -ERROR_RESOURCE_EXHAUSTED);
    for (int s = 1; s <= 4; s++) {
        assert_int_equal(
            ceiling_admit(&c, &meter, now_ns + (uint64_t)s * CLOCK_NS_PER_S, 5250, NULL),
            -ERROR_RESOURCE_EXHAUSTED);
    }
    assert_int_equal(ceiling_admit(&c, &meter, now_ns + 6 * CLOCK_NS_PER_S, 5250, NULL), 0);
}

/* Each with its own handle: what all make together is under the one ceiling. */
static struct ceiling shared;

static void *spend(void *arg)
{
    uint64_t *calls = arg;
    struct ceiling_meter meter = { 0 };

    for (int ms = 0; ms < 2000; ms++) {
        while (ceiling_has_room(&shared, &meter, (uint64_t)ms * CLOCK_NS_PER_MS, *calls)) {
            *calls += 3;
            ceiling_charge(&shared, &meter, *calls);
        }
    }
    return NULL;
}

static void threads_share_it(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    uint64_t calls[THREADS] = { 0 }, sum = 0;

    (void)state;
    ceiling_init(&shared, 10000, 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, spend, &calls[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        sum += calls[i];
    }
    /* Two seconds' worth and a burst; each may have begun one more where one was left. */
    assert_in_range(sum, 2500, 22500 + 3 * THREADS);
    ceiling_done(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_then_the_rate_holds),
        cmocka_unit_test(a_long_pause_saves_up_no_more_than_a_burst),
        cmocka_unit_test(one_costly_request_is_paid_for_afterwards),
        cmocka_unit_test(threads_share_it),
    };

    return UNIT_RUN(tests);
}
