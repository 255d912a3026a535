/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What xenresd may rely on of any mapper's traces: as mapper_test, it runs on the simulator and in dom0 of a
 * real Xen, takes whatever domains there are, and traces the first that can be. Where none can, as on
 * hardware without Intel PT, each refusal says why, and what to do.
 */
#include "server/mapper/backend.h"
#include "tests/lib/trace_rig.h"

enum { DOMAINS_MAX = 256 };

static struct rig rig;
static struct rig_peer peer;
static union message answered;

static int set_up(void **state)
{
    (void)state;
    rig_start(&rig, NULL,
              TRACE_RIG_EXPORT "allow dom0 all list,snapshot,watch,trace.read,trace.control\n",
              NULL);
    rig_join(&rig, &peer);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_leave(&peer);
    rig_stop(&rig);
    return 0;
}

static struct message_resource buffers_of(const struct domain_identity *d)
{
    union message m = rig_message(MESSAGE_DESCRIBE), a;

    m.describe.domain = *d;
    assert_true(rig_call(&peer, &m, &a));
    for (uint32_t i = 0; i < a.describe_answer.resource_count; i++) {
        if (a.describe_answer.resources[i].type == RESOURCE_VMTRACE_BUF) {
            return a.describe_answer.resources[i];
        }
    }
    fail_msg("no row of trace buffers");
    return (struct message_resource){ 0 };
}

static uint32_t guests(struct message_domain all[DOMAINS_MAX])
{
    uint32_t count = rig_domains(&peer, all, DOMAINS_MAX), kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (all[i].identity.domid != 0 && all[i].state < DOMAIN_SHUTDOWN) {
            all[kept++] = all[i];
        }
    }
    assert_true(kept > 0);
    return kept;
}

static void assert_refused(int code)
{
    const struct failure *f = &answered.failed.failure;

    assert_int_equal(answered.head.type, MESSAGE_FAILED);
    if (f->code != code || !f->cause[0] || !f->next_step[0]) {
        fail_msg("%s; %s; %s (%d)", f->message, f->cause, f->next_step, f->code);
    }
}

static void a_guest_without_buffers_is_refused_with_the_cure(void **state)
{
    static struct message_domain all[DOMAINS_MAX];
    uint32_t count = guests(all), refused = 0;

    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        struct message_resource row = buffers_of(&all[i].identity);
        const struct failure *f = &answered.failed.failure;

        if (row.availability == RESOURCE_AVAILABLE) {
            continue;
        }
        assert_int_equal(row.availability, RESOURCE_UNAVAILABLE);
        assert_true(row.failure.cause[0] && row.failure.next_step[0]);
        assert_false(trace_rig_start(&peer, &all[i].identity, "test", TRACE_TAKEOVER, &answered));
        assert_refused(ERROR_FAILED_PRECONDITION);
        assert_int_equal(f->xen_errno, EINVAL);
        assert_true(f->call[0] != '\0');
        assert_true(strstr(f->next_step, "vmtrace_buf_kb") != NULL ||
                    strstr(f->cause, "PV guest") != NULL || strstr(f->cause, "Intel PT") != NULL);
        assert_int_equal(trace_rig_of(&peer, all[i].identity.domid, &answered)->trace_count, 0);
        refused++;
    }
    assert_true(refused > 0);
}

static void the_own_domain_is_not_traced(void **state)
{
    static struct message_domain all[DOMAINS_MAX];

    (void)state;
    assert_true(rig_domains(&peer, all, DOMAINS_MAX) > 0);
    assert_int_equal(all[0].identity.domid, 0);
    assert_false(trace_rig_start(&peer, &all[0].identity, "test", TRACE_TAKEOVER, &answered));
    assert_refused(ERROR_PERMISSION_DENIED);
}

static void what_is_not_traced_can_be_neither_read_nor_ended(void **state)
{
    static struct message_domain all[DOMAINS_MAX];
    static const uint8_t id[16] = { 1 };
    union message m = rig_message(MESSAGE_TRACE_VCPUS);
    struct feed_rig r;

    (void)state;
    (void)guests(all);
    assert_false(trace_rig_watch(&peer, &all[0].identity, 0, &r, &answered));
    assert_refused(ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(answered.failed.failure.next_step, "trace start"));
    assert_false(trace_rig_stop(&peer, id, &answered));
    assert_refused(ERROR_NOT_FOUND);
    assert_false(trace_rig_renew(&peer, id, 0, &answered));
    assert_refused(ERROR_NOT_FOUND);
    memcpy(m.trace_vcpus.trace_id, id, sizeof(id));
    assert_false(rig_call(&peer, &m, &answered));
    assert_refused(ERROR_NOT_FOUND);
    m = rig_message(MESSAGE_TRACES);
    assert_true(rig_call(&peer, &m, &answered));
    assert_int_equal(answered.traces_answer.trace_count, 0);
    assert_int_equal(answered.traces_answer.more, 0);
}

static void what_can_be_traced_is_and_is_left_alone_after_it(void **state)
{
    static struct message_domain all[DOMAINS_MAX];
    uint32_t count = guests(all), traced = 0;

    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        const struct domain_identity *d = &all[i].identity;
        struct message_resource row = buffers_of(d);
        struct feed_rig r;

        if (row.availability != RESOURCE_AVAILABLE) {
            continue;
        }
        for (int round = 0; round < 2; round++) { /* nothing is in the way of the second */
            if (!trace_rig_start(&peer, d, "test", 0, &answered)) {
                fail_msg("%s", answered.failed.failure.message);
            }
            struct message_trace trace = answered.trace_answer.trace;

            assert_int_equal(trace.facts.buffer_bytes,
                             (uint64_t)row.frames_in_use * MESSAGE_FRAME_BYTES);
            assert_int_equal(trace.facts.rtit_ctl, VMTRACE_CTL_ENABLED | VMTRACE_CTL_OS |
                                                       VMTRACE_CTL_USER | VMTRACE_CTL_TSC |
                                                       VMTRACE_CTL_BRANCH);
            /* Xen tells it of PV guests only, and those are not traced. */
            assert_true(trace.facts.guest_bits == 0 || trace.facts.guest_bits == 32 ||
                        trace.facts.guest_bits == 64);
            assert_true(trace_rig_watch(&peer, d, 0, &r, &answered));
            assert_true(trace_rig_stop(&peer, trace.trace_id, &answered));
            assert_int_equal(answered.trace_answer.trace.end_reason, FEED_END_STOPPED_BY_CALLER);
            struct trace_rig_read read;

            assert_int_equal(trace_rig_to_end(&r, &read)->reason, FEED_END_STOPPED_BY_CALLER);
            assert_true(read.begins > 0);
            assert_int_equal(r.record.end->blocks_before, read.bytes + read.lost);
            feed_rig_done(&r);
        }
        traced++;
    }
    print_message("%u domains could be traced\n", traced);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_without_buffers_is_refused_with_the_cure),
        cmocka_unit_test(the_own_domain_is_not_traced),
        cmocka_unit_test(what_is_not_traced_can_be_neither_read_nor_ended),
        cmocka_unit_test(what_can_be_traced_is_and_is_left_alone_after_it),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
