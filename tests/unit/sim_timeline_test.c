/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* When things happen on the simulated host: virtual time, steps, clock steps and churn. */
#include "server/mapper/sim/timeline.h"

#include <poll.h>
#include <signal.h>

#include "tests/lib/sim_rig.h"

#define OTHER_UUID "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a02"

static void virtual_time_passes_only_when_it_is_moved(void **state)
{
    SIM_AUTO *b = sim_rig_open(
        SIM_VIRTUAL SIM_DOMAIN("") "event { at_ms = 20 do = \"destroy\" domain = \"a\" }\n");

    (void)state;
    assert_int_equal(sim_now_ns(b), 0);
    for (int i = 0; i < 1000; i++) {
        assert_true(sim_rig_is_there(b, 7));
    }
    assert_int_equal(sim_now_ns(b), 0);
    sim_advance(b, 20 * CLOCK_NS_PER_MS - 1);
    assert_true(sim_rig_is_there(b, 7));
    sim_advance(b, 1);
    assert_false(sim_rig_is_there(b, 7));
    assert_int_equal(sim_now_ns(b), 20 * CLOCK_NS_PER_MS);
}

static void what_is_due_happens_in_the_order_of_its_times(void **state)
{
    SIM_AUTO *b = sim_rig_open(SIM_VIRTUAL SIM_DOMAIN(
        "") "event { at_ms = 30 do = \"rename\" domain = \"a\" text = \"late\" }\n"
            "event { at_ms = 10 do = \"rename\" domain = \"a\" text = \"early\" }\n");
    char name[MESSAGE_NAME_BYTES];
    bool cut;

    (void)state;
    sim_rig_advance_ms(b, 100);
    assert_int_equal(backend_ops->domain_name(b, 7, name, &cut, NULL), 0);
    assert_string_equal(name, "late");
}

static void a_move_of_time_wakes_who_polls(void **state)
{
    SIM_AUTO *b = sim_rig_open(
        SIM_VIRTUAL SIM_DOMAIN("") "event { at_ms = 20 do = \"destroy\" domain = \"a\" }\n");
    struct pollfd row = { .fd = backend_ops->event_fd(b), .events = POLLIN };
    unsigned events;
    uint16_t domid;

    (void)state;
    while (backend_ops->next_event(b, &events, &domid)) {
    }
    assert_int_equal(poll(&row, 1, 0), 0);
    sim_rig_advance_ms(b, 20);
    assert_int_equal(poll(&row, 1, 0), 1);
    assert_true(backend_ops->next_event(b, &events, &domid));
    assert_int_equal(events, BACKEND_EVENT_DOMAINS);
}

/* What a program can do, whose process is another one. */
static void a_signal_moves_virtual_time_and_makes_the_step(void **state)
{
    SIM_AUTO *b = sim_rig_open(SIM_VIRTUAL "step_ms = 250\n" SIM_DOMAIN(
        "grants { entries = 512 changes_per_second = 100 }") "event { at_ms = 400 do = \"pause\" "
                                                             "domain = \"a\" }\n"
                                                             "event { step = 3 do = \"destroy\" "
                                                             "domain = \"a\" }\n");
    unsigned events;
    uint16_t domid;

    (void)state;
    for (int step = 1; step <= 2; step++) {
        assert_int_equal(raise(SIGUSR1), 0);
        while (backend_ops->next_event(b, &events, &domid)) {
        }
        assert_int_equal(sim_now_ns(b), (uint64_t)step * 250 * CLOCK_NS_PER_MS);
    }
    assert_in_range(sim_rig_changes(b).grants, 30, 40);
    assert_true(sim_rig_is_there(b, 7));
    assert_int_equal(raise(SIGUSR1), 0);
    while (backend_ops->next_event(b, &events, &domid)) {
    }
    assert_false(sim_rig_is_there(b, 7));
}

static void a_clock_step_moves_wall_time_alone_and_ends_with_the_host(void **state)
{
    const int64_t hour_ms = 3600000;
    struct message_host_answer host;

    (void)state;
    uint64_t before_ns = clock_wall_ns();
    struct backend *b = sim_rig_open(
        SIM_VIRTUAL SIM_DOMAIN("") "event { at_ms = 1 do = \"clock_step\" value = 7200000 }\n"
                                   "event { at_ms = 2 do = \"clock_step\" value = -10800000 }\n");

    uint64_t monotonic_ns = clock_monotonic_ns();

    sim_rig_advance_ms(b, 1);
    backend_ops->host(b, &host);
    assert_true(host.wall_ns >= before_ns + 2 * (uint64_t)hour_ms * CLOCK_NS_PER_MS);
    assert_true(host.monotonic_ns - monotonic_ns < (uint64_t)hour_ms * CLOCK_NS_PER_MS);
    sim_rig_advance_ms(b, 1);
    assert_true(clock_wall_ns() < before_ns);
    backend_ops->close(b);
    assert_true(clock_wall_ns() >= before_ns);
    assert_true(clock_wall_ns() < before_ns + (uint64_t)hour_ms * CLOCK_NS_PER_MS);
}

/* --- domains that come and go -------------------------------------------------------------------- */

