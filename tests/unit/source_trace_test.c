/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How a trace begins, is paced and ends, on the simulated host's virtual clock. */
#include "server/mapper/source_trace.h"

#include <errno.h>

#include "tests/lib/source_trace_rig.h"

/* --- how it begins ------------------------------------------------------------------------------- */

static void what_somebody_else_traces_is_refused_and_left_alone(void **state)
{
    (void)state;
    open_host(VMTRACE_RIG(RING));
    vmtrace_rig_set(host, 0, VMTRACE_KEY_CTL, VMTRACE_CTL_USER | VMTRACE_CTL_BRANCH);
    assert_int_equal(vmtrace_rig_call(host, 0, VMTRACE_ENABLE, 0, NULL), 0);
    for (int hidden = 0; hidden < 2; hidden++) {
        if (hidden) { /* it says that it is not, as after a second tool's change */
            vmtrace_rig_set(host, 0, VMTRACE_KEY_CTL, VMTRACE_CTL_USER);
        }
        uint64_t ctl = vmtrace_rig_truth(host, 0).ctl;

        begin();
        step();
        assert_true(sampling.is_over && !sampling.has_begun);
        assert_int_equal(sampling.failure.code, ERROR_FAILED_PRECONDITION);
        assert_non_null(strstr(sampling.failure.next_step, "--takeover"));
        assert_true(vmtrace_rig_truth(host, 0).is_enabled);
        assert_int_equal(vmtrace_rig_truth(host, 0).ctl, ctl);
        assert_int_equal(journal.adds, journal.removes);
        sampling_done(&sampling);
        assert_int_equal(tools.mapped, 0);
    }
    assert_int_equal(vmtrace_rig_call(host, 0, VMTRACE_DISABLE, 0, NULL), 0);
    begin();
    step(); /* and then it can be had */
    assert_true(sampling.has_begun);
    finish();
    close_host();
}

static void it_is_taken_over_on_request_or_where_it_was_ours(void **state)
{
    (void)state;
    open_host(VMTRACE_RIG(RING));
    for (int ours = 0; ours < 2; ours++) {
        assert_int_equal(vmtrace_rig_call(host, 0, VMTRACE_ENABLE, 0, NULL), 0);
        options.is_ours = ours;
        options.flags = ours ? 0 : TRACE_TAKEOVER;
        begin();
        step();
        assert_true(sampling.has_begun);
        assert_int_equal(vmtrace_rig_truth(host, 0).ctl, VMTRACE_RIG_CTL | VMTRACE_CTL_ENABLED);
        run_ms(100);
        finish();
        assert_int_equal(losses, 0);
        assert_int_equal(end.reason, FEED_END_STOPPED_BY_CALLER);
    }
    close_host();
}

static void the_journal_knows_before_anything_is_enabled(void **state)
{
    (void)state;
    open_host(VMTRACE_RIG(RING));
    begin();
    step();
    assert_int_equal(journal.adds, 1);
    assert_false(journal.was_enabled);
    assert_true(vmtrace_rig_truth(host, 0).is_enabled);
    assert_int_equal(journal.removes, 0);
    finish();
    assert_int_equal(journal.removes, 1);
    assert_false(journal.was_enabled);
    journal.adds = journal.removes = 0;
    journal.refuses = true;
    begin();
    step();
    assert_false(sampling.has_begun);
    assert_string_equal(sampling.failure.message, "no journal");
    assert_int_equal(vmtrace_rig_truth(host, 0).resets, 1);
    finish();
    options.flags = TRACE_TAKEOVER; /* for nothing nobody is stopped either */
    assert_int_equal(vmtrace_rig_call(host, 0, VMTRACE_ENABLE, 0, NULL), 0);
    begin();
    step();
    assert_true(sampling.is_over && vmtrace_rig_truth(host, 0).is_enabled);
    sampling_done(&sampling);
    close_host();
}

