/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The trace of one vCPU of a simulated guest, on the host's virtual clock: begun, sampled as by a sampler
 * that is never late, and what it tells read. Included by one file of a program.
 */
#ifndef XENRES_TESTS_SOURCE_TRACE_RIG_H
#define XENRES_TESTS_SOURCE_TRACE_RIG_H

#include <stdlib.h>

#include "common/ring_view.h"
#include "server/mapper/copy.h"
#include "server/mapper/psb.h"
#include "server/mapper/sampling.h"
#include "server/mapper/source_trace.h"
#include "tests/lib/vmtrace_rig.h"

enum { SPOOL_BYTES = 8 << 20, BUDGET = 400 };
#define RING "size = 65536 rate = 1310720 " /* once around in 50 ms */

static struct backend *host;
static struct source_tools tools;
static struct allowance memory;
static struct sampling sampling;
static struct source *source;
static struct ring_view *view;
static struct ring_place place;
static struct source_trace_options options;
static struct feed_end end;
static uint64_t begins, losses, bytes, last_loss_reason;
static bool sync_is_wrong;
static uint8_t before[PSB_BYTES]; /* the last bytes of the segment */

static inline uint64_t now(void *arg)
{
    (void)arg;
    return CLOCK_NS_PER_S + (host != NULL ? sim_now_ns(host) : 0);
}

static struct {
    int adds, removes;
    bool refuses, was_enabled;
} journal;

static inline int journal_add(void *arg, const struct backend_domain *d, uint32_t vcpu,
                              struct failure *f)
{
    (void)arg;
    assert_int_equal(d->domid, 7);
    journal.was_enabled = vmtrace_rig_truth(host, vcpu).is_enabled;
    journal.adds++;
    return journal.refuses ? failure_set(f, ERROR_INTERNAL, "no journal") : 0;
}

static inline void journal_remove(void *arg, const struct backend_domain *d, uint32_t vcpu)
{
    (void)arg, (void)d;
    journal.was_enabled = vmtrace_rig_truth(host, vcpu).is_enabled;
    journal.removes++;
}

static inline void open_host(const char *scenario)
{
    static const struct clock_source simulated = { now, now, NULL };

    host = sim_rig_open(scenario);
    clock_set_source(&simulated);
    allowance_init(&memory, UINT64_C(160) << 20);
    tools = (struct source_tools){ .ops = backend_ops, .backend = host, .memory = &memory };
    tools.page = aligned_alloc(MESSAGE_FRAME_BYTES, MESSAGE_FRAME_BYTES);
    assert_non_null(tools.page);
    assert_int_equal(copy_init(NULL), 0);
    memset(&journal, 0, sizeof(journal));
    options = (struct source_trace_options){ .pauses_per_second = BUDGET,
                                             .period_min_ns = CLOCK_NS_PER_MS,
                                             .period_max_ns = 20 * CLOCK_NS_PER_MS,
                                             .journal_add = journal_add,
                                             .journal_remove = journal_remove };
    assert_int_equal(backend_ops->find(host, 7, &options.known, NULL), 0);
}

static inline void begin(void)
{
    assert_int_equal(source_trace_new(&options, &source, NULL), 0);
    sampling_init(&sampling, source, SPOOL_BYTES, &memory);
    view = NULL;
    place = (struct ring_place){ 0 };
    end = (struct feed_end){ 0 };
    begins = losses = bytes = last_loss_reason = 0;
    sync_is_wrong = false;
}

static inline void step(void)
{
    static const atomic_bool never;

    sampling_step(&sampling, &tools, now(NULL), now(NULL), &never);
}

static inline void take_bytes(const struct feed_record *r)
{
    size_t len = r->bytes->len_bytes;

    sync_is_wrong |= psb_find(r->contents, len) != r->bytes->sync_offset || r->bytes->tsc == 0;
    if (r->bytes->offset > 0) { /* a record never ends within a PSB */
        uint8_t seam[2 * PSB_BYTES] = { 0 };

        memcpy(seam, before, PSB_BYTES);
        memcpy(seam + PSB_BYTES, r->contents, len < PSB_BYTES ? len : PSB_BYTES);
        int64_t at = psb_find(seam, sizeof(seam));

        sync_is_wrong |= at > 0 && at < PSB_BYTES;
    }
    if (len >= PSB_BYTES) {
        memcpy(before, r->contents + len - PSB_BYTES, PSB_BYTES);
    } else {
        memmove(before, before + len, PSB_BYTES - len);
        memcpy(before + PSB_BYTES - len, r->contents, len);
    }
    bytes += len;
}

static inline void follow(void)
{
    static _Alignas(8) uint8_t record_bytes[SPOOL_BYTES / 4];
    struct ring_record found;
    struct feed_record record;

    if (view == NULL) {
        assert_int_equal(ring_view_open(ring_fd(sampling.spool.ring), SPOOL_BYTES, &view, NULL), 0);
    }
    while (ring_view_read(view, &place, record_bytes, sizeof(record_bytes), &found, NULL) ==
           RING_RECORD) {
        assert_int_equal(
            feed_record_check(found.kind, record_bytes, found.len_bytes, &record, NULL), 0);
        begins += record.kind == FEED_RECORD_BEGIN;
        losses += record.kind == FEED_RECORD_LOSS;
        if (record.kind == FEED_RECORD_BYTES) {
            take_bytes(&record);
        } else if (record.kind == FEED_RECORD_LOSS) {
            last_loss_reason = record.loss->reason;
        } else if (record.kind == FEED_RECORD_END) {
            end = *record.end;
        }
    }
}

static inline struct message_trace_vcpu figures(void)
{
    struct source_trace_figures f;

    source_trace_look(source, &f);
    return f.vcpu;
}

/* As a sampler would, that is never late. */
static inline void run_ms(uint64_t ms)
{
    uint64_t until_ns = now(NULL) + ms * CLOCK_NS_PER_MS;

    while (now(NULL) < until_ns && !sampling.is_over) {
        step();
        uint64_t after_ns = sampling.next_after_ns;

        if (sampling.has_begun) {
            follow();
        }
        assert_true(sampling.is_over || after_ns >= CLOCK_NS_PER_MS);
        sim_advance(host, after_ns);
    }
}

static inline void finish(void)
{
    if (!sampling.is_over) {
        sampling_end(&sampling, &tools, now(NULL), now(NULL), FEED_END_STOPPED_BY_CALLER);
    }
    if (sampling.has_begun) {
        follow();
        assert_int_equal(sampling.end, end.reason);
        assert_int_equal(figures().is_over, 1);
    }
    assert_false(vmtrace_rig_truth(host, options.vcpu).is_enabled);
    assert_int_equal(journal.adds, journal.removes + journal.refuses);
    ring_view_close(view);
    view = NULL;
    sampling_done(&sampling);
    assert_int_equal(allowance_used(&memory), 0);
    assert_int_equal(tools.mapped, 0);
}

static inline void close_host(void)
{
    free(tools.page);
    sim_rig_close(&host);
    host = NULL;
    clock_set_source(NULL);
}

#endif
