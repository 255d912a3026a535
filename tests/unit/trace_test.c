/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The table of traces: its stages, what ends one, its limits, and what stays enabled: nothing. */
#include "server/mapper/trace.h"

#include <errno.h>
#include <stdlib.h>

#include "server/mapper/trace_left.h"
#include "tests/lib/trace_table_rig.h"

#define UUID(n) "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a0" n
#define FOUR                                                                                       \
    "domain \"d1\" { domid = 1 uuid = \"" UUID("1") "\" type = \"hvm\" vcpus = 4\n"                \
                                                    "  vmtrace { size = 4096 rate = 20000 } }\n"
#define TWO                                                                                        \
    FOUR "domain \"d2\" { domid = 2 uuid = \"" UUID(                                               \
        "2") "\" type = \"pvh\" vcpus = 2\n"                                                       \
             "  vmtrace { size = 4096 rate = 20000 } }\n"

static int tear_down(void **state)
{
    (void)state;
    if (rig.b != NULL) {
        rig_close();
    }
    return 0;
}

static void assert_nothing_is_enabled(uint16_t domid, uint32_t vcpus)
{
    for (uint32_t i = 0; i < vcpus; i++) {
        assert_false(rig_is_enabled(domid, i));
    }
    assert_int_equal(rig_journal_count(), 0);
}

/* --- stages --------------------------------------------------------------------------------------- */

static void it_begins_once_each_vcpu_is_traced_and_ends_as_it_is_told(void **state)
{
    struct message_trace told;

    (void)state;
    rig_open(FOUR, TRACE_MAX, 16);
    struct trace *trace = rig_begin_with(1, 0xb, TRACE_NO_RETC);

    assert_int_equal(trace->stage, TRACE_BEGINS);
    assert_false(trace->has_begun);
    rig_wait(trace, TRACE_RUNS);
    trace_tell(trace, clock_monotonic_ns(), &told);
    assert_int_equal(told.vcpu_count, 3);
    assert_int_equal(told.flags, TRACE_OS | TRACE_USER | TRACE_NO_RETC);
    assert_int_equal(told.laps_detectable, 1);
    assert_int_equal(told.end_reason, 0);
    assert_int_equal(told.ended_wall_ns, 0);
    assert_true(told.lease_left_ms > TRACE_LEASE_MS / 2 && told.lease_left_ms <= TRACE_LEASE_MS);
    assert_int_equal(told.facts.buffer_bytes, 4096);
    assert_int_equal(told.facts.rtit_ctl, VMTRACE_CTL_ENABLED | VMTRACE_CTL_OS | VMTRACE_CTL_USER |
                                              VMTRACE_CTL_TSC | VMTRACE_CTL_NO_RETC |
                                              VMTRACE_CTL_BRANCH);
    assert_true(rig_is_enabled(1, 0) && rig_is_enabled(1, 1) && rig_is_enabled(1, 3));
    assert_false(rig_is_enabled(1, 2));
    assert_int_equal(rig_journal_count(), 3);
    assert_int_equal(trace_table_count(rig.traces).traces, 1);
    assert_int_equal(trace_table_count(rig.traces).vcpus, 3);
    assert_ptr_equal(trace_of_incarnation(rig.traces, rig.identity.incarnation), trace);
    assert_ptr_equal(trace_named(rig.traces, told.trace_id), trace);

    trace_end(trace, rig.feeds, FEED_END_STOPPED_BY_CALLER);
    trace_end(trace, rig.feeds, FEED_END_TAKEN_OVER); /* it ends already */
    rig_wait(trace, TRACE_IS_OVER);
    trace_tell(trace, clock_monotonic_ns(), &told);
    assert_int_equal(told.end_reason, FEED_END_STOPPED_BY_CALLER);
    assert_true(told.ended_wall_ns >= told.started_wall_ns);
    assert_int_equal(told.lease_left_ms, 0);
    assert_int_equal(told.failure.code, 0);
    assert_nothing_is_enabled(1, 4);
    assert_int_equal(trace_table_count(rig.traces).traces, 0);
    assert_null(trace_of_incarnation(rig.traces, rig.identity.incarnation));
    assert_int_equal(rig_feeds(), 3); /* held */
}

