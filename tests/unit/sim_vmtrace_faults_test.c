/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What goes wrong with simulated traces: faults of calls, what somebody else does, laps, and the end. */
#include "server/mapper/sim/guest_vmtrace.h"

#include <errno.h>
#include <stdio.h>

#include "tests/lib/vmtrace_rig.h"

enum { RING_BYTES = 65536 };
#define RING              "size = 65536 rate = 1000000 "
#define EVENT(what, rest) "event { step = 1 do = \"" what "\" domain = \"a\" " rest " }\n"

/* The calls by the names of their faults. */
static const struct {
    const char *name;
    enum vmtrace_call call;
} calls[] = {
    { "vmtrace_enable", VMTRACE_ENABLE },
    { "vmtrace_disable", VMTRACE_DISABLE },
    { "vmtrace_reset_and_enable", VMTRACE_RESET_AND_ENABLE },
    { "vmtrace_position", VMTRACE_POSITION },
    { "vmtrace_get_option", VMTRACE_GET_OPTION },
    { "vmtrace_set_option", VMTRACE_SET_OPTION },
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static int any_call(struct backend *b, enum vmtrace_call call)
{
    uint64_t value = VMTRACE_RIG_CTL;

    return vmtrace_rig_call(b, 0, call, VMTRACE_KEY_CTL, &value);
}

static void every_call_fails_with_any_errno_at_its_turn(void **state)
{
    static const struct {
        const char *name;
        int errnum;
    } errnums[] = { { "EPERM", EPERM }, { "ESRCH", ESRCH }, { "EBUSY", EBUSY }, { "EIO", EIO } };
    char scenario[1024];

    (void)state;
    for (size_t i = 0; i < CALLS * 4; i++) {
        const char *errnum = errnums[i % 4].name;

        snprintf(scenario, sizeof(scenario),
                 VMTRACE_RIG(RING) "fault { operation = \"%s\" errno = \"%s\" call = 2 domain = "
                                   "\"a\" }\n",
                 calls[i / 4].name, errnum);
        SIM_AUTO *b = sim_rig_open(scenario);

        for (size_t k = 0; k < CALLS; k++) { /* once each; of the two that enable, one fails */
            (void)any_call(b, calls[k].call);
        }
        for (size_t k = 0; k < CALLS; k++) {
            int answer = any_call(b, calls[k].call);

            if (k == i / 4) {
                assert_int_equal(answer, errnums[i % 4].errnum);
            } else {
                assert_true(answer == 0 || answer == EINVAL);
            }
        }
    }
}

static void a_call_that_fails_by_a_fault_changes_nothing(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING) "fault { operation = \"vmtrace_disable\" }\n");

    (void)state;
    vmtrace_rig_start(b, 0);
    assert_int_equal(any_call(b, VMTRACE_DISABLE), EIO);
    assert_true(vmtrace_rig_truth(b, 0).is_writing);
    assert_int_equal(any_call(b, VMTRACE_DISABLE), 0);
}

static void a_frozen_position_stands_while_bytes_come(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING) "fault { operation = \"vmtrace_position\" effect "
                                                 "= \"frozen\" call = 2 count = 2 }\n");

    (void)state;
    vmtrace_rig_start(b, 0);
    sim_rig_advance_ms(b, 1);
    assert_int_equal(vmtrace_rig_position(b, 0), 1000);
    for (int i = 0; i < 2; i++) {
        sim_rig_advance_ms(b, 1);
        assert_int_equal(vmtrace_rig_position(b, 0), 1000);
    }
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 3000);
    assert_int_equal(vmtrace_rig_position(b, 0), 3000);
}

static void a_domain_dies_right_behind_a_call_and_what_is_mapped_stays(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(
        RING) "fault { operation = \"vmtrace_position\" effect = \"dies\" call = 2 }\n");
    struct backend_mapping m = { 0 }, again = { 0 };
    struct backend_domain d;
    struct failure f;

    (void)state;
    assert_int_equal(backend_ops->map(b, 7, RESOURCE_VMTRACE_BUF, 0, 0, 16, &m, NULL), 0);
    vmtrace_rig_start(b, 0);
    (void)vmtrace_rig_position(b, 0);
    sim_rig_advance_ms(b, 10);
    assert_int_equal(vmtrace_rig_position(b, 0), 10000);
    sim_rig_advance_ms(b, 10);
    assert_int_equal(backend_ops->find(b, 7, &d, NULL), 0);
    assert_true(d.dying);
    assert_int_equal(vmtrace_rig_position(b, 0), 10000); /* a zombie answers, and writes nothing */
    assert_true(backend_ops->map(b, 7, RESOURCE_VMTRACE_BUF, 0, 0, 16, &again, &f) < 0);
    assert_int_equal(f.xen_errno, EINVAL);
    assert_int_equal(any_call(b, VMTRACE_DISABLE), 0);
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 10000);
    assert_int_equal(((const volatile uint8_t *)m.address)[0], 0x02); /* the first PSB */
    backend_ops->unmap(b, &m);
    assert_int_equal(any_call(b, VMTRACE_POSITION), ESRCH);
}