static void ours_that_cannot_be_disabled_stays_in_the_journal(void **state)
{
    (void)state;
    open_host(VMTRACE_RIG(RING "enabled = true ") "fault { operation = \"vmtrace_disable\" errno = "
                                                  "\"ENOMEM\" count = 9 }\n");
    options.is_ours = true;
    begin();
    step();
    assert_true(sampling.is_over && !sampling.has_begun);
    assert_true(vmtrace_rig_truth(host, 0).is_enabled);
    assert_int_equal(journal.removes, 0);
    sampling_done(&sampling);
    close_host();
}

static void flags_are_options_of_the_processor(void **state)
{
    static const struct {
        uint32_t flags;
        uint64_t ctl;
    } rows[] = {
        { 0, VMTRACE_CTL_OS | VMTRACE_CTL_USER | VMTRACE_CTL_TSC },
        { TRACE_OS, VMTRACE_CTL_OS | VMTRACE_CTL_TSC },
        { TRACE_USER | TRACE_NO_TSC, VMTRACE_CTL_USER },
        { TRACE_OS | TRACE_USER | TRACE_NO_RETC,
          VMTRACE_CTL_OS | VMTRACE_CTL_USER | VMTRACE_CTL_TSC | VMTRACE_CTL_NO_RETC },
    };

    (void)state;
    open_host(VMTRACE_RIG(RING));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct source_trace_figures f;
        uint64_t ctl = rows[i].ctl | VMTRACE_CTL_BRANCH | VMTRACE_CTL_ENABLED;

        options.flags = rows[i].flags;
        begin();
        step();
        source_trace_look(source, &f);
        assert_int_equal(f.rtit_ctl, ctl);
        assert_int_equal(f.buffer_bytes, 65536);
        assert_int_equal(vmtrace_rig_truth(host, 0).ctl, ctl);
        finish();
    }
    close_host();
}

static void without_memory_for_an_image_nothing_is_enabled(void **state)
{
    (void)state;
    open_host(VMTRACE_RIG(RING));
    assert_int_equal(allowance_take(&memory, memory.most_bytes - 65535, NULL), 0);
    begin();
    step();
    assert_int_equal(sampling.failure.code, ERROR_RESOURCE_EXHAUSTED);
    allowance_give(&memory, memory.most_bytes - 65535);
    finish();
    assert_int_equal(journal.adds, 0);
    close_host();
}

static void where_the_spool_is_prepared_first_nothing_is_enabled_before(void **state)
{
    (void)state;
    open_host(VMTRACE_RIG(RING));
    begin();
    sampling_prepare_first(&sampling);
    step();
    assert_false(sampling.has_begun || sampling.is_over);
    assert_int_equal(allowance_used(&memory), SPOOL_BYTES);
    assert_int_equal(backend_ops->pauses(host), 0);
    assert_int_equal(sampling.next_after_ns, CLOCK_NS_PER_MS);
    step();
    assert_true(sampling.has_begun && vmtrace_rig_truth(host, 0).is_enabled);
    assert_int_equal(allowance_used(&memory), SPOOL_BYTES + 65536);
    finish();
    begin();
    sampling_prepare_first(&sampling);
    step();
    finish(); /* before the first sample */
    close_host();
}

/* --- how it is paced ----------------------------------------------------------------------------- */