static void what_is_over_is_held_for_its_time_with_its_feeds(void **state)
{
    (void)state;
    rig_open(FOUR, TRACE_MAX, 16);
    struct trace *trace = rig_run(1, 3);
    uint8_t id[16];

    uint64_t memory = rig_memory();

    memcpy(id, trace->about.trace_id, sizeof(id));
    trace_end(trace, rig.feeds, FEED_END_STOPPED_BY_CALLER);
    rig_wait(trace, TRACE_IS_OVER);
    assert_int_equal(rig_memory(), memory - 2 * 4096); /* what was told, and no image of a ring */
    uint64_t held_ns = trace->drop_ns - clock_monotonic_ns();

    assert_true(held_ns > (TRACE_HELD_S - 10) * CLOCK_NS_PER_S &&
                held_ns <= TRACE_HELD_S * CLOCK_NS_PER_S);
    assert_int_equal(trace_table_deadline_ns(rig.traces), trace->drop_ns);
    trace->waiting++; /* somebody is to be told of it */
    trace->drop_ns = 1;
    rig_step();
    assert_non_null(trace_named(rig.traces, id));
    trace->waiting--;
    rig_step();
    assert_null(trace_named(rig.traces, id));
    assert_int_equal(rig_feeds(), 0);
}

static void the_next_of_the_domain_takes_the_place_of_the_last(void **state)
{
    struct trace *all[2 * TRACE_MAX];

    (void)state;
    rig_open(TWO, TRACE_MAX, 16);
    struct trace *other = rig_run(2, 1);

    trace_end(other, rig.feeds, FEED_END_STOPPED_BY_CALLER);
    rig_wait(other, TRACE_IS_OVER);
    for (int i = 0; i < 5; i++) {
        struct trace *trace = rig_run(1, 0xf);

        assert_int_equal(trace_all(rig.traces, all), 2);
        assert_ptr_equal(all[0], trace);
        assert_ptr_equal(all[1], other);
        assert_int_equal(rig_feeds(), 5);
        trace_end(trace, rig.feeds, FEED_END_STOPPED_BY_CALLER);
        rig_wait(trace, TRACE_IS_OVER);
    }
    rig_run(1, 0x1);
    assert_int_equal(rig_feeds(), 2);
}

static void one_vcpu_that_cannot_be_traced_ends_all_the_others(void **state)
{
    (void)state;
    rig_open(FOUR "fault { operation = \"vmtrace_reset_and_enable\" call = 3 errno = \"EPERM\" }\n",
             TRACE_MAX, 16);
    struct trace *trace = rig_begin_with(1, 0xf, 0), *all[2 * TRACE_MAX];

    trace->waiting++;
    rig_wait(trace, TRACE_IS_OVER);
    assert_false(trace->has_begun);
    assert_int_equal(trace->about.failure.code, ERROR_PERMISSION_DENIED);
    assert_string_equal(trace->about.failure.call, "xc_vmtrace_reset_and_enable");
    assert_nothing_is_enabled(1, 4);
    assert_int_equal(trace_all(rig.traces, all), 0);
    trace->waiting--;
    rig_step();
    assert_int_equal(rig_feeds(), 0); /* nobody has anything to read of it */
}

static void what_ends_before_it_has_begun_says_so(void **state)
{
    (void)state;
    rig_open(FOUR, TRACE_MAX, 16);
    struct trace *trace = rig_begin_with(1, 0xf, 0);

    trace->waiting++;
    trace_end(trace, rig.feeds, FEED_END_STOPPED_BY_CALLER);
    rig_wait(trace, TRACE_IS_OVER);
    assert_false(trace->has_begun);
    assert_int_equal(trace->about.failure.code, ERROR_ABORTED);
    assert_nothing_is_enabled(1, 4);
}

