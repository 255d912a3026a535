/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What message_check() asks of the messages of traces; of all of them tests/unit/message_test.c does. */
#include "tests/lib/trace_messages.h"

static void make(union message *m, uint16_t type)
{
    memset(m, 0, sizeof(*m));
    message_init(m, type, 1);
    trace_messages_make(m, type);
}

static int check(const union message *m)
{
    return message_check(m, message_size(m->head.type), NULL);
}

/* Sets one field of a passing message wrong, says so, and repairs it. */
#define REFUSES(m, type, field, wrong)                                                             \
    do {                                                                                           \
        make(&(m), (type));                                                                        \
        (field) = (wrong);                                                                         \
        assert_int_equal(check(&(m)), -ERROR_INVALID_ARGUMENT);                                    \
    } while (0)

#define REFUSES_UNENDED(m, type, array)                                                            \
    do {                                                                                           \
        make(&(m), (type));                                                                        \
        memset((array), 'a', sizeof(array));                                                       \
        assert_int_equal(check(&(m)), -ERROR_INVALID_ARGUMENT);                                    \
        (array)[sizeof(array) - 1] = '\0';                                                         \
        assert_int_equal(check(&(m)), 0);                                                          \
    } while (0)

static void what_is_asked_of_traces_is_well_formed(void **state)
{
    union message m;
    const uint16_t start = MESSAGE_TRACE_START;

    (void)state;
    REFUSES(m, start, m.trace_start.flags, TRACE_TAKEOVER << 1);
    REFUSES(m, start, m.trace_start.flags, 1U << 31);
    REFUSES(m, start, m.trace_start.owner[0], '\0');
    REFUSES_UNENDED(m, start, m.trace_start.owner);
    REFUSES_UNENDED(m, start, m.trace_start.domain.name);
    REFUSES(m, start, m.trace_start.domain.reserved, 1);
    REFUSES(m, start, m.trace_start.reserved, 1);
    make(&m, start);
    m.trace_start.flags =
        TRACE_OS | TRACE_USER | TRACE_NO_TSC | TRACE_NO_RETC | (uint32_t)TRACE_TAKEOVER;
    m.trace_start.vcpus[0] = m.trace_start.vcpus[1] = UINT64_MAX;
    m.trace_start.lease_ms = m.trace_start.pauses_per_second = UINT32_MAX;
    assert_int_equal(check(&m), 0); /* what may be asked for wrongly, the mapper answers */
    REFUSES(m, MESSAGE_TRACE_STOP, m.trace_stop.trace_id[15], 0);
    REFUSES(m, MESSAGE_TRACE_RENEW, m.trace_renew.trace_id[0], 0);
    REFUSES(m, MESSAGE_TRACE_RENEW, m.trace_renew.reserved, 1);
    REFUSES(m, MESSAGE_TRACES, m.traces.one, 2);
    REFUSES(m, MESSAGE_TRACE_VCPUS, m.trace_vcpus.trace_id[0], 0);
    REFUSES(m, MESSAGE_TRACE_VCPUS, m.trace_vcpus.reserved, 1);
}

static void a_trace_is_whole(void **state)
{
    static const uint16_t answers[] = { MESSAGE_TRACE_START, MESSAGE_TRACE_STOP,
                                        MESSAGE_TRACE_RENEW };
    union message m;
    struct message_trace *t = &m.trace_answer.trace;

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        uint16_t type = answers[i] | MESSAGE_ANSWER;

        REFUSES(m, type, m.trace_answer.joined, 2);
        REFUSES(m, type, m.trace_answer.reserved, 1);
        REFUSES(m, type, t->trace_id[15], 0);
        REFUSES(m, type, t->domain.reserved, 1);
        REFUSES(m, type, t->vcpu_count, 0);
        REFUSES(m, type, t->vcpu_count, 3);
        REFUSES(m, type, t->vcpus[1], 3);
        REFUSES(m, type, t->flags, TRACE_TAKEOVER << 1);
        REFUSES(m, type, t->laps_detectable, 2);
        REFUSES(m, type, t->end_reason, 0);
        REFUSES(m, type, t->ended_wall_ns, 0);
        REFUSES(m, type, t->facts.reserved, 1);
        REFUSES_UNENDED(m, type, t->owner);
        REFUSES_UNENDED(m, type, t->facts.cpu_vendor);
        REFUSES_UNENDED(m, type, t->failure.message);
        make(&m, type);
        t->vcpus[0] = t->vcpus[1] = UINT64_MAX;
        t->vcpu_count = MESSAGE_TRACED_VCPUS_MAX;
        t->end_reason = 0;
        t->ended_wall_ns = 0;
        assert_int_equal(check(&m), 0);
    }
}

static void pages_of_traces_and_of_their_vcpus_ascend(void **state)
{
    union message m;
    const uint16_t traces = MESSAGE_TRACES | MESSAGE_ANSWER;
    const uint16_t vcpus = MESSAGE_TRACE_VCPUS | MESSAGE_ANSWER;
    struct message_trace *t = m.traces_answer.traces;
    struct message_trace_vcpu *v = m.trace_vcpus_answer.vcpus;

    (void)state;
    REFUSES(m, traces, m.traces_answer.trace_count, MESSAGE_TRACES_MAX + 1);
    REFUSES(m, traces, m.traces_answer.more, 2);
    REFUSES(m, traces, t[2].domain.domid, 2);
    REFUSES(m, traces, t[7].vcpu_count, 1);
    make(&m, traces);
    t[2].end_reason = 0; /* the running one of a domain is its first */
    t[2].ended_wall_ns = 0;
    assert_int_equal(check(&m), 0);
    t[3].end_reason = 0;
    t[3].ended_wall_ns = 0;
    assert_int_equal(check(&m), -ERROR_INVALID_ARGUMENT);
    make(&m, traces);
    m.traces_answer.more = 1;
    assert_int_equal(check(&m), 0);
    m.traces_answer.trace_count = 0;
    assert_int_equal(check(&m), -ERROR_INVALID_ARGUMENT);

    REFUSES(m, vcpus, m.trace_vcpus_answer.vcpu_count, MESSAGE_TRACE_VCPUS_MAX + 1);
    REFUSES(m, vcpus, m.trace_vcpus_answer.more, 2);
    REFUSES(m, vcpus, v[31].vcpu, MESSAGE_TRACED_VCPUS_MAX);
    REFUSES(m, vcpus, v[3].vcpu, v[2].vcpu);
    REFUSES(m, vcpus, v[3].is_over, 2);
    REFUSES(m, vcpus, v[3].reserved, 1);
    REFUSES(m, vcpus, v[3].lost_bytes, 1);
    make(&m, vcpus);
    m.trace_vcpus_answer.more = 1;
    m.trace_vcpus_answer.vcpu_count = 0;
    assert_int_equal(check(&m), -ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_of_traces_is_well_formed),
        cmocka_unit_test(a_trace_is_whole),
        cmocka_unit_test(pages_of_traces_and_of_their_vcpus_ascend),
    };

    return UNIT_RUN(tests);
}
