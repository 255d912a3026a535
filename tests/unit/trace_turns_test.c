/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How little of a trace of many vCPUs is done in one turn of the loop, which serves all others. */
#include "server/mapper/trace.h"

#include "tests/lib/trace_table_rig.h"

enum { VCPUS = MESSAGE_TRACED_VCPUS_MAX, FEEDS_MAX = VCPUS + 2 };

#define UUID(n) "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a0" n
#define LARGE(n)                                                                                   \
    "domain \"d" n "\" { domid = " n " uuid = \"" UUID(n) "\" type = \"hvm\" vcpus = 128\n"        \
                                                          "  vmtrace { size = 4096 } }\n"

static int tear_down(void **state)
{
    (void)state;
    if (rig.b != NULL) {
        rig_close();
    }
    return 0;
}

static struct trace *begin_all(uint16_t domid)
{
    struct backend_domain domain;
    struct trace_wanted wanted = rig_wanted(domid, UINT64_MAX, &domain);
    struct trace *trace = NULL;

    wanted.vcpus[1] = UINT64_MAX;
    assert_int_equal(trace_begin(rig.traces, rig.feeds, &wanted, &trace, NULL), 0);
    return trace;
}

/* Feeds that nobody holds any more, of sources that differ by what is no number of a domain. */
static void add_idle(uint32_t count)
{
    struct backend_domain domain;
    struct message_snapshot wanted = { .type = RESOURCE_VCPU_STATS, .frame_count = 1 };
    struct feed_asked asked;
    struct feed_about about;
    struct failure f;

    wanted.domain = rig_identity(1, &domain);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(wanted.domain.incarnation + 8, &i, sizeof(i));
        assert_int_equal(feed_table_ask(rig.feeds, &wanted, &domain, CLOCK_NS_PER_S, &asked, &f),
                         0);
        while (feed_table_look(rig.feeds, asked.feed, &f) == FEED_BEGINS) {
            rig_turn();
        }
        feed_table_take(rig.feeds, asked.feed, &about);
    }
    feed_table_let_go(rig.feeds, UINT64_MAX);
}

static void a_turn_begins_a_few_of_many_vcpus(void **state)
{
    (void)state;
    rig_open(LARGE("1"), TRACE_MAX, VCPUS);
    struct trace *trace = begin_all(1);

    assert_int_equal(trace->feed_count, 0);
    for (uint32_t begun = TRACE_VCPUS_A_TURN; begun <= VCPUS; begun += TRACE_VCPUS_A_TURN) {
        assert_true(trace_table_deadline_ns(rig.traces) == 0); /* the loop does not wait */
        rig_step();
        assert_int_equal(trace->feed_count, begun);
    }
    rig_wait(trace, TRACE_RUNS);
    assert_int_equal(rig_feeds(), VCPUS);
    assert_int_equal(rig_journal_count(), VCPUS);
}

static void all_traces_together_begin_no_more_in_one(void **state)
{
    struct trace *traces[2];

    (void)state;
    rig_open(LARGE("1") LARGE("2"), TRACE_MAX, 2 * VCPUS);
    traces[0] = begin_all(1);
    traces[1] = begin_all(2);
    for (uint32_t begun = 0; begun < 2 * VCPUS; begun += TRACE_VCPUS_A_TURN) {
        assert_int_equal(traces[0]->feed_count + traces[1]->feed_count, begun);
        rig_step();
    }
    rig_wait(traces[0], TRACE_RUNS);
    rig_wait(traces[1], TRACE_RUNS);
}

/* The table is full of what makes room, each of them once it has ended: which no turn waits for. */
static void nor_where_others_have_to_make_room_first(void **state)
{
    (void)state;
    rig_open(LARGE("1"), TRACE_MAX, FEEDS_MAX);
    add_idle(FEEDS_MAX);
    struct trace *trace = begin_all(1);
    uint32_t begun = 0;

    while (trace->stage == TRACE_BEGINS) {
        rig_turn();
        assert_true(trace->feed_count <= begun + TRACE_VCPUS_A_TURN);
        assert_true(rig_feeds() <= FEEDS_MAX);
        begun = trace->feed_count;
    }
    assert_int_equal(trace->stage, TRACE_RUNS);
    assert_int_equal(begun, VCPUS);
}

static void what_is_ended_meanwhile_begins_no_more(void **state)
{
    (void)state;
    rig_open(LARGE("1"), TRACE_MAX, VCPUS);
    struct trace *trace = begin_all(1);

    trace->waiting++;
    rig_step();
    trace_end(trace, rig.feeds, FEED_END_STOPPED_BY_CALLER);
    rig_wait(trace, TRACE_IS_OVER);
    assert_int_equal(trace->feed_count, TRACE_VCPUS_A_TURN);
    assert_int_equal(trace->about.failure.code, ERROR_ABORTED);
    assert_int_equal(rig_journal_count(), 0);
}

static void a_turn_frees_no_more_than_so_many_bytes(void **state)
{
    (void)state;
    rig_open(LARGE("1"), TRACE_MAX, VCPUS);
    struct trace *trace = begin_all(1);

    rig_wait(trace, TRACE_RUNS);
    trace_end(trace, rig.feeds, FEED_END_STOPPED_BY_CALLER);
    rig_wait(trace, TRACE_IS_OVER);
    uint64_t memory = rig_memory();

    assert_true(memory > FEED_TABLE_FREED_A_TURN);
    trace->drop_ns = 1;
    for (uint64_t left = memory; left > 0; left = rig_memory()) {
        assert_int_equal(left % (memory / VCPUS), 0);
        rig_step();
        assert_true(left - rig_memory() <= FEED_TABLE_FREED_A_TURN);
        assert_true(rig_memory() == 0 || feed_table_deadline_ns(rig.feeds) == 0);
        assert_true(rig_memory() < left);
    }
    assert_int_equal(rig_feeds(), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_turn_begins_a_few_of_many_vcpus, tear_down),
        cmocka_unit_test_teardown(all_traces_together_begin_no_more_in_one, tear_down),
        cmocka_unit_test_teardown(nor_where_others_have_to_make_room_first, tear_down),
        cmocka_unit_test_teardown(what_is_ended_meanwhile_begins_no_more, tear_down),
        cmocka_unit_test_teardown(a_turn_frees_no_more_than_so_many_bytes, tear_down),
    };

    return UNIT_RUN(tests);
}