/* --- what ends one --------------------------------------------------------------------------------- */

static void a_lease_that_is_not_renewed_ends_it(void **state)
{
    (void)state;
    rig_open(FOUR, TRACE_MAX, 16);
    struct trace *trace = rig_run(1, 3);

    assert_int_equal(trace_table_deadline_ns(rig.traces), trace->lease_end_ns);
    trace->lease_end_ns = 1;
    trace_renew(trace, 0, clock_monotonic_ns());
    rig_step();
    assert_int_equal(trace->stage, TRACE_RUNS);
    trace->lease_end_ns = 1;
    rig_wait(trace, TRACE_IS_OVER);
    assert_int_equal(trace->about.end_reason, FEED_END_LEASE);
    assert_nothing_is_enabled(1, 4);
}

static void a_lease_is_within_bounds(void **state)
{
    static const struct {
        uint32_t asked, admitted;
    } rows[] = {
        { 0, TRACE_LEASE_MS },
        { 1, TRACE_LEASE_MIN_MS },
        { TRACE_LEASE_MIN_MS - 1, TRACE_LEASE_MIN_MS },
        { TRACE_LEASE_MIN_MS, TRACE_LEASE_MIN_MS },
        { 0, TRACE_LEASE_MIN_MS }, /* as it was */
        { TRACE_LEASE_MAX_MS, TRACE_LEASE_MAX_MS },
        { TRACE_LEASE_MAX_MS + 1, TRACE_LEASE_MAX_MS },
        { UINT32_MAX, TRACE_LEASE_MAX_MS },
    };
    struct trace trace = { .about.lease_ms = TRACE_LEASE_MS };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        trace_renew(&trace, rows[i].asked, 1000);
        assert_int_equal(trace.about.lease_ms, rows[i].admitted);
        assert_int_equal(trace.lease_end_ns, 1000 + rows[i].admitted * CLOCK_NS_PER_MS);
    }
}

static void what_befalls_the_domain_ends_it(void **state)
{
    static const struct {
        const char *event;
        enum feed_end_reason reason;
        uint32_t code;
        bool is_there;
    } rows[] = {
        { "do = \"shutdown\"", FEED_END_SHUTDOWN, 0, true },
        { "do = \"crash\"", FEED_END_SHUTDOWN, 3, true },
        { "do = \"destroy\"", FEED_END_INCARNATION, 0, false },
        { "do = \"reboot\"", FEED_END_INCARNATION, 0, false },
        { "do = \"vmtrace_status\" vcpu = 1 value = 0x10", FEED_END_TRACE_ERROR, 0, true },
        { "do = \"vmtrace_status\" vcpu = 1 value = 0x20", FEED_END_TRACE_STOPPED, 0, true },
        { "do = \"vmtrace_disable\" vcpu = 1", FEED_END_INTERFERED, 0, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char scenario[2048];

        snprintf(scenario, sizeof(scenario), "%sevent { step = 1 domain = \"d1\" %s }\n", FOUR,
                 rows[i].event);
        rig_open(scenario, TRACE_MAX, 16);
        struct trace *trace = rig_run(1, 0xf);

        sim_step(rig.b);
        rig_wait(trace, TRACE_IS_OVER);
        if (trace->about.end_reason != rows[i].reason ||
            trace->about.shutdown_code != rows[i].code) {
            fail_msg("%s: reason %u, code %u", rows[i].event, trace->about.end_reason,
                     trace->about.shutdown_code);
        }
        assert_true(trace->about.failure.code != 0 || rows[i].reason != FEED_END_INTERFERED);
        if (rows[i].is_there) {
            assert_nothing_is_enabled(1, 4);
        }
        assert_int_equal(rig_journal_count(), 0);
        rig_close();
    }
}

static void what_the_directory_tells_ends_it_before_that_returns(void **state)
{
    static const struct {
        enum feed_domain_kind kind;
        enum feed_end_reason reason;
    } rows[] = {
        { FEED_DOMAIN_DYING, FEED_END_INCARNATION },
        { FEED_DOMAIN_GONE, FEED_END_INCARNATION },
        { FEED_DOMAIN_RENAMED, FEED_END_RENAMED },
    };

    (void)state;
    rig_open(FOUR, TRACE_MAX, 16);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct trace *trace = rig_run(1, 0xf);
        struct directory_entry e = { .identity = rig.identity };

        feed_table_changed(rig.feeds, rows[i].kind, &e, &rig.identity, 5);
        assert_nothing_is_enabled(1, 4);
        rig_wait(trace, TRACE_IS_OVER);
        assert_int_equal(trace->about.end_reason, rows[i].reason);
    }
}

