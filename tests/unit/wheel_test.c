/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Against a list that is searched from end to end. */
#include "server/mapper/wheel.h"

#include <stdlib.h>

#include "common/clock.h"
#include "tests/lib/unit.h"

enum { ENTRIES = 300, RUNS = 400, STEPS = 400 };

static struct wheel wheel;
static struct wheel_entry entries[ENTRIES];
static uint64_t due_ns[ENTRIES]; /* UINT64_MAX: in no wheel */
static uint64_t now_ns;

static uint64_t tick_of(uint64_t ns)
{
    return (ns + WHEEL_TICK_NS - 1) / WHEEL_TICK_NS;
}

static uint64_t first_due(void)
{
    uint64_t first = UINT64_MAX;

    for (int i = 0; i < ENTRIES; i++) {
        first = due_ns[i] < first ? due_ns[i] : first;
    }
    return first;
}

/* Mostly soon, sometimes hours away, now and then in the past. */
static uint64_t random_span(void)
{
    static const uint64_t scales[] = { 1000000,       50000000,       3000000000,
                                       1000000000000, 30000000000000, 200000000000000 };
    uint64_t scale = scales[(size_t)random() % (sizeof(scales) / sizeof(scales[0]))];

    return (((uint64_t)random() << 31) ^ (uint64_t)random()) % scale;
}

static void take_all_that_are_due(void)
{
    uint64_t last_tick = 0;
    struct wheel_entry *e;

    while ((e = wheel_take(&wheel, now_ns)) != NULL) {
        ptrdiff_t i = e - entries;
        uint64_t tick = tick_of(due_ns[i]);

        assert_true(due_ns[i] != UINT64_MAX);
        assert_true(tick * WHEEL_TICK_NS <= now_ns); /* never early */
        assert_true(tick >= last_tick || last_tick == 0);
        due_ns[i] = UINT64_MAX;
        assert_null(e->next);
    }
    for (int i = 0; i < ENTRIES; i++) { /* never late, by more than the tick */
        assert_true(due_ns[i] == UINT64_MAX || tick_of(due_ns[i]) * WHEEL_TICK_NS > now_ns);
    }
}

static void move_something(void)
{
    int i = (int)(random() % ENTRIES);

    if (due_ns[i] == UINT64_MAX) {
        due_ns[i] = random() % 20 == 0 ? now_ns - now_ns % 7000000 : now_ns + random_span();
        wheel_add(&wheel, &entries[i], due_ns[i]);
    } else if (random() % 3 == 0) {
        wheel_remove(&wheel, &entries[i]);
        wheel_remove(&wheel, &entries[i]);
        due_ns[i] = UINT64_MAX;
    }
    uint64_t next = wheel_next_ns(&wheel), first = first_due();

    assert_true(first == UINT64_MAX ? next == UINT64_MAX : next <= tick_of(first) * WHEEL_TICK_NS);
}

static void it_does_what_a_list_does(void **state)
{
    (void)state;
    for (unsigned run = 0; run < RUNS; run++) {
        srandom(run);
        now_ns = random_span();
        wheel_init(&wheel, now_ns);
        memset(entries, 0, sizeof(entries));
        memset(due_ns, 0xff, sizeof(due_ns));
        for (int step = 0; step < STEPS; step++) {
            move_something();
            if (random() % 4 == 0) {
                uint64_t next = wheel_next_ns(&wheel);

                now_ns = random() % 2 == 0 && next != UINT64_MAX && next > now_ns
                             ? next
                             : now_ns + random_span();
                take_all_that_are_due();
            }
        }
    }
}

/* Who sleeps until wheel_next_ns() gets there in a few steps, and is never called in vain for long. */
static void the_next_time_leads_to_who_is_due(void **state)
{
    (void)state;
    for (uint64_t span = 1; span < 40ULL * 3600 * 1000; span = span * 3 + 1) {
        uint64_t now = 12345678901;
        int looks = 0;

        wheel_init(&wheel, now);
        memset(entries, 0, sizeof(entries[0]));
        wheel_add(&wheel, &entries[0], now + span * WHEEL_TICK_NS);
        while (wheel_take(&wheel, now) == NULL) {
            now = wheel_next_ns(&wheel);
            assert_true(++looks <= 16);
        }
        assert_int_equal(now, tick_of(12345678901 + span * WHEEL_TICK_NS) * WHEEL_TICK_NS);
    }
}

static void an_empty_wheel_waits_for_ever(void **state)
{
    (void)state;
    wheel_init(&wheel, 5);
    assert_null(wheel_take(&wheel, UINT64_MAX));
    assert_true(wheel_next_ns(&wheel) == UINT64_MAX);
    memset(entries, 0, sizeof(entries[0]));
    wheel_add(&wheel, &entries[0], 0);
    assert_int_equal(wheel_next_ns(&wheel), 0); /* at once */
    wheel_remove(&wheel, &entries[0]);
    assert_true(wheel_next_ns(&wheel) == UINT64_MAX);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_does_what_a_list_does),
        cmocka_unit_test(the_next_time_leads_to_who_is_due),
        cmocka_unit_test(an_empty_wheel_waits_for_ever),
    };

    return UNIT_RUN(tests);
}
