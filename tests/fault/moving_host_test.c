/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The real mapper on a host whose time a test moves from outside, by signals: on a virtual clock what
 * it serves depends on nothing else. And one whose wall clock is set, and whose domains come and go
 * without an end.
 */
#include "common/layout.h"
#include "tests/lib/host_rig.h"

enum { SERVED = 1000, GONE = 20, LIMIT_MS = 20000, DOMAINS_MAX = 64 };

#define VIRTUAL "clock = \"virtual\" step_ms = 50\n"
#define MOVING                                                                                     \
    "domain \"moving\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\" type = "        \
    "\"hvm\"\n"                                                                                    \
    "  grants { entries = 500 changes_per_second = 900 }\n"                                        \
    "  ioreq \"0\" { requests_per_second = 300 } }\n"

/* What a fresh mapper serves of `type` after `steps`. */
static void content_after(int steps, uint32_t type, uint8_t out[LAYOUT_FRAME_BYTES])
{
    host_start(HOST_HEAD VIRTUAL MOVING, NULL);
    struct domain_identity d = rig_domain(&peer, "moving");
    uint32_t first = type == RESOURCE_IOREQ_SERVER ? IOREQ_FRAME_SYNCHRONOUS : 0;

    /* Once before: an ioreq server moves once somebody has asked for its pages. */
    assert_true(host_snapshot(&d, type, 0, first, 1, 0));
    for (int i = 0; i < steps; i++) {
        rig_step(&rig);
        (void)rig_ledger(&peer, "steps"); /* or two signals are one */
    }
    assert_true(host_snapshot(&d, type, 0, first, 1, 0));
    memcpy(out, peer.arena + answered.snapshot_answer.slot.offset_bytes, LAYOUT_FRAME_BYTES);
    host_stop();
}

static void on_a_virtual_clock_content_depends_on_the_steps_alone(void **state)
{
    static const uint32_t types[] = { RESOURCE_GRANT_TABLE, RESOURCE_IOREQ_SERVER };
    static uint8_t once[LAYOUT_FRAME_BYTES], again[LAYOUT_FRAME_BYTES], later[LAYOUT_FRAME_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        content_after(5, types[i], once);
        content_after(5, types[i], again);
        content_after(6, types[i], later);
        assert_memory_equal(once, again, sizeof(once));
        assert_memory_not_equal(once, later, sizeof(once));
    }
}

static void observations_have_the_wall_time_that_was_set(void **state)
{
    const uint64_t hour_ns = 3600 * CLOCK_NS_PER_S;

    (void)state;
    host_start(HOST_HEAD HOST_STILL "event { step = 1 do = \"clock_step\" value = 7200000 }\n"
                                    "event { step = 2 do = \"clock_step\" value = -14400000 }\n",
               NULL);
    struct domain_identity d = rig_domain(&peer, "still");
    struct message_observation seen[3];

    for (int i = 0; i < 3; i++) {
        assert_true(host_table(&d));
        seen[i] = answered.snapshot_answer.observation;
        rig_release(&peer, &answered.snapshot_answer.slot);
        rig_step(&rig);
        (void)rig_ledger(&peer, "steps");
    }
    assert_true(seen[1].wall_ns > seen[0].wall_ns + hour_ns);
    assert_true(seen[2].wall_ns < seen[0].wall_ns - hour_ns);
    assert_true(seen[2].monotonic_ns > seen[1].monotonic_ns &&
                seen[2].monotonic_ns - seen[0].monotonic_ns < hour_ns);
    host_stop();
}

/* In real time: domains die under snapshots of them, and under their live mappings. */
static void domains_that_come_and_go_for_ever_leave_nothing(void **state)
{
    static struct message_domain domains[DOMAINS_MAX];
    unsigned served = 0, gone = 0;

    (void)state;
    host_start(HOST_HEAD HOST_STILL
               "churn { domains = 20 period_ms = 1 like = \"still\" first_domid = 100 }\n",
               NULL);
    uint64_t end_ns = clock_monotonic_ns() + LIMIT_MS * CLOCK_NS_PER_MS;

    while (served < SERVED || gone < GONE) {
        assert_true(clock_monotonic_ns() < end_ns);
        uint32_t count = rig_domains(&peer, domains, DOMAINS_MAX);

        assert_in_range(count, 19, 41);
        for (uint32_t i = 0; i < count; i++) {
            if (host_table(&domains[i].identity)) {
                rig_release(&peer, &answered.snapshot_answer.slot);
                served++;
            } else {
                int code = answered.failed.failure.code;

                assert_true(code == ERROR_NOT_FOUND || code == ERROR_ABORTED);
                gone++;
            }
        }
    }
    host_wait_for_ledger("zombies", 0, 2000);
    assert_in_range(rig_ledger(&peer, "live mappings"), 0, 21);
    assert_int_equal(rig_ledger(&peer, "grant tables grown"), 0);
    host_stop();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_a_virtual_clock_content_depends_on_the_steps_alone),
        cmocka_unit_test(observations_have_the_wall_time_that_was_set),
        cmocka_unit_test(domains_that_come_and_go_for_ever_leave_nothing),
    };

    return UNIT_RUN(tests);
}