static void a_constant_rate_is_drained_at_a_third(void **state)
{
    static const char *const scenarios[] = {
        VMTRACE_RIG("size = 4096 rate = 81920"),
        VMTRACE_RIG("size = 65536 rate = 1310720"),
        VMTRACE_RIG("size = 65536 rate = 4369066"),
        VMTRACE_RIG("size = 1048576 rate = 20971520"),
        VMTRACE_RIG("size = 4194304 rate = 104857600"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        open_host(scenarios[i]);
        begin();
        run_ms(200);
        for (int n = 0; n < 40; n++) {
            run_ms(1);
            assert_in_range(figures().fill_permille, 250, 400);
        }
        finish();
        assert_int_equal(losses, 0);
        assert_int_equal(begins, 1);
        assert_false(sync_is_wrong);
        struct sim_trace t = vmtrace_rig_truth(host, 0);

        assert_int_equal(bytes, t.produced - t.reset_at);
        assert_int_equal(bytes, tools.produced_bytes);
        close_host();
    }
}

static void a_vcpu_that_wakes_up_at_once_loses_nothing(void **state)
{
    static const char *const scenarios[] = {
#define WAKES(size, rate)                                                                          \
    VMTRACE_RIG("size = " size " rate = " rate)                                                    \
    "event { at_ms = 0 do = \"pause\" domain = \"a\" }\n"                                          \
    "event { at_ms = 333 do = \"unpause\" domain = \"a\" }\n"                                      \
    "event { at_ms = 420 do = \"pause\" domain = \"a\" }\n"                                        \
    "event { at_ms = 1677 do = \"unpause\" domain = \"a\" }\n"
        WAKES("4096", "81920"),
        WAKES("65536", "1310720"),
        WAKES("8388608", "167772160"),
#undef WAKES
    };

    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        open_host(scenarios[i]);
        begin();
        run_ms(1800);
        assert_true(figures().fill_most_permille <= 800);
        uint64_t produced = vmtrace_rig_truth(host, 0).produced;

        assert_true(produced > 0);
        finish();
        assert_int_equal(losses, 0);
        assert_int_equal(bytes, produced);
        close_host();
    }
}

static void a_large_ring_that_fills_slowly_costs_little(void **state)
{
    (void)state;
    open_host(VMTRACE_RIG("size = 16777216 rate = 100000"));
    begin();
    step();
    uint64_t sampled = tools.sampled_bytes;

    run_ms(2000);
    assert_true(tools.sampled_bytes - sampled < UINT64_C(2) * (66 << 20) + (32 << 20));
    finish();
    assert_int_equal(losses, 0);
    close_host();
}

static void a_budget_is_kept_and_what_it_costs_is_said(void **state)
{
    (void)state;
    open_host(VMTRACE_RIG(RING));
    options.pauses_per_second = 20;
    begin();
    run_ms(3000);
    assert_true(figures().pauses <= 3 * 20 + 20 / 4 + 10);
    assert_true(losses > 0);
    finish();
    close_host();
}

static void the_mappers_ceiling_holds_samples_back(void **state)
{
    struct ceiling pauses;

    (void)state;
    open_host(VMTRACE_RIG(RING));
    ceiling_init(&pauses, 12, now(NULL));
    tools.pauses = &pauses;
    begin();
    run_ms(3000);
    assert_true(backend_ops->pauses(host) <= 3 * 12 + 12 / 4 + 10);
    assert_true(figures().late > 0 && tools.pause_refusals == figures().late);
    assert_int_equal(sampling.held_back, figures().late);
    assert_true(losses > 0);
    assert_int_equal(last_loss_reason, FEED_LOSS_PAUSED);
    finish();
    ceiling_done(&pauses);
    close_host();
}

static bool is_quick; /* it goes round the ring while it is asked where it is */

static int go_round(struct backend *b, uint16_t domid, uint32_t vcpu, enum vmtrace_call call,
                    uint32_t key, uint64_t *value, struct failure *f)
{
    int result = backend_ops->vmtrace(b, domid, vcpu, call, key, value, f);

    if (is_quick && call == VMTRACE_POSITION) {
        sim_advance(b, 70 * CLOCK_NS_PER_MS);
    }
    return result;
}

static void that_it_is_too_quick_is_told_at_once(void **state)
{
    struct backend_ops ops = *backend_ops;

    (void)state;
    open_host(VMTRACE_RIG(RING));
    ops.vmtrace = go_round;
    tools.ops = &ops;
    begin();
    run_ms(100);
    uint64_t told = bytes;

    is_quick = true;
    for (int i = 0; i < 5; i++) {
        step();
        follow();
        assert_int_equal(bytes, told);
        assert_int_equal(losses, 1); /* at the first, and at no other once more */
        assert_int_equal(begins, 2);
        assert_int_equal(figures().open_losses, 1);
    }
    assert_int_equal(sampling.spool.failures > 0, 1); /* nothing was found, so nothing is still */
    is_quick = false;
    run_ms(200);
    assert_true(bytes > told && losses <= 2);
    uint64_t known = losses;

    run_ms(200);
    assert_int_equal(losses, known);
    finish();
    close_host();
}

