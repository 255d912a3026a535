/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include <semaphore.h>
#include <time.h>

#include "common/clock.h"
#include "server/rpc/watch_pulse.h"

enum { WAIT_S = 20, SOON_MS = 5, LATER_MS = 60, TRIES = 50 };

static struct call call;
static struct watch_pulse pulse;
static sem_t woken;

static void on_wake(void *arg)
{
    (void)arg;
    sem_post(&woken);
}

static int begin(void **state)
{
    (void)state;
    call = (struct call){ .heartbeat_ns = 3600 * CLOCK_NS_PER_S };
    pulse = (struct watch_pulse){ 0 };
    wait_init(&call.wait, on_wake, NULL);
    sem_init(&woken, 0, 0);
    int result = timers_new(&call.timers, NULL);

    watch_pulse_begin(&pulse, &call);
    return result;
}

static int end(void **state)
{
    (void)state;
    watch_pulse_stop(&pulse);
    timers_free(call.timers);
    sem_destroy(&woken);
    return 0;
}

/* One with a checkpoint behind it, and news since. */
static void go_on(void)
{
    watch_pulse_news(&pulse, true);
    assert_true(watch_pulse_wants_checkpoint_here(&pulse));
    watch_pulse_sealed(&pulse);
    assert_false(watch_pulse_wants_checkpoint_here(&pulse)); /* there is no news */
    watch_pulse_news(&pulse, false);
}

static void the_image_has_a_checkpoint_at_once(void **state)
{
    (void)state;
    watch_pulse_news(&pulse, false);
    watch_pulse_sealed(&pulse);
    watch_pulse_news(&pulse, true);
    assert_true(watch_pulse_wants_checkpoint(&pulse));
}

static void a_checkpoint_is_not_sooner_than_a_second_after_the_last(void **state)
{
    (void)state;
    go_on();
    pulse.now_ns += WATCH_CHECKPOINT_MS * CLOCK_NS_PER_MS - 1;
    assert_false(watch_pulse_wants_checkpoint_here(&pulse));
    pulse.now_ns += 1;
    assert_true(watch_pulse_wants_checkpoint_here(&pulse));
}

static void one_that_is_due_waits_for_something_to_be_sent_with_and_not_for_long(void **state)
{
    uint64_t sealed_ns = pulse.now_ns;

    (void)state;
    go_on();
    pulse.now_ns = sealed_ns + WATCH_CHECKPOINT_MS * CLOCK_NS_PER_MS;
    assert_false(watch_pulse_wants_checkpoint(&pulse)); /* changes go first */
    pulse.now_ns += WATCH_CHECKPOINT_WAITS_MS * CLOCK_NS_PER_MS - 1;
    assert_false(watch_pulse_wants_checkpoint(&pulse));
    pulse.now_ns += 1;
    assert_true(watch_pulse_wants_checkpoint(&pulse));
}

static void wait_woken(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    assert_int_equal(sem_timedwait(&woken, &until), 0);
}

/* As a stream says, in a turn, when it is to be woken. */
static void wake_at(uint64_t at_ns)
{
    watch_pulse_look(&pulse);
    assert_int_equal(watch_pulse_wait(&pulse, at_ns), HANDLER_WAIT);
}

/* False: this thread was so slow that the sooner time has come before it told of the later one. */
static bool rest_until_later(uint64_t soon_ns, uint64_t later_ns)
{
    wait_look(&call.wait);
    wake_at(soon_ns);
    wake_at(later_ns);
    return wait_begin(&call.wait);
}

static void a_timer_that_fires_too_soon_wakes_nobody(void **state)
{
    uint64_t later_ns = 0;
    bool rests = false;

    (void)state;
    for (int i = 0; i < TRIES && !rests; i++) {
        uint64_t now_ns = clock_monotonic_ns();

        later_ns = now_ns + LATER_MS * CLOCK_NS_PER_MS;
        rests = rest_until_later(now_ns + SOON_MS * CLOCK_NS_PER_MS, later_ns);
    }
    assert_true(rests);
    wait_woken();
    assert_true(clock_monotonic_ns() >= later_ns);
    assert_int_equal(sem_trywait(&woken), -1);
}

static void a_sooner_time_is_kept(void **state)
{
    uint64_t soon_ns = clock_monotonic_ns() + LATER_MS * CLOCK_NS_PER_MS;

    (void)state;
    wait_look(&call.wait);
    wake_at(soon_ns + 3600 * CLOCK_NS_PER_S);
    wake_at(soon_ns);
    if (wait_begin(&call.wait)) { /* else it has come */
        wait_woken();
    }
    assert_true(clock_monotonic_ns() >= soon_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_image_has_a_checkpoint_at_once, begin, end),
        cmocka_unit_test_setup_teardown(a_checkpoint_is_not_sooner_than_a_second_after_the_last,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            one_that_is_due_waits_for_something_to_be_sent_with_and_not_for_long, begin, end),
        cmocka_unit_test_setup_teardown(a_timer_that_fires_too_soon_wakes_nobody, begin, end),
        cmocka_unit_test_setup_teardown(a_sooner_time_is_kept, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