static void the_end_of_the_mapper_leaves_nothing_enabled(void **state)
{
    (void)state;
    rig_open(TWO, TRACE_MAX, 16);
    rig_run(1, 0xf);
    rig_begin_with(2, 3, 0); /* in the midst of its beginning */
    feed_table_free(rig.feeds);
    rig.feeds = NULL;
    assert_nothing_is_enabled(1, 4);
    assert_nothing_is_enabled(2, 2);
}

/* --- who watches ---------------------------------------------------------------------------------- */

static void who_lets_go_or_goes_ends_nothing(void **state)
{
    struct feed_asked asked;
    struct feed_about about;
    struct failure f = { 0 };

    (void)state;
    rig_open(FOUR, TRACE_MAX, 16);
    assert_int_equal(rig_feeds(), 0);
    struct backend_domain domain;
    struct message_watch w = { .domain = rig_identity(1, &domain) };

    assert_int_equal(feed_trace_ask(rig.feeds, &w, &asked, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.next_step, "trace start"));
    struct trace *trace = rig_run(1, 3);

    w.id = 2;
    assert_int_equal(feed_trace_ask(rig.feeds, &w, &asked, &f), -ERROR_FAILED_PRECONDITION);
    w.id = 1;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(feed_trace_ask(rig.feeds, &w, &asked, &f), 0);
        assert_true(asked.joined);
        assert_int_equal(feed_table_look(rig.feeds, asked.feed, &f), FEED_HAS_BEGUN);
        feed_table_take(rig.feeds, asked.feed, &about);
        struct message_image image = { .feed = about.number };
        struct feed_pin pin;

        memcpy(image.feed_id, about.id, sizeof(image.feed_id));
        assert_int_equal(feed_table_pin(rig.feeds, &image, &pin, &f), -ERROR_INVALID_ARGUMENT);
        if (i == 0) {
            feed_table_release(rig.feeds, about.number, about.id);
        } else if (i == 1) {
            feed_table_let_go(rig.feeds, 1);
        }
        rig_step();
        assert_int_equal(trace->stage, TRACE_RUNS);
        assert_int_equal(rig_feeds(), 2);
    }
    assert_int_equal(feed_trace_ask(rig.feeds, &w, &asked, &f), 0);
    feed_table_refuse(rig.feeds, asked.feed);
    rig_step();
    assert_int_equal(trace->stage, TRACE_RUNS);
    w.domain.name[0] = 'x'; /* another one is meant */
    assert_int_equal(feed_trace_ask(rig.feeds, &w, &asked, &f), -ERROR_FAILED_PRECONDITION);
    w.domain.name[0] = 'd';
    memcpy(w.trace_id, trace->about.trace_id, sizeof(w.trace_id));
    assert_int_equal(feed_trace_ask(rig.feeds, &w, &asked, &f), 0);
    feed_table_refuse(rig.feeds, asked.feed);
    w.trace_id[0] ^= 1;
    assert_int_equal(feed_trace_ask(rig.feeds, &w, &asked, &f), -ERROR_ABORTED);
    memset(w.trace_id, 0, sizeof(w.trace_id));

    trace_end(trace, rig.feeds, FEED_END_STOPPED_BY_CALLER);
    rig_wait(trace, TRACE_IS_OVER);
    assert_int_equal(feed_trace_ask(rig.feeds, &w, &asked, &f), 0);
    trace->drop_ns = 1;
    rig_step();
    assert_int_equal(rig_feeds(), 1); /* it is waited for */
    feed_table_take(rig.feeds, asked.feed, &about);
    assert_true(about.fd >= 0 && about.spool_bytes == 128 << 10);
    rig_step();
    assert_int_equal(rig_feeds(), 0);
}

