/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/ceiling.h"

#include "common/clock.h"
#include "tests/lib/unit.h"

static void a_burst_passes_and_then_the_rate_holds(void **state)
{
    struct ceiling c;
    struct failure f;
    uint64_t now_ns = 5 * CLOCK_NS_PER_S, calls = 1000, admitted = 0;

    (void)state;
    ceiling_init(&c, 1000, now_ns, calls);
    while (ceiling_admit(&c, now_ns, calls, &f) == 0) {
        calls += 10;
        admitted++;
    }
    assert_int_equal(admitted, 25); /* a quarter of a second's worth */
    assert_int_equal(f.code, ERROR_RESOURCE_EXHAUSTED);
    uint64_t start = calls;

    for (int ms = 0; ms < 10000; ms++) {
        now_ns += CLOCK_NS_PER_MS;
        if (ceiling_admit(&c, now_ns, calls, &f) == 0) {
            calls += 10;
        }
    }
    assert_in_range(calls - start, 9900, 10100); /* ten seconds at 1000 */
}

static void a_long_pause_saves_up_no_more_than_a_burst(void **state)
{
    struct ceiling c;
    uint64_t calls = 0, now_ns = 0;

    (void)state;
    ceiling_init(&c, 1000, now_ns, calls);
    now_ns += 3600 * CLOCK_NS_PER_S;
    while (ceiling_admit(&c, now_ns, calls, NULL) == 0) {
        calls++;
    }
    assert_int_equal(calls, 250);
}

static void one_costly_request_is_paid_for_afterwards(void **state)
{
    struct ceiling c;
    uint64_t now_ns = 0;

    (void)state;
    ceiling_init(&c, 1000, now_ns, 0);
    assert_int_equal(ceiling_admit(&c, now_ns, 0, NULL), 0);
    assert_int_equal(ceiling_admit(&c, now_ns, 5250, NULL), -ERROR_RESOURCE_EXHAUSTED);
    for (int s = 1; s <= 4; s++) {
        assert_int_equal(ceiling_admit(&c, now_ns + (uint64_t)s * CLOCK_NS_PER_S, 5250, NULL),
                         -ERROR_RESOURCE_EXHAUSTED);
    }
    assert_int_equal(ceiling_admit(&c, now_ns + 6 * CLOCK_NS_PER_S, 5250, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_then_the_rate_holds),
        cmocka_unit_test(a_long_pause_saves_up_no_more_than_a_burst),
        cmocka_unit_test(one_costly_request_is_paid_for_afterwards),
    };

    return UNIT_RUN(tests);
}
