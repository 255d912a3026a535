/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * runs-alone: it measures time
 * time-limit: 240
 *
 * Traces of the real programs, in real time, of vCPUs that play files: nothing is lost where a ring lasts for
 * 50 ms and longer, and where it does not, whatever is lost is declared. What was played is known by the files,
 * which are played to their ends: so is each byte's place.
 *
 * CHAOS_SEED=n is the nth row alone; see chaos_lane.h. Sanitized, the rates are those that can be played then.
 */
#include "tests/lib/chaos_trace.h"

#ifdef XENRES_SANITIZED
#define RATE_TOP (UINT64_C(6) << 20) /* of all vCPUs: sanitized, more is not played in its time */
#else
#define RATE_TOP UINT64_MAX
#endif

enum {
    FILE_MAX_BYTES = 40 << 20,
    TRIES = 5,
    STALL_MS = 10, /* of this process, that the mapper may have had, too */
    LOOK_MS = 2,
    PLAY_MS = 1000, /* so long, if the file may be so large */
    RING_MS = 50,
    SPOOL_USUAL_KIB = 4096,
};

#define KIB 1024
#define MIB (1024 * 1024)

static const struct rate_row {
    uint32_t ring_bytes, vcpus;
    uint64_t rate; /* of each */
    bool must_lose;
    uint32_t spool_kib; /* 0: as usual */
} rows[] = {
    { 64 * KIB, 1, 64 * KIB * 1000 / RING_MS, false, 0 },
    { 64 * KIB, 3, 64 * KIB * 1000 / RING_MS, false, 0 },
    { 64 * KIB, 3, 64 * KIB * 1000 / RING_MS, false, 65536 }, /* which takes longer to make */
    { MIB, 1, MIB * 1000 / RING_MS, false, 0 },
    { MIB, 2, MIB * 1000 / RING_MS, false, 0 },
    { 8 * MIB, 1, 40 * MIB, false, 0 },
    { 8 * MIB, 3, 12 * MIB, false, 0 },
    { 64 * MIB, 1, 40 * MIB, false, 0 },
    { 64 * KIB, 1, 13 * MIB, false, 0 }, /* 5 ms: it may */
    { 16 * KIB, 2, 8 * MIB, false, 0 },
    { 4 * KIB, 1, 8 * MIB, true, 0 }, /* shorter than any period */
    { 4 * KIB, 3, 4 * MIB, true, 0 },
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* All of what is looked at at once has to fit, which is a part of the ring. */
static char spool_kib[16];
static const char *const mapper_options[] = { "--spool-kib-max", spool_kib, "--spools-mib", "1024",
                                              NULL };

static const struct rate_row *row;

/* --- stalls of the machine ---------------------------------------------------------------------------- */

static struct {
    pthread_t thread;
    atomic_bool is_over;
    _Atomic uint64_t longest_ns; /* by which a short sleep was longer */
} clockwork;

static void *watch_clock(void *arg)
{
    const struct timespec look = { .tv_nsec = LOOK_MS * (long)CLOCK_NS_PER_MS };

    while (!atomic_load(&clockwork.is_over)) {
        uint64_t begin_ns = clock_monotonic_ns();

        (void)nanosleep(&look, NULL);
        uint64_t late_ns = clock_monotonic_ns() - begin_ns - LOOK_MS * CLOCK_NS_PER_MS;

        if (late_ns > atomic_load(&clockwork.longest_ns)) {
            atomic_store(&clockwork.longest_ns, late_ns);
        }
    }
    return arg;
}

/* --- a row ---------------------------------------------------------------------------------------------- */

static void explain(FILE *out)
{
    chaos_trace_explain(out);
}

static pid_t start_client(void)
{
    chaos_client_init(&chaos_trace.reader.access, gateway.dir, lane.units.port);
    return trace_reader_start(&chaos_trace.reader);
}

static void play(uint64_t seed)
{
    const struct chaos_host host = {
        .vcpus = row->vcpus,
        .ring_bytes = row->ring_bytes,
        .rate = row->rate,
        .file_bytes = row->rate * PLAY_MS / 1000 < FILE_MAX_BYTES
                          ? (uint32_t)(row->rate * PLAY_MS / 1000) - 1
                          : FILE_MAX_BYTES,
    };

    chaos_trace_write(&host, seed);
    (void)snprintf(spool_kib, sizeof(spool_kib), "%u",
                   row->spool_kib > 0 ? row->spool_kib : SPOOL_USUAL_KIB);
    units_start_mapper(&lane.units, mapper_options);
    atomic_store(&clockwork.longest_ns, 0);
    chaos_trace_start(true);
    chaos_trace_play_on();
    chaos_trace_stop();
    chaos_trace_check_end();
    LANE_MUST(units_end(&lane.units.mapper, SIGTERM), "the mapper did not end well");
}

static uint64_t lost(void)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < row->vcpus; i++) {
        sum += chaos_trace.audits[i].gaps > 0 ? chaos_trace.audits[i].lost + 1 : 0;
    }
    return sum;
}

static void print_row(unsigned tries)
{
    uint64_t told = 0, declared = 0, beyond = 0, gaps = 0;

    for (uint32_t i = 0; i < row->vcpus; i++) {
        const struct trace_audit *a = &chaos_trace.audits[i];

        told += a->told;
        declared += a->lost;
        beyond += a->file_len - a->told - a->lost;
        gaps += a->gaps;
    }
    fprintf(stderr,
            "# %u vCPUs, rings of %u KiB, %.2f MiB/s each (%.1f ms): %" PRIu64
            " bytes told, %" PRIu64 " gaps, at least %" PRIu64 " lost and %" PRIu64
            " more; stalls up to %.1f ms; %u tries\n",
            row->vcpus, row->ring_bytes / KIB, (double)row->rate / MIB,
            (double)row->ring_bytes * 1000 / (double)row->rate, told, gaps, declared, beyond,
            (double)atomic_load(&clockwork.longest_ns) / CLOCK_NS_PER_MS, tries);
}

/* A machine that stood still meanwhile has proven nothing. */
static void run_row(uint64_t seed)
{
    unsigned tries = 0;
    bool is_stalled;

    LANE_MUST(seed >= 1 && seed <= ROWS, "no such row");
    row = &rows[seed - 1];
    if (row->rate * row->vcpus > RATE_TOP) {
        return;
    }
    bool must_keep = (uint64_t)row->ring_bytes * 1000 / row->rate >= RING_MS;

    do {
        play(seed);
        is_stalled = atomic_load(&clockwork.longest_ns) > STALL_MS * CLOCK_NS_PER_MS;
    } while (must_keep && lost() > 0 && is_stalled && ++tries < TRIES);
    print_row(tries + 1);
    LANE_MUST(!must_keep || lost() == 0, "lost, though the ring lasted long enough");
    LANE_MUST(!row->must_lose || lost() > 0, "nothing was lost, which cannot be");
}

static void prepare(void)
{
    chaos_trace_prepare(FILE_MAX_BYTES);
    LANE_MUST(pthread_create(&clockwork.thread, NULL, watch_clock, NULL) == 0, "no thread");
}

static const struct lane_ops ops = { .mapper_options = mapper_options,
                                     .prepare = prepare,
                                     .run = run_row,
                                     .explain = explain,
                                     .start_client = start_client,
                                     .is_alone = true };

static void what_a_ring_holds_for_50_ms_is_never_lost_and_else_it_is_declared(void **state)
{
    (void)state;
    assert_true(lanes_run(&ops, lanes_runs(ROWS)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_ring_holds_for_50_ms_is_never_lost_and_else_it_is_declared),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, lanes_begin, lanes_end);
}
