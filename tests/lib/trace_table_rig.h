/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The table of traces with real feeds and samplers, of simulated domains, in the test's process: stepped as
 * the mapper's loop does. Waits for samplers, with a limit; nothing sleeps. Included by one file of a
 * program.
 */
#ifndef XENRES_TESTS_TRACE_TABLE_RIG_H
#define XENRES_TESTS_TRACE_TABLE_RIG_H

#include <poll.h>
#include <stdio.h>

#include "common/clock.h"
#include "server/mapper/copy.h"
#include "server/mapper/trace.h"
#include "tests/lib/sim_rig.h"

enum { TRACE_RIG_LIMIT_MS = 20000 };

static struct {
    struct backend *b;
    struct journal *journal;
    struct ceiling pauses;
    struct feed_table *feeds;
    struct trace_table *traces;
    struct domain_identity identity; /* of the domain that was begun last */
} rig;

static inline void rig_open(const char *scenario, uint32_t traces_max, uint32_t feeds_max)
{
    assert_int_equal(copy_init(NULL), 0);
    rig.b = sim_rig_open(scenario);
    assert_int_equal(journal_open(NULL, 0, "", &rig.journal, NULL), 0);
    ceiling_init(&rig.pauses, 1000000, clock_monotonic_ns());
    const struct feed_table_options feeds = { .ops = backend_ops,
                                              .backend = rig.b,
                                              .samplers = 2,
                                              .feeds_max = feeds_max,
                                              .spool_most_bytes = 128 << 10,
                                              .memory_most_bytes = UINT64_C(256) << 20,
                                              .period_min_ns = CLOCK_NS_PER_MS };
    const struct trace_options traces = { .journal = rig.journal,
                                          .traces_max = traces_max,
                                          .pauses_per_second = 400,
                                          .pauses_ceiling = 5000,
                                          .period_min_ns = CLOCK_NS_PER_MS,
                                          .period_max_ns = 20 * CLOCK_NS_PER_MS };

    assert_int_equal(feed_table_new(&feeds, &rig.feeds, NULL), 0);
    feed_table_set_pause_ceiling(rig.feeds, &rig.pauses);
    assert_int_equal(trace_table_new(&traces, &rig.traces, NULL), 0);
}

static inline uint32_t rig_journal_count(void)
{
    struct journal_entry e;
    uint32_t count = 0;

    for (uint32_t at = 0; journal_next(rig.journal, &at, &e);) {
        count++;
    }
    return count;
}

static inline void rig_close(void)
{
    feed_table_free(rig.feeds);
    trace_table_free(rig.traces);
    ceiling_done(&rig.pauses);
    journal_close(rig.journal);
    sim_rig_close(&rig.b);
    memset(&rig, 0, sizeof(rig));
}

static inline void rig_step(void)
{
    feed_table_hear(rig.feeds);
    trace_table_step(rig.traces, rig.feeds);
    feed_table_step(rig.feeds);
}

static inline void rig_turn(void)
{
    struct pollfd row = { .fd = feed_table_fd(rig.feeds), .events = POLLIN };
    uint64_t deadline_ns = feed_table_deadline_ns(rig.feeds);
    uint64_t traces_ns = trace_table_deadline_ns(rig.traces);

    deadline_ns = traces_ns < deadline_ns ? traces_ns : deadline_ns;
    int limit_ms = clock_poll_timeout_ms(deadline_ns, TRACE_RIG_LIMIT_MS);

    if (poll(&row, 1, limit_ms) == 0 && limit_ms == TRACE_RIG_LIMIT_MS) {
        fail_msg("nothing happens");
    }
    rig_step();
}

/* Domain `domid` as it is; its incarnation is its number. */
static inline struct domain_identity rig_identity(uint16_t domid, struct backend_domain *domain)
{
    struct domain_identity identity = { .domid = domid };

    assert_int_equal(backend_ops->find(rig.b, domid, domain, NULL), 0);
    memcpy(identity.uuid, domain->uuid, sizeof(identity.uuid));
    memcpy(identity.incarnation, &domid, sizeof(domid));
    snprintf(identity.name, sizeof(identity.name), "d%u", domid);
    return identity;
}

static inline struct trace_wanted rig_wanted(uint16_t domid, uint64_t vcpus,
                                             struct backend_domain *domain)
{
    rig.identity = rig_identity(domid, domain);
    return (struct trace_wanted){
        .identity = &rig.identity, .domain = domain, .owner = "alice", .vcpus = { vcpus }
    };
}

static inline struct trace *rig_begin_with(uint16_t domid, uint64_t vcpus, uint32_t flags)
{
    struct backend_domain domain;
    struct trace_wanted wanted = rig_wanted(domid, vcpus, &domain);
    struct trace *trace = NULL;
    struct failure f = { 0 };

    wanted.flags = flags;
    if (trace_begin(rig.traces, rig.feeds, &wanted, &trace, &f) < 0) {
        fail_msg("%s", f.message);
    }
    return trace;
}

static inline void rig_wait(const struct trace *trace, enum trace_stage stage)
{
    while (trace->stage != stage) {
        if (trace->stage > stage) {
            fail_msg("it is over: %s", trace->about.failure.message);
        }
        rig_turn();
    }
}

static inline struct trace *rig_run(uint16_t domid, uint64_t vcpus)
{
    struct trace *trace = rig_begin_with(domid, vcpus, 0);

    rig_wait(trace, TRACE_RUNS);
    return trace;
}

static inline uint32_t rig_feeds(void)
{
    struct feed_table_counts counts;

    feed_table_count(rig.feeds, &counts);
    return counts.feeds;
}

/* Of all feeds, images included. */
static inline uint64_t rig_memory(void)
{
    struct feed_table_counts counts;

    feed_table_count(rig.feeds, &counts);
    return counts.spool_bytes;
}

static inline bool rig_is_enabled(uint16_t domid, uint32_t vcpu)
{
    struct sim_trace t;

    assert_true(sim_trace(rig.b, domid, vcpu, &t));
    return t.is_enabled;
}

#endif