/* --- limits ---------------------------------------------------------------------------------------- */

enum { MANY = TRACE_MAX + 1 };

static void open_many(uint32_t feeds_max)
{
    static char scenario[MANY * 200];
    size_t len = 0;

    for (int i = 1; i <= MANY; i++) {
        len += (size_t)snprintf(scenario + len, sizeof(scenario) - len,
                                "domain \"d%d\" { domid = %d uuid = "
                                "\"11111111-1111-1111-1111-1111111111%02x\" type = \"hvm\"\n"
                                "  vmtrace { size = 4096 rate = 100 } }\n",
                                i, i, i);
    }
    rig_open(scenario, TRACE_MAX, feeds_max);
}

static void as_many_as_may_be_and_not_one_more(void **state)
{
    struct trace *traces[MANY] = { 0 };
    struct backend_domain domain;
    struct failure f = { 0 };

    (void)state;
    open_many(2 * MANY);
    for (uint16_t i = 0; i < TRACE_MAX; i++) {
        traces[i] = rig_run(i + 1, 1);
    }
    struct trace_wanted wanted = rig_wanted(MANY, 1, &domain);
    struct trace *more = NULL;

    assert_int_equal(trace_begin(rig.traces, rig.feeds, &wanted, &more, &f),
                     -ERROR_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(f.next_step, "--traces-max"));
    assert_int_equal(f.retry_after_ms, FAILURE_RETRY_LATER_MS);
    assert_int_equal(rig_feeds(), TRACE_MAX);
    for (uint16_t i = 0; i < TRACE_MAX; i++) {
        trace_end(traces[i], rig.feeds, FEED_END_STOPPED_BY_CALLER);
        rig_wait(traces[i], TRACE_IS_OVER);
    }
    /* As many that are over; the oldest of them makes room. */
    more = rig_run(MANY, 1);
    trace_end(more, rig.feeds, FEED_END_STOPPED_BY_CALLER);
    rig_wait(more, TRACE_IS_OVER);
    struct trace *all[2 * TRACE_MAX];

    assert_int_equal(trace_all(rig.traces, all), TRACE_MAX);
    assert_int_equal(all[0]->about.domain.domid, 2);
    for (uint32_t i = 1; i < TRACE_MAX; i++) {
        assert_true(all[i]->about.domain.domid > all[i - 1]->about.domain.domid);
    }
    assert_int_equal(rig_journal_count(), 0);
}

static void feeds_are_a_limit_too_and_those_of_traces_make_no_room(void **state)
{
    (void)state;
    rig_open(TWO, TRACE_MAX, 5);
    rig_run(1, 0xf);
    struct trace *trace = rig_begin_with(2, 3, 0);

    trace->waiting++;
    rig_wait(trace, TRACE_IS_OVER);
    assert_false(trace->has_begun);
    assert_int_equal(trace->about.failure.code, ERROR_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(trace->about.failure.next_step, "--feeds-max"));
    assert_false(rig_is_enabled(2, 0) || rig_is_enabled(2, 1));
    assert_true(rig_is_enabled(1, 0) && rig_is_enabled(1, 3));
    trace->waiting--;
    rig_step();
    rig_run(2, 1);
}

