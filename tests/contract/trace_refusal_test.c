/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a mapper refuses of what is asked about traces: each field, whoever fills it in. */
#include "tests/lib/trace_rig.h"

#define UUID(n) "\"11111111-1111-1111-1111-1111111111" n "\""

static const char scenario[] = "domain \"two\" { domid = 2 uuid = " UUID(
    "02") " type = \"pvh\" vcpus = 2\n"
          "  vmtrace { size = 65536 rate = 100000 } }\n"
          "domain \"pv\" { domid = 9 uuid = " UUID(
              "09") " type = \"pv\" }\n"
                    "domain \"none\" { domid = 10 uuid = " UUID("0a") " type = \"hvm\" }\n";

static struct rig rig;
static struct rig_peer peer;
static union message answered;

static int set_up(void **state)
{
    (void)state;
    rig_start(&rig, scenario, TRACE_RIG_EXPORT, NULL);
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

static void assert_refused(int code, const char *words)
{
    const struct failure *f = &answered.failed.failure;

    assert_int_equal(answered.head.type, MESSAGE_FAILED);
    if (f->code != code || (strstr(f->message, words) == NULL && strstr(f->cause, words) == NULL &&
                            strstr(f->next_step, words) == NULL)) {
        fail_msg("%s; %s; %s (%d)", f->message, f->cause, f->next_step, f->code);
    }
}

static struct message_trace start(const char *name, const char *owner, uint32_t flags)
{
    struct domain_identity d = rig_domain(&peer, name);

    if (!trace_rig_start(&peer, &d, owner, flags, &answered)) {
        fail_msg("%s: %s", answered.failed.failure.message, answered.failed.failure.cause);
    }
    return answered.trace_answer.trace;
}

static struct message_trace stop(const struct message_trace *trace)
{
    if (!trace_rig_stop(&peer, trace->trace_id, &answered)) {
        fail_msg("%s", answered.failed.failure.message);
    }
    return answered.trace_answer.trace;
}

static struct message_counters_answer counters(void)
{
    union message m = rig_message(MESSAGE_COUNTERS), a;

    assert_true(rig_call(&peer, &m, &a));
    return a.counters_answer;
}

static void each_field_of_a_start_counts(void **state)
{
    struct domain_identity d = rig_domain(&peer, "two");
    union message good = trace_rig_start_message(&d, "alice", 0);

    (void)state;
#define REFUSED(field, value, code, words)                                                         \
    do {                                                                                           \
        union message m = good;                                                                    \
        m.trace_start.field = (value);                                                             \
        assert_false(rig_call(&peer, &m, &answered));                                              \
        assert_refused(code, words);                                                               \
    } while (0)
    REFUSED(domain.domid, 999, ERROR_NOT_FOUND, "no such domain");
    REFUSED(domain.domid, 0x7ff1, ERROR_NOT_FOUND, "reserved");
    REFUSED(domain.uuid[3], 0xee, ERROR_ABORTED, "another UUID");
    REFUSED(domain.incarnation[3], d.incarnation[3] ^ 1, ERROR_ABORTED, "another incarnation");
    REFUSED(domain.name[0], 'T', ERROR_ABORTED, "another name");
    REFUSED(domain.reserved, 1, ERROR_INVALID_ARGUMENT, "domain.reserved");
    REFUSED(vcpus[0], 4, ERROR_OUT_OF_RANGE, "vCPUs below 2");
    REFUSED(vcpus[0], 7, ERROR_OUT_OF_RANGE, "the first 2");
    REFUSED(vcpus[1], UINT64_C(1) << 63, ERROR_OUT_OF_RANGE, "the first 2");
    REFUSED(flags, TRACE_TAKEOVER << 1, ERROR_INVALID_ARGUMENT, "flags");
    REFUSED(flags, UINT32_MAX, ERROR_INVALID_ARGUMENT, "flags");
    REFUSED(reserved, 1, ERROR_INVALID_ARGUMENT, "reserved");
    REFUSED(deadline_ns, 1, ERROR_DEADLINE_EXCEEDED, "deadline");
    REFUSED(owner[0], '\0', ERROR_INVALID_ARGUMENT, "owner");
#undef REFUSED
    union message m = good;

    memset(m.trace_start.owner, 'a', sizeof(m.trace_start.owner));
    assert_false(rig_call(&peer, &m, &answered));
    assert_refused(ERROR_INVALID_ARGUMENT, "owner");
    d = rig_domain(&peer, "pv");
    assert_false(trace_rig_start(&peer, &d, "alice", 0, &answered));
    assert_refused(ERROR_FAILED_PRECONDITION, "PV guest");
    d = rig_domain(&peer, "none");
    assert_false(trace_rig_start(&peer, &d, "alice", 0, &answered));
    assert_refused(ERROR_FAILED_PRECONDITION, "vmtrace_buf_kb");
    assert_int_equal(counters().traces, 0);
    m = good;
    m.trace_start.pauses_per_second = m.trace_start.lease_ms = UINT32_MAX;
    memset(m.trace_start.owner, 'a', sizeof(m.trace_start.owner) - 1);
    m.trace_start.deadline_ns = UINT64_MAX;
    assert_true(rig_call(&peer, &m, &answered));
    assert_int_equal(strlen(answered.trace_answer.trace.owner), MESSAGE_OWNER_BYTES - 1);
    struct message_trace trace = answered.trace_answer.trace;

    (void)stop(&trace);
}

static void each_field_of_a_watch_counts(void **state)
{
    struct message_trace trace = start("two", "alice", 0);
    struct domain_identity d = trace.domain;
    union message good = feed_rig_message(&d, RESOURCE_VMTRACE_BUF, 1, 0, 0);
    struct feed_rig r;

    (void)state;
#define REFUSED(field, value, code, words)                                                         \
    do {                                                                                           \
        union message m = good;                                                                    \
        m.watch.field = (value);                                                                   \
        assert_false(rig_call(&peer, &m, &answered));                                              \
        assert_refused(code, words);                                                               \
    } while (0)
    REFUSED(id, 2, ERROR_FAILED_PRECONDITION, "no trace runs of vCPU 2");
    REFUSED(id, UINT32_MAX, ERROR_FAILED_PRECONDITION, "trace start");
    REFUSED(first_frame, 1, ERROR_INVALID_ARGUMENT, "neither frames");
    REFUSED(frame_count, 1, ERROR_INVALID_ARGUMENT, "neither frames");
    REFUSED(frame_count, 0, ERROR_INVALID_ARGUMENT, "neither frames");
    REFUSED(flags, SNAPSHOT_SPARSE, ERROR_INVALID_ARGUMENT, "neither frames");
    REFUSED(period_ns, 1, ERROR_INVALID_ARGUMENT, "period");
    REFUSED(deadline_ns, 1, ERROR_DEADLINE_EXCEEDED, "deadline");
    REFUSED(trace_id[3], 1, ERROR_ABORTED, "the trace is over");
    REFUSED(domain.domid, 9, ERROR_FAILED_PRECONDITION, "no trace runs");
    REFUSED(domain.uuid[3], 0xee, ERROR_FAILED_PRECONDITION, "no trace runs");
    REFUSED(domain.incarnation[3], d.incarnation[3] ^ 1, ERROR_FAILED_PRECONDITION,
            "no trace runs");
    REFUSED(domain.name[0], 'T', ERROR_FAILED_PRECONDITION, "no trace runs");
#undef REFUSED
    memcpy(good.watch.trace_id, trace.trace_id, sizeof(good.watch.trace_id));
    assert_true(feed_rig_begin(&r, &peer, &good, &answered));
    feed_rig_done(&r);
    memset(good.watch.trace_id, 0, sizeof(good.watch.trace_id));
    assert_true(feed_rig_begin(&r, &peer, &good, &answered));
    union message image = rig_message(MESSAGE_IMAGE);

    memcpy(image.image.feed_id, r.answer.feed_id, sizeof(image.image.feed_id));
    image.image.feed = r.answer.feed;
    assert_false(rig_call(&peer, &image, &answered));
    assert_refused(ERROR_INVALID_ARGUMENT, "no image");
    feed_rig_done(&r);
    (void)stop(&trace);
}

static void a_buffer_is_described_and_never_copied_as_it_is(void **state)
{
    struct domain_identity d = rig_domain(&peer, "two");
    union message m = rig_message(MESSAGE_DESCRIBE);
    const struct message_resource *row = answered.describe_answer.resources;

    (void)state;
    m.describe.domain = d;
    assert_true(rig_call(&peer, &m, &answered));
    while (row->type != RESOURCE_VMTRACE_BUF) {
        row++;
        assert_true(row < answered.describe_answer.resources + MESSAGE_RESOURCES_MAX);
    }
    assert_int_equal(row->availability, RESOURCE_AVAILABLE);
    assert_int_equal(row->id_count, 2);
    assert_int_equal(row->frames_in_use, 16);
    m = rig_snapshot_message(&d, RESOURCE_VMTRACE_BUF, 0, 0, MESSAGE_FRAMES_ALL);
    assert_false(rig_call(&peer, &m, &answered));
    assert_refused(ERROR_UNIMPLEMENTED, "trace start");
    assert_refused(ERROR_UNIMPLEMENTED, "another guest's memory");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_of_a_start_counts),
        cmocka_unit_test(each_field_of_a_watch_counts),
        cmocka_unit_test(a_buffer_is_described_and_never_copied_as_it_is),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