static void a_reboot_keeps_the_uuid_and_numbers_are_used_again(void **state)
{
    SIM_AUTO *b = sim_rig_open(SIM_VIRTUAL SIM_DOMAIN(
        "") "domain \"b\" { domid = 9 uuid = \"" OTHER_UUID "\" present = false }\n"
            "event { step = 1 do = \"reboot\" domain = \"a\" value = 8 }\n"
            "event { step = 2 do = \"create\" domain = \"b\" value = 7 }\n");
    struct backend_domain first, rebooted, other;

    (void)state;
    assert_int_equal(backend_ops->find(b, 7, &first, NULL), 0);
    sim_step(b);
    assert_false(sim_rig_is_there(b, 7));
    assert_int_equal(backend_ops->find(b, 8, &rebooted, NULL), 0);
    assert_memory_equal(rebooted.uuid, first.uuid, UUID_BYTES);
    sim_step(b);
    assert_int_equal(backend_ops->find(b, 7, &other, NULL), 0);
    assert_memory_not_equal(other.uuid, first.uuid, UUID_BYTES);
}

enum { CHURNED_MAX = 64 };

static void churn_goes_on_for_ever_within_its_numbers(void **state)
{
    SIM_AUTO *b = sim_rig_open(
        SIM_VIRTUAL SIM_DOMAIN("grants { frames = 2 }") "churn { domains = 5 period_ms = 10 like = "
                                                        "\"a\" first_domid = 100 }\n");
    static uint8_t seen[WORLD_DOMIDS][UUID_BYTES];
    unsigned births = 0, reused = 0, rebooted = 0;
    static uint8_t initial[CHURNED_MAX][UUID_BYTES];
    struct backend_domain domains[CHURNED_MAX];
    uint32_t count = 0, initial_count = 0;

    (void)state;
    for (int turn = 0; turn < 400; turn++) {
        assert_int_equal(backend_ops->list(b, 0, domains, CHURNED_MAX, &count, NULL), 0);
        assert_in_range(count, 5, 6); /* "a", and all of the churn's or all but one */
        for (uint32_t i = 1; i < count; i++) {
            const struct backend_domain *d = &domains[i];

            assert_in_range(d->domid, 100, 109);
            if (turn == 0) {
                memcpy(initial[initial_count++], d->uuid, UUID_BYTES);
            }
            if (memcmp(seen[d->domid], d->uuid, UUID_BYTES) != 0) {
                static const uint8_t never[UUID_BYTES];

                births += turn > 0;
                reused += memcmp(seen[d->domid], never, UUID_BYTES) != 0;
                for (uint32_t k = 0; turn > 0 && k < initial_count; k++) {
                    rebooted += memcmp(initial[k], d->uuid, UUID_BYTES) == 0;
                }
                memcpy(seen[d->domid], d->uuid, UUID_BYTES);
            }
        }
        sim_rig_advance_ms(b, 10);
    }
    assert_in_range(births, 190, 200); /* each second turn */
    assert_true(reused > 150);
    assert_in_range(rebooted, 20, 80);
}

static void churn_passes_over_numbers_that_zombies_hold(void **state)
{
    SIM_AUTO *b = sim_rig_open(SIM_VIRTUAL SIM_DOMAIN(
        "") "churn { domains = 1 period_ms = 10 like = \"a\" first_domid = 100 }\n");
    struct backend_mapping m = { 0 };

    (void)state;
    assert_int_equal(backend_ops->map(b, 100, RESOURCE_GRANT_TABLE, 0, 0, 1, &m, NULL), 0);
    for (int i = 0; i < 10; i++) {
        sim_rig_advance_ms(b, 20);
        assert_true(sim_rig_is_there(b, 101));
        assert_int_equal(sim_ledger(b).zombies, 1);
    }
    backend_ops->unmap(b, &m);
    assert_int_equal(sim_ledger(b).zombies, 0);
}

/* Time may jump by a year: so many turns at once are not made. */
static void turns_that_nobody_can_make_are_left_out(void **state)
{
    SIM_AUTO *b = sim_rig_open(SIM_VIRTUAL SIM_DOMAIN(
        "") "churn { domains = 2 period_ms = 1 like = \"a\" first_domid = 100 }\n");
    struct backend_domain domains[8];
    uint32_t count = 0;

    (void)state;
    sim_rig_advance_ms(b, UINT64_C(365) * 86400 * 1000);
    sim_rig_advance_ms(b, 1);
    assert_int_equal(backend_ops->list(b, 0, domains, 8, &count, NULL), 0);
    assert_in_range(count, 2, 3);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(virtual_time_passes_only_when_it_is_moved),
        cmocka_unit_test(what_is_due_happens_in_the_order_of_its_times),
        cmocka_unit_test(a_move_of_time_wakes_who_polls),
        cmocka_unit_test(a_signal_moves_virtual_time_and_makes_the_step),
        cmocka_unit_test(a_clock_step_moves_wall_time_alone_and_ends_with_the_host),
        cmocka_unit_test(a_reboot_keeps_the_uuid_and_numbers_are_used_again),
        cmocka_unit_test(churn_goes_on_for_ever_within_its_numbers),
        cmocka_unit_test(churn_passes_over_numbers_that_zombies_hold),
        cmocka_unit_test(turns_that_nobody_can_make_are_left_out),
    };

    return UNIT_RUN(tests);
}