/* --- what is the same, and whose ------------------------------------------------------------------- */

static void only_the_same_of_the_same_owner_is_the_same(void **state)
{
    struct backend_domain domain;

    (void)state;
    rig_open(FOUR, TRACE_MAX, 16);
    struct trace *trace = rig_run(1, 3);
    struct trace_wanted wanted = rig_wanted(1, 3, &domain);

    assert_true(trace_is_same(rig.traces, trace, &wanted));
    wanted.flags = TRACE_OS | TRACE_USER | TRACE_TAKEOVER;
    wanted.pauses_per_second = 400;
    wanted.lease_ms = 7;
    assert_true(trace_is_same(rig.traces, trace, &wanted));
    wanted.flags = TRACE_OS;
    assert_false(trace_is_same(rig.traces, trace, &wanted));
    wanted.flags = TRACE_NO_TSC;
    assert_false(trace_is_same(rig.traces, trace, &wanted));
    wanted.flags = 0;
    wanted.pauses_per_second = 401;
    assert_false(trace_is_same(rig.traces, trace, &wanted));
    wanted.pauses_per_second = 0;
    wanted.vcpus[0] = 1;
    assert_false(trace_is_same(rig.traces, trace, &wanted));
    wanted.vcpus[0] = 3;
    wanted.vcpus[1] = 1;
    assert_false(trace_is_same(rig.traces, trace, &wanted));
    wanted.vcpus[1] = 0;
    wanted.owner = "bob";
    assert_false(trace_is_same(rig.traces, trace, &wanted));
}

static void nobodys_budget_is_above_the_ceiling(void **state)
{
    struct backend_domain domain;
    struct trace *trace = NULL;

    (void)state;
    rig_open(FOUR, TRACE_MAX, 16);
    struct trace_wanted wanted = rig_wanted(1, 1, &domain);

    wanted.pauses_per_second = UINT32_MAX;
    assert_int_equal(trace_begin(rig.traces, rig.feeds, &wanted, &trace, NULL), 0);
    assert_int_equal(trace->about.pauses_per_second, 5000);
    rig_wait(trace, TRACE_RUNS);
}

#define ENABLED                                                                                    \
    "domain \"d1\" { domid = 1 uuid = \"" UUID(                                                    \
        "1") "\" type = \"hvm\" vcpus = 2\n"                                                       \
             "  vmtrace { size = 4096 rate = 20000 enabled = true } }\n"

static void what_somebody_traces_is_refused_unless_it_is_ours_or_taken_over(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        rig_open(ENABLED, TRACE_MAX, 16);
        struct backend_domain domain;
        struct domain_identity identity = rig_identity(1, &domain);

        for (uint32_t vcpu = 0; vcpu < 2 && round == 1; vcpu++) {
            struct journal_entry e = { .domid = 1, .vcpu = vcpu };

            memcpy(e.uuid, identity.uuid, sizeof(e.uuid));
            assert_int_equal(journal_add(rig.journal, &e, NULL), 0);
        }
        struct trace *trace = rig_begin_with(1, 3, round == 2 ? TRACE_TAKEOVER : 0);

        trace->waiting++;
        rig_wait(trace, round == 0 ? TRACE_IS_OVER : TRACE_RUNS);
        if (round == 0) {
            assert_int_equal(trace->about.failure.code, ERROR_FAILED_PRECONDITION);
            assert_non_null(strstr(trace->about.failure.next_step, "--takeover"));
            assert_true(rig_is_enabled(1, 0) && rig_is_enabled(1, 1));
        } else {
            assert_int_equal(trace->about.flags & TRACE_TAKEOVER, 0);
            trace_end(trace, rig.feeds, FEED_END_STOPPED_BY_CALLER);
            rig_wait(trace, TRACE_IS_OVER);
            assert_nothing_is_enabled(1, 2);
        }
        rig_close();
    }
}