/* --- how it ends --------------------------------------------------------------------------------- */

static void what_befell_it_is_named(void **state)
{
#define BEFALLS(what) VMTRACE_RIG(RING) "event { at_ms = 500 " what " domain = \"a\" }\n"
    static const struct {
        const char *scenario;
        enum feed_end_reason reason;
        uint32_t detail;
    } rows[] = {
        { BEFALLS("do = \"vmtrace_status\" value = 0x10"), FEED_END_TRACE_ERROR, 0 },
        { BEFALLS("do = \"vmtrace_status\" value = 0x20"), FEED_END_TRACE_STOPPED, 0 },
        { BEFALLS("do = \"vmtrace_ctl\" value = 0x404"), FEED_END_INTERFERED, 0 },
        { BEFALLS("do = \"vmtrace_disable\""), FEED_END_INTERFERED, 0 },
        { BEFALLS("do = \"shutdown\""), FEED_END_SHUTDOWN, 0 },
        { BEFALLS("do = \"crash\""), FEED_END_SHUTDOWN, 3 },
        { BEFALLS("do = \"destroy\""), FEED_END_INCARNATION, 0 },
    };
#undef BEFALLS

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        open_host(rows[i].scenario);
        begin();
        run_ms(2000);
        assert_true(sampling.is_over);
        assert_int_equal(end.reason, rows[i].reason);
        assert_int_equal(end.detail, rows[i].detail);
        assert_int_equal(losses, 0); /* all that there was was drained */
        assert_true(bytes >= 450 * 1310);
        assert_int_equal(tools.mapped, 0);
        assert_int_equal(journal.adds, journal.removes);
        ring_view_close(view);
        view = NULL;
        sampling_done(&sampling);
        close_host();
    }
}

static void what_befell_it_just_before_its_end_is_named(void **state)
{
    static const struct {
        uint64_t pauses_per_second, ms;
        bool ends_by_itself;
    } rows[] = { { BUDGET, 505, false }, { 1, 7500, true }, { 7, 7500, true } };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        open_host(VMTRACE_RIG(RING) "event { at_ms = 500 do = \"vmtrace_status\" domain = \"a\""
                                    " value = 0x10 }\n");
        options.pauses_per_second = (uint32_t)rows[i].pauses_per_second;
        begin();
        run_ms(rows[i].ms);
        assert_int_equal(sampling.is_over, rows[i].ends_by_itself);
        finish();
        assert_int_equal(end.reason, FEED_END_TRACE_ERROR);
        assert_int_equal(end.failure.code, ERROR_ABORTED);
        close_host();
    }
}

static void a_reset_by_somebody_else_is_a_new_epoch(void **state)
{
    (void)state;
    open_host(VMTRACE_RIG(RING) "event { at_ms = 530 do = \"vmtrace_reset\" domain = \"a\" }\n");
    begin();
    run_ms(1000);
    assert_int_equal(losses, 1);
    assert_int_equal(last_loss_reason, FEED_LOSS_RESET);
    assert_int_equal(begins, 2);
    assert_int_equal(figures().epoch, 1);
    assert_int_equal(figures().lost_bytes, 0);
    finish();
    assert_false(sync_is_wrong);
    close_host();
}

static void one_that_comes_early_in_a_large_ring_is_seen_too(void **state)
{
    (void)state;
    open_host(VMTRACE_RIG(
        "size = 16777216 rate = 0") "event { at_ms = 60 do = \"vmtrace_emit\" domain = \"a\" value "
                                    "= 4000 }\n"
                                    "event { at_ms = 100 do = \"vmtrace_reset\" domain = \"a\" }\n"
                                    "event { at_ms = 100 do = \"vmtrace_emit\" domain = \"a\" "
                                    "value = 5000 }\n");
    begin();
    run_ms(200);
    assert_int_equal(vmtrace_rig_truth(host, 0).produced, 9000);
    finish();
    assert_int_equal(losses, 1);
    assert_int_equal(last_loss_reason, FEED_LOSS_RESET);
    close_host();
}

