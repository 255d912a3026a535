/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Traces of the real gateway, whose parts are killed and whose network is cut at random, in the midst of a
 * capture: whatever happens, each position is delivered or told as lost, once; every byte is that of the
 * file which the vCPU plays, at its place; when the file is over and the trace is stopped, all of it is
 * accounted for. A mapper that goes takes the trace with it, and its end says so.
 *
 * chaos_lane.h says how a run is repeated. Sanitized, there are fewer, unless that is set.
 */
#include "tests/lib/chaos_trace.h"

#ifdef XENRES_SANITIZED
#define USUAL_RUNS 60
#else
#define USUAL_RUNS 240
#endif

enum {
    RUNS = USUAL_RUNS,
    FILE_MIN_BYTES = 32 << 10,
    FILE_MAX_BYTES = 2 << 20,
};

/* What the lanes did, in shared memory. */
struct totals {
    _Atomic unsigned runs, starts, cuts, resumed, gaps, open_gaps, resets, gone, whole;
    _Atomic uint64_t told, lost;
};

struct trace_plan {
    struct chaos_host host;
    bool has_second; /* it is stopped in between, and started again */
    struct acts acts;
};

static struct trace_plan plan; /* of the run that there is in this lane */
static struct totals *totals;
static char journal_path[UNITS_PATH_BYTES];
static const char *const mapper_options[] = { "--spool-kib-max", "128",        "--arena-mib", "16",
                                              "--slot-max-mib",  "4",          "--grace",     "60",
                                              "--journal",       journal_path, NULL };

/* --- failure ------------------------------------------------------------------------------------------ */

static void explain(FILE *out)
{
    fprintf(out, "#%s", plan.has_second ? " stopped in between;" : "");
    acts_print(&plan.acts, out);
    chaos_trace_explain(out);
}

/* --- the plan ----------------------------------------------------------------------------------------- */

static void plan_trace(struct trace_plan *p, uint64_t seed)
{
    static const uint32_t parts[] = { 16, 4, 2, 1 };
    uint64_t chance = seed * UINT64_C(0xd1342543de82ef95);

    struct chaos_host *h = &p->host;

    memset(p, 0, sizeof(*p));
    h->vcpus = 1 + acts_chance(&chance, TRACE_READER_VCPUS_MAX);
    h->ring_bytes = 4096u << acts_chance(&chance, 7);
    uint32_t step_ms = 5 + acts_chance(&chance, 30);

    h->step_ms = acts_chance(&chance, 3) != 0 ? step_ms : 0;
    p->has_second = acts_chance(&chance, 4) == 0;
    uint32_t a_step =
        h->ring_bytes / parts[acts_chance(&chance, 4)] / 2 * (1 + acts_chance(&chance, 3));
    uint32_t file = a_step * (60 + acts_chance(&chance, 140));

    file = file < FILE_MIN_BYTES ? FILE_MIN_BYTES : file;
    h->file_bytes = (file > FILE_MAX_BYTES ? FILE_MAX_BYTES : file) - acts_chance(&chance, 100);
    h->rate = h->step_ms > 0 ? (uint64_t)a_step * 1000 / step_ms
                             : (uint64_t)h->file_bytes * 1000 / (200 + acts_chance(&chance, 800));
    acts_draw(&p->acts, &chance);
}

static void count_trace(void)
{
    for (uint32_t i = 0; i < plan.host.vcpus; i++) {
        const struct trace_audit *a = &chaos_trace.audits[i];

        totals->starts += a->starts;
        totals->cuts += a->cuts;
        totals->resumed += a->resumed;
        totals->gaps += a->gaps;
        totals->open_gaps += a->open_gaps;
        totals->resets += a->resets;
        totals->told += a->told;
        totals->lost += a->lost;
    }
}

static pid_t start_client(void)
{
    chaos_trace.reader.access = lane.access;
    return trace_reader_start(&chaos_trace.reader);
}

/* A simulated host ends with its mapper: the trace is over, and there will be another one. */
static void mapper_is_back(void)
{
    chaos_trace_wait_over();
    for (uint32_t i = 0; i < plan.host.vcpus; i++) {
        uint32_t reason = chaos_trace.audits[i].end_reason;

        LANE_MUST(reason == XENRES_TRACE_MAPPER_GONE || reason == XENRES_TRACE_NOT_FOUND,
                  xenres_trace_end_reason_name(reason));
    }
    (void)units_end(&lane.client, SIGKILL);
    count_trace();
    totals->gone++;
    chaos_trace_start(true);
}

/* --- the end of a run ------------------------------------------------------------------------------------ */

static void count_whole(void)
{
    for (uint32_t i = 0; i < plan.host.vcpus; i++) {
        totals->whole += chaos_trace.audits[i].lost == 0;
    }
}

static void run_seed(uint64_t seed)
{
    plan_trace(&plan, seed);
    chaos_trace_write(&plan.host, seed);
    units_start_mapper(&lane.units, mapper_options);
    chaos_trace_start(true);
    lane_wait_told(LANE_TOLD_WAIT_MS);
    lane_act_all(&plan.acts);
    if (plan.has_second) {
        chaos_trace_stop();
        count_trace();
        chaos_trace_start(false);
    }
    chaos_trace_play_on();
    chaos_trace_stop();
    chaos_trace_check_end();
    LANE_MUST(units_end(&lane.units.mapper, SIGTERM), "the mapper did not end well");
    count_trace();
    count_whole();
    totals->runs++;
}

static void prepare(void)
{
    (void)snprintf(journal_path, sizeof(journal_path), "%s/traces", lane.units.dir);
    chaos_trace_prepare(FILE_MAX_BYTES);
}

static const struct lane_ops ops = { .mapper_options = mapper_options,
                                     .prepare = prepare,
                                     .run = run_seed,
                                     .explain = explain,
                                     .start_client = start_client,
                                     .mapper_is_back = mapper_is_back };

static void no_byte_is_lost_untold_or_told_twice(void **state)
{
    uint64_t runs = lanes_runs(RUNS);
    bool is_good = lanes_run(&ops, runs);

    (void)state;
    print_message("# %u runs: %u reads, %u cuts, %u resumed, %u gaps (%u of them open, %u for "
                  "resets), %u traces gone with their mapper; %" PRIu64 " bytes told, %" PRIu64
                  " lost; %u vCPUs' last traces whole\n",
                  totals->runs, totals->starts, totals->cuts, totals->resumed, totals->gaps,
                  totals->open_gaps, totals->resets, totals->gone, totals->told, totals->lost,
                  totals->whole);
    assert_true(is_good);
    assert_int_equal(totals->runs, runs);
    assert_true(totals->resets <= totals->gaps / 100); /* by chance, and rarely */
    if (runs >= RUNS) {                                /* it was what it is called */
        assert_true(totals->cuts > runs / 5 && totals->resumed > runs / 10 && totals->gaps > 0 &&
                    totals->open_gaps > 0 && totals->gone > runs / 10 && totals->whole > runs / 4);
    }
}

static int begin(void **state)
{
    totals = lanes_totals(sizeof(*totals));
    return lanes_begin(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_byte_is_lost_untold_or_told_twice),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, begin, lanes_end);
}