static void a_reboot_makes_new_rings_that_nobody_traces(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING) EVENT("restore", ""));

    (void)state;
    vmtrace_rig_start(b, 0);
    sim_rig_advance_ms(b, 10);
    sim_step(b);
    sim_rig_advance_ms(b, 10);
    struct sim_trace t = vmtrace_rig_truth(b, 0);

    assert_int_equal(t.produced + t.resets + t.position + t.ctl, 0);
    assert_false(t.is_enabled);
}

/* --- laps -------------------------------------------------------------------------------------- */

static void laps_are_forced_at_their_offsets(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING "lap_at = { 5000, 200000 }"));

    (void)state;
    vmtrace_rig_start(b, 0);
    sim_rig_advance_ms(b, 5);
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 5000);
    sim_advance(b, 1000); /* the byte after it, and a whole ring */
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 5001 + RING_BYTES);
    assert_int_equal(vmtrace_rig_position(b, 0), 5001);
    sim_rig_advance_ms(b, 100);
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 105001 + RING_BYTES);
    sim_rig_advance_ms(b, 100);
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 205001 + 2 * RING_BYTES);
}

static void bytes_are_emitted_at_once(void **state)
{
    SIM_AUTO *b =
        sim_rig_open(SIM_VIRTUAL SIM_DOMAIN("type = \"hvm\" vcpus = 2 vmtrace { size = 65536 }")
                         EVENT("vmtrace_emit", "value = 65536 vcpu = 1"));

    (void)state;
    vmtrace_rig_start(b, 0);
    vmtrace_rig_start(b, 1);
    sim_step(b);
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 0);
    assert_int_equal(vmtrace_rig_truth(b, 1).produced, RING_BYTES);
    assert_int_equal(vmtrace_rig_position(b, 1), 0); /* a full lap does not show */
}

/* --- what somebody else does ------------------------------------------------------------------- */

static void somebody_else_resets(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING) EVENT("vmtrace_reset", ""));

    (void)state;
    vmtrace_rig_start(b, 0);
    sim_rig_advance_ms(b, 10);
    sim_step(b);
    assert_int_equal(vmtrace_rig_position(b, 0), 0);
    sim_rig_advance_ms(b, 1);
    assert_int_equal(vmtrace_rig_position(b, 0), 1000);
    struct sim_trace t = vmtrace_rig_truth(b, 0);

    assert_int_equal(t.reset_at, 10000);
    assert_int_equal(t.produced, 11000);
    assert_int_equal(t.ctl, VMTRACE_RIG_CTL | VMTRACE_CTL_ENABLED);
}

static void somebody_else_disables_and_enables(void **state)
{
    SIM_AUTO *b = sim_rig_open(
        VMTRACE_RIG(RING) "event { at_ms = 10 do = \"vmtrace_disable\" domain = \"a\" }\n"
                          "event { at_ms = 20 do = \"vmtrace_enable\" domain = \"a\" }\n");

    (void)state;
    vmtrace_rig_start(b, 0);
    sim_rig_advance_ms(b, 15);
    assert_int_equal(any_call(b, VMTRACE_DISABLE), EINVAL);
    assert_int_equal(vmtrace_rig_get(b, 0, VMTRACE_KEY_CTL), VMTRACE_RIG_CTL);
    sim_rig_advance_ms(b, 15);
    assert_int_equal(vmtrace_rig_position(b, 0), 20000);
    assert_int_equal(any_call(b, VMTRACE_ENABLE), EINVAL);
}

static void somebody_else_sets_rtit_ctl(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING) EVENT("vmtrace_ctl", "value = 0x0c"));

    (void)state;
    vmtrace_rig_start(b, 0);
    sim_step(b);
    sim_rig_advance_ms(b, 10);
    assert_int_equal(vmtrace_rig_get(b, 0, VMTRACE_KEY_CTL), VMTRACE_CTL_OS | VMTRACE_CTL_USER);
    assert_int_equal(vmtrace_rig_position(b, 0), 0);
    assert_int_equal(any_call(b, VMTRACE_ENABLE), EINVAL); /* enabled, yet nothing comes */
}

static void the_processor_reports_error_and_stopped(void **state)
{
    SIM_AUTO *error = sim_rig_open(VMTRACE_RIG(RING) EVENT("vmtrace_status", "value = 0x10"));
    SIM_AUTO *stopped = sim_rig_open(VMTRACE_RIG(RING) EVENT("vmtrace_status", "value = 0x20"));

    (void)state;
    vmtrace_rig_start(error, 0);
    vmtrace_rig_start(stopped, 0);
    sim_rig_advance_ms(error, 1);
    sim_step(error);
    sim_step(stopped);
    sim_rig_advance_ms(error, 10);
    sim_rig_advance_ms(stopped, 10);
    assert_int_equal(vmtrace_rig_get(error, 0, VMTRACE_KEY_STATUS), VMTRACE_STATUS_ERROR);
    assert_int_equal(vmtrace_rig_position(error, 0), 1000);
    assert_int_equal(vmtrace_rig_get(stopped, 0, VMTRACE_KEY_STATUS), VMTRACE_STATUS_STOPPED);
    assert_int_equal(vmtrace_rig_position(stopped, 0), 0);
}