static void what_cannot_be_disabled_is_tried_again_and_then_told(void **state)
{
    (void)state;
    open_host(
        VMTRACE_RIG(RING) "fault { operation = \"vmtrace_disable\" errno = \"ENOMEM\" call = 2"
                          " count = 2 }\n");
    begin();
    run_ms(100);
    finish();
    assert_int_equal(end.reason, FEED_END_STOPPED_BY_CALLER);
    close_host();

    open_host(
        VMTRACE_RIG(RING) "fault { operation = \"vmtrace_disable\" errno = \"ENOMEM\" call = 2"
                          " count = 3 }\n");
    begin();
    run_ms(100);
    sampling_end(&sampling, &tools, now(NULL), now(NULL), FEED_END_STOPPED_BY_CALLER);
    follow();
    assert_int_equal(end.reason, FEED_END_FAILED);
    assert_int_equal(end.failure.xen_errno, ENOMEM);
    assert_int_equal(journal.removes, 0); /* so that it is stopped later */
    assert_int_equal(vmtrace_rig_call(host, 0, VMTRACE_DISABLE, 0, NULL), 0);
    journal.removes = 1;
    finish();
    close_host();
}

/* What ends well says nothing of a sample that failed before. */
static void a_failure_that_passed_is_no_reason_of_the_end(void **state)
{
    (void)state;
    open_host(
        VMTRACE_RIG(RING) "fault { operation = \"vmtrace_position\" call = 5 count = 2 errno = "
                          "\"EAGAIN\" }\n");
    begin();
    run_ms(200);
    assert_int_equal(sampling.failed, 2);
    finish();
    assert_int_equal(end.reason, FEED_END_STOPPED_BY_CALLER);
    assert_int_equal(sampling.failure.code, 0);
    close_host();
}

static void what_cannot_be_read_at_the_end_is_declared(void **state)
{
    (void)state;
    open_host(
        VMTRACE_RIG(RING) "fault { operation = \"vmtrace_position\" call = 5 count = 1000 }\n");
    begin();
    run_ms(1000);
    assert_int_equal(end.reason, FEED_END_FAILED);
    assert_int_equal(losses, 1);
    assert_int_equal(last_loss_reason, FEED_LOSS_FAILED);
    finish();
    close_host();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_somebody_else_traces_is_refused_and_left_alone),
        cmocka_unit_test(it_is_taken_over_on_request_or_where_it_was_ours),
        cmocka_unit_test(the_journal_knows_before_anything_is_enabled),
        cmocka_unit_test(ours_that_cannot_be_disabled_stays_in_the_journal),
        cmocka_unit_test(flags_are_options_of_the_processor),
        cmocka_unit_test(without_memory_for_an_image_nothing_is_enabled),
        cmocka_unit_test(where_the_spool_is_prepared_first_nothing_is_enabled_before),
        cmocka_unit_test(a_constant_rate_is_drained_at_a_third),
        cmocka_unit_test(a_vcpu_that_wakes_up_at_once_loses_nothing),
        cmocka_unit_test(a_large_ring_that_fills_slowly_costs_little),
        cmocka_unit_test(a_budget_is_kept_and_what_it_costs_is_said),
        cmocka_unit_test(the_mappers_ceiling_holds_samples_back),
        cmocka_unit_test(that_it_is_too_quick_is_told_at_once),
        cmocka_unit_test(what_befell_it_is_named),
        cmocka_unit_test(what_befell_it_just_before_its_end_is_named),
        cmocka_unit_test(a_reset_by_somebody_else_is_a_new_epoch),
        cmocka_unit_test(one_that_comes_early_in_a_large_ring_is_seen_too),
        cmocka_unit_test(what_cannot_be_disabled_is_tried_again_and_then_told),
        cmocka_unit_test(a_failure_that_passed_is_no_reason_of_the_end),
        cmocka_unit_test(what_cannot_be_read_at_the_end_is_declared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