static void of_what_was_left_on_only_ours_is_stopped(void **state)
{
    struct backend_domain domain;

    (void)state;
    rig_open(ENABLED, TRACE_MAX, 16);
    struct domain_identity identity = rig_identity(1, &domain);
    struct journal_entry e = { .domid = 1, .vcpu = 1 };

    memcpy(e.uuid, identity.uuid, sizeof(e.uuid));
    assert_int_equal(journal_add(rig.journal, &e, NULL), 0);
    e.vcpu = 77; /* there is none, or none any more */
    assert_int_equal(journal_add(rig.journal, &e, NULL), 0);
    e.domid = 5; /* gone */
    assert_int_equal(journal_add(rig.journal, &e, NULL), 0);
    e = (struct journal_entry){ .domid = 1, .vcpu = 0, .uuid = { 1 } }; /* another's number now */
    assert_int_equal(journal_add(rig.journal, &e, NULL), 0);
    assert_int_equal(trace_left_stop(backend_ops, rig.b, rig.journal, NULL), 1);
    assert_false(rig_is_enabled(1, 1));
    assert_true(rig_is_enabled(1, 0));
    assert_int_equal(rig_journal_count(), 0);
    assert_int_equal(trace_left_stop(backend_ops, rig.b, rig.journal, NULL), 0);
}

static void what_could_not_be_stopped_stays_in_the_journal(void **state)
{
    struct backend_domain domain;

    (void)state;
    rig_open(ENABLED "fault { operation = \"vmtrace_disable\" errno = \"EPERM\" }\n", TRACE_MAX,
             16);
    struct domain_identity identity = rig_identity(1, &domain);
    struct journal_entry e = { .domid = 1, .vcpu = 0 };

    memcpy(e.uuid, identity.uuid, sizeof(e.uuid));
    assert_int_equal(journal_add(rig.journal, &e, NULL), 0);
    assert_int_equal(trace_left_stop(backend_ops, rig.b, rig.journal, NULL), 0);
    assert_int_equal(rig_journal_count(), 1);
    assert_int_equal(trace_left_stop(backend_ops, rig.b, rig.journal, rig.traces), 1);
    assert_int_equal(rig_journal_count(), 0);
    (void)rig_run(1, 1); /* what is traced now is not left */
    assert_int_equal(trace_left_stop(backend_ops, rig.b, rig.journal, rig.traces), 0);
    assert_true(rig_is_enabled(1, 0));
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(it_begins_once_each_vcpu_is_traced_and_ends_as_it_is_told),
        TEST(what_is_over_is_held_for_its_time_with_its_feeds),
        TEST(the_next_of_the_domain_takes_the_place_of_the_last),
        TEST(one_vcpu_that_cannot_be_traced_ends_all_the_others),
        TEST(what_ends_before_it_has_begun_says_so),
        TEST(a_lease_that_is_not_renewed_ends_it),
        TEST(a_lease_is_within_bounds),
        TEST(what_befalls_the_domain_ends_it),
        TEST(what_the_directory_tells_ends_it_before_that_returns),
        TEST(the_end_of_the_mapper_leaves_nothing_enabled),
        TEST(who_lets_go_or_goes_ends_nothing),
        TEST(as_many_as_may_be_and_not_one_more),
        TEST(feeds_are_a_limit_too_and_those_of_traces_make_no_room),
        TEST(only_the_same_of_the_same_owner_is_the_same),
        TEST(nobodys_budget_is_above_the_ceiling),
        TEST(what_somebody_traces_is_refused_unless_it_is_ours_or_taken_over),
        TEST(of_what_was_left_on_only_ours_is_stopped),
        TEST(what_could_not_be_stopped_stays_in_the_journal),
    };

    return UNIT_RUN(tests);
}