static void a_trace_may_be_on_from_the_start(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING "enabled = true"));

    (void)state;
    sim_rig_advance_ms(b, 3);
    assert_int_equal(vmtrace_rig_position(b, 0), 3000);
    assert_int_equal(any_call(b, VMTRACE_ENABLE), EINVAL);
    assert_true(vmtrace_rig_get(b, 0, VMTRACE_KEY_CTL) & VMTRACE_CTL_ENABLED);
}

/* --- why a domain is no longer there ----------------------------------------------------------- */

static void a_shutdown_has_its_code(void **state)
{
    static const struct {
        const char *event;
        uint32_t state, code;
    } cases[] = {
        { EVENT("shutdown", ""), DOMAIN_SHUTDOWN, 0 },
        { EVENT("shutdown", "value = 1"), DOMAIN_SHUTDOWN, 1 },
        { EVENT("shutdown", "value = 5"), DOMAIN_SHUTDOWN, 5 },
        { EVENT("shutdown", "value = 3"), DOMAIN_CRASHED, 3 },
        { EVENT("crash", ""), DOMAIN_CRASHED, 3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char scenario[1024];
        struct backend_domain d;
        unsigned events = 0;
        uint16_t of;

        snprintf(scenario, sizeof(scenario), "%s%s", VMTRACE_RIG(RING), cases[i].event);
        SIM_AUTO *b = sim_rig_open(scenario);

        vmtrace_rig_start(b, 0);
        sim_rig_advance_ms(b, 7);
        while (backend_ops->next_event(b, &events, &of)) {
        }
        sim_step(b);
        assert_true(backend_ops->next_event(b, &events, &of));
        assert_int_equal(events, BACKEND_EVENT_DOMAINS);
        sim_rig_advance_ms(b, 7);
        assert_int_equal(backend_ops->find(b, 7, &d, NULL), 0);
        assert_int_equal(d.state, cases[i].state);
        assert_int_equal(d.shutdown_code, cases[i].code);
        assert_int_equal(vmtrace_rig_position(b, 0), 7000);
    }
}

static void who_dies_has_no_code_any_more(void **state)
{
    SIM_AUTO *b = sim_rig_open(
        VMTRACE_RIG(RING) EVENT("shutdown", "value = 1") "event { step = 2 do = \"destroy\" domain "
                                                         "= \"a\" }\n");
    struct backend_mapping m = { 0 };
    struct backend_domain d;

    (void)state;
    assert_int_equal(backend_ops->map(b, 7, RESOURCE_VMTRACE_BUF, 0, 0, 1, &m, NULL), 0);
    sim_step(b);
    sim_step(b);
    assert_int_equal(backend_ops->find(b, 7, &d, NULL), 0);
    assert_int_equal(d.state, DOMAIN_DYING);
    assert_int_equal(d.shutdown_code, 0);
    backend_ops->unmap(b, &m);
}

static void nobody_traces_itself(void **state)
{
    SIM_AUTO *b = sim_rig_open("domain \"own\" { domid = 0 uuid = \"" SIM_UUID
                               "\" type = \"pvh\" vmtrace { size = 4096 } }\n");
    uint64_t position = 0;
    struct failure f;

    (void)state;
    assert_true(backend_ops->vmtrace(b, 0, 0, VMTRACE_POSITION, 0, &position, &f) < 0);
    assert_int_equal(f.xen_errno, EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_fails_with_any_errno_at_its_turn),
        cmocka_unit_test(a_call_that_fails_by_a_fault_changes_nothing),
        cmocka_unit_test(a_frozen_position_stands_while_bytes_come),
        cmocka_unit_test(a_domain_dies_right_behind_a_call_and_what_is_mapped_stays),
        cmocka_unit_test(a_reboot_makes_new_rings_that_nobody_traces),
        cmocka_unit_test(laps_are_forced_at_their_offsets),
        cmocka_unit_test(bytes_are_emitted_at_once),
        cmocka_unit_test(somebody_else_resets),
        cmocka_unit_test(somebody_else_disables_and_enables),
        cmocka_unit_test(somebody_else_sets_rtit_ctl),
        cmocka_unit_test(the_processor_reports_error_and_stopped),
        cmocka_unit_test(a_trace_may_be_on_from_the_start),
        cmocka_unit_test(a_shutdown_has_its_code),
        cmocka_unit_test(who_dies_has_no_code_any_more),
        cmocka_unit_test(nobody_traces_itself),
    };

    return UNIT_RUN(tests);
}
