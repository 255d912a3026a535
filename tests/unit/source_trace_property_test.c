/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Traces of the simulated host, sampled on its virtual clock with every delay that a seed brings, between the
 * samples and within them, read as any reader reads them, and held against what the simulated processors
 * really wrote: each segment's bytes are those of one place, in order; no two segments have a byte in common;
 * of what is missing nothing is undeclared, and no loss says more than there is; and where the ring was
 * drained in time nothing is lost. XENRES_SEED=n runs that one only, XENRES_RUNS=n so many.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/ring_view.h"
#include "server/mapper/copy.h"
#include "server/mapper/sampling.h"
#include "server/mapper/source_trace_state.h"
#include "tests/lib/folder.h"
#include "tests/lib/vmtrace_rig.h"

#ifdef XENRES_SANITIZED
enum { RUNS_USUAL = 1500 };
#else
enum { RUNS_USUAL = 10000 };
#endif
enum {
    RUNS = 10000,
    VCPUS_MAX = 16,
    SPOOL_BYTES = 512 << 10,
    RING_MAX_BYTES = 65536,
    FILE_BYTES = 512 << 10,
    LARGE_FILE_BYTES = 5 << 20, /* of some runs */
    SURE_BYTES = 16,            /* of a file's bytes, so many are at one place only */
    HELD_BYTES = SPOOL_BYTES,
};
#define N(x) ((unsigned long long)(x))

/* --- chance -------------------------------------------------------------------------------------- */

static uint64_t chance;

static uint64_t draw(uint64_t below)
{
    chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return below > 0 ? (chance >> 33) % below : 0;
}

static bool one_in(uint64_t n)
{
    return draw(n) == 0;
}

/* --- a run --------------------------------------------------------------------------------------- */

enum upset { CALM, RESETS, FAILS, FROZEN, MEDDLES, DIES };

struct follower {
    struct sampling sampling;
    struct trace *trace;         /* the source */
    struct backend_mapping kept; /* so that what a dead domain wrote is known */
    struct ring_view *view;
    struct ring_place place;
    uint64_t due_ns, began_ns;
    uint64_t base, before_base; /* the last reset, and the one before, of the processor */
    uint64_t expected;          /* of all that it wrote, the next that may come */
    bool is_placed;             /* what comes follows it */
    uint64_t least;             /* not placed: so much is said to be lost at least */
    uint8_t held[HELD_BYTES];   /* what came since, until it is known from where */
    size_t held_bytes;
    uint64_t offset, total, losses, last_kind;
    uint32_t segment, epoch;
    bool was_late, is_spoiled;
    bool is_open; /* nothing has begun behind the last loss */
    struct feed_end end;
};

static struct run {
    struct backend *b;
    struct source_tools tools;
    struct allowance memory;
    struct ceiling pauses;
    struct follower vcpus[VCPUS_MAX];
    uint32_t vcpu_count;
    uint64_t size, lap_ns, budget;
    bool is_wild, has_file, is_long;
    enum upset upset;
    uint64_t seed;
} run;

static struct {
    uint64_t complete, lossy, losses, bytes, resets, unseen, samples, ends[16];
} sums;

static uint64_t sim_time(void *arg)
{
    (void)arg;
    return run.b != NULL ? CLOCK_NS_PER_S + sim_now_ns(run.b) : CLOCK_NS_PER_S;
}

static uint64_t pass(void *arg, enum sim_moment moment, uint64_t nth)
{
    (void)arg, (void)moment, (void)nth;
    if (!run.is_wild || !one_in(6)) {
        return draw(run.lap_ns / 50);
    }
    return draw(run.lap_ns * (one_in(4) ? 4 : 1));
}

static _Noreturn void give_up(const struct follower *v, const char *what, uint64_t a, uint64_t b)
{
    fail_msg("seed %llu, vCPU %u, %s: %llu, %llu (ring %llu, expected %llu)", N(run.seed),
             v->trace->options.vcpu, what, N(a), N(b), N(run.size), N(v->expected));
    abort();
}

static size_t add_events(char *out, size_t room)
{
    static const char *const resets =
        "event { at_ms = %llu do = \"vmtrace_reset\" domain = \"a\" }\n";
    static const char *const meddles[] = {
        "event { at_ms = %llu do = \"vmtrace_disable\" domain = \"a\" }\n",
        "event { at_ms = %llu do = \"vmtrace_ctl\" domain = \"a\" value = 0x4 }\n",
        "event { at_ms = %llu do = \"vmtrace_status\" domain = \"a\" value = 0x10 }\n",
    };
    static const char *const deaths[] = {
        "event { at_ms = %llu do = \"shutdown\" domain = \"a\" }\n",
        "event { at_ms = %llu do = \"crash\" domain = \"a\" }\n",
        "event { at_ms = %llu do = \"destroy\" domain = \"a\" }\n",
    };
    static const char *const fails =
        "fault { operation = \"vmtrace_position\" call = %llu count = 3 }\n";
    static const char *const frozen =
        "fault { operation = \"vmtrace_position\" effect = \"frozen\" call = %llu count = 4 }\n";
    unsigned long long at_ms = N(21 + draw(12 * run.lap_ns / CLOCK_NS_PER_MS));
    unsigned long long call = N(3 + draw(20));
    const char *format = NULL;

    switch (run.upset) {
    case CALM: return 0;
    case RESETS: format = resets; break;
    case MEDDLES: format = meddles[draw(3)]; break;
    case DIES: format = deaths[draw(3)]; break;
    case FAILS: format = fails; break;
    case FROZEN: format = frozen; break;
    }
    bool counts = run.upset == FAILS || run.upset == FROZEN;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return (size_t)snprintf(out, room, format, counts ? call : at_ms);
#pragma GCC diagnostic pop
}

static void open_host(void)
{
    static const uint64_t lap_ms[] = { 50, 50, 60, 100, 250, 2, 10, 30 };
    char text[1024];

    run.is_long = one_in(100);
    run.size = run.is_long ? RING_MAX_BYTES : UINT64_C(4096) << (one_in(12) ? draw(5) : draw(2));
    run.lap_ns = lap_ms[draw(8)] * CLOCK_NS_PER_MS;
    run.vcpu_count = one_in(60) ? VCPUS_MAX : 1 + (uint32_t)draw(2);
    run.is_wild = !one_in(3);
    run.has_file = !one_in(4);
    run.budget = one_in(8) ? 5 + draw(40) : 400;
    run.upset = one_in(3) ? (enum upset)(1 + draw(5)) : CALM;
    size_t len = (size_t)snprintf(
        text, sizeof(text),
        "clock = \"virtual\" seed = %llu\n" SIM_DOMAIN(
            "type = \"hvm\" vcpus = %u vmtrace { size = %llu rate = %llu %s }"),
        N(1 + draw(1000)), run.vcpu_count, N(run.size), N(run.size * CLOCK_NS_PER_S / run.lap_ns),
        !run.has_file ? ""
        : run.is_long ? "source = \"large.pt\""
                      : "source = \"trace.pt\"");

    (void)add_events(text + len, sizeof(text) - len);
    run.b = sim_rig_open(text);
    sim_rig_advance_ms(run.b, draw(20));
}

static void begin_vcpu(struct follower *v, uint32_t number, const struct backend_domain *known)
{
    const struct source_trace_options options = { .known = *known,
                                                  .vcpu = number,
                                                  .pauses_per_second = (uint32_t)run.budget,
                                                  .period_min_ns = CLOCK_NS_PER_MS,
                                                  .period_max_ns = 20 * CLOCK_NS_PER_MS };
    struct source *source = NULL;

    memset(v, 0, offsetof(struct follower, held));
    memset(&v->held_bytes, 0, sizeof(*v) - offsetof(struct follower, held_bytes));
    assert_int_equal(source_trace_new(&options, &source, NULL), 0);
    v->trace = (struct trace *)source;
    sampling_init(&v->sampling, source, SPOOL_BYTES, &run.memory);
    assert_int_equal(backend_ops->map(run.b, 7, RESOURCE_VMTRACE_BUF, number, 0,
                                      (uint32_t)(run.size / MESSAGE_FRAME_BYTES), &v->kept, NULL),
                     0);
    v->due_ns = v->began_ns = sim_time(NULL);
}

/* --- what is read -------------------------------------------------------------------------------- */

static bool is_true(const struct follower *v, uint64_t from, const uint8_t *bytes, size_t len)
{
    static uint8_t known[HELD_BYTES];

    return len == 0 || (sim_trace_bytes(run.b, 7, v->trace->options.vcpu, from, known, len) &&
                        memcmp(known, bytes, len) == 0);
}

/* A reset that nobody can see: so close to the ring's end, or behind a way around it, that what it left is as
 * if it were written. */
static bool is_unseen_reset(const struct follower *v, const struct sim_trace *truth)
{
    if (truth->resets < 2) { /* the first is the trace's own */
        return false;
    }
    uint64_t before = v->before_base, size = run.size;
    uint64_t at = (truth->reset_at - before) % size, prev = (v->expected - before) % size;

    return size - at <= size / LAP_END_FRACTION || prev + (truth->reset_at - v->expected) >= size ||
           prev <= SURE_BYTES;
}

/* Where a segment begins is not said; but where the ring's bytes were taken from is, and what they are. */
static bool place_held(struct follower *v, const struct sim_trace *truth, uint64_t base,
                       uint64_t end)
{
    uint64_t size = run.size, at = v->trace->lap.prev;
    uint64_t last = base + (end - base) / size * size + at;

    for (last = last > end ? last - size : last; last >= base && last <= truth->produced;
         last -= size) {
        if (last < v->expected + v->least + v->held_bytes) {
            return false;
        }
        if (is_true(v, last - v->held_bytes, v->held, v->held_bytes)) {
            v->expected = last;
            v->is_placed = true;
            v->held_bytes = 0;
            return true;
        }
        if (last < size) {
            return false;
        }
    }
    return false;
}

static void place(struct follower *v, const struct sim_trace *truth, bool is_last)
{
    if (v->is_placed || v->is_open || v->is_spoiled || (v->held_bytes < SURE_BYTES && !is_last)) {
        return;
    }
    if (!place_held(v, truth, truth->reset_at, truth->produced) &&
        !place_held(v, truth, v->before_base, truth->reset_at)) {
        if (run.upset == RESETS || run.upset == FROZEN) { /* the same, seen later */
            v->is_spoiled = is_unseen_reset(v, truth) || run.upset == FROZEN;
        }
        if (!v->is_spoiled) {
            give_up(v,
                    "a segment is from nowhere, or of what was told, or more was said to be lost",
                    v->held_bytes, v->least);
        }
    }
}

static void take_bytes(struct follower *v, const struct feed_record *r, const struct sim_trace *t)
{
    const struct feed_bytes *b = r->bytes;

    if (b->offset != v->offset || b->bytes_before != v->total || b->segment != v->segment ||
        b->epoch != v->epoch || b->open_losses != v->losses) {
        give_up(v, "the numbers of a record", b->offset, v->offset);
    }
    v->offset += b->len_bytes;
    v->total += b->len_bytes;
    sums.bytes += b->len_bytes;
    if (!v->is_placed) {
        assert_true(v->held_bytes + b->len_bytes <= sizeof(v->held));
        memcpy(v->held + v->held_bytes, r->contents, b->len_bytes);
        v->held_bytes += b->len_bytes;
        return;
    }
    if (!v->is_spoiled && !is_true(v, v->expected, r->contents, b->len_bytes)) {
        if (run.upset != RESETS || !is_unseen_reset(v, t)) {
            give_up(v, "other bytes than were written", b->len_bytes, t->produced);
        }
        v->is_spoiled = true;
    }
    v->expected += b->len_bytes;
}

static void take_record(struct follower *v, const struct feed_record *r, const struct sim_trace *t)
{
    switch (r->kind) {
    case FEED_RECORD_BEGIN:
        assert_int_equal(r->begin->segment, v->last_kind == 0 ? 0 : v->segment + 1);
        v->segment = r->begin->segment;
        v->epoch = r->begin->epoch;
        v->offset = 0;
        v->is_open = false;
        sums.resets += r->begin->reason == FEED_BEGIN_RESET;
        if (v->last_kind == 0) {
            v->base = v->before_base = v->expected = t->reset_at;
            v->is_placed = true;
        }
        break;
    case FEED_RECORD_BYTES: take_bytes(v, r, t); break;
    case FEED_RECORD_LOSS:
        assert_true(r->loss->at_least);
        v->least =
            v->is_placed ? r->loss->len_bytes : v->least + v->held_bytes + r->loss->len_bytes;
        v->held_bytes = 0;
        v->is_placed = false;
        v->is_open = true;
        v->total += r->loss->len_bytes;
        v->losses++;
        sums.losses++;
        break;
    case FEED_RECORD_END: v->end = *r->end; break;
    default: break;
    }
    v->last_kind = r->kind == FEED_RECORD_STILL ? v->last_kind : r->kind;
}

static void follow(struct follower *v, const struct sim_trace *truth)
{
    static _Alignas(8) uint8_t bytes[SPOOL_BYTES];
    struct ring_record found;
    struct feed_record record;

    if (v->sampling.spool.ring == NULL) {
        return;
    }
    if (v->view == NULL) {
        assert_int_equal(
            ring_view_open(ring_fd(v->sampling.spool.ring), SPOOL_BYTES, &v->view, NULL), 0);
    }
    while (ring_view_read(v->view, &v->place, bytes, sizeof(bytes), &found, NULL) == RING_RECORD) {
        assert_int_equal(feed_record_check(found.kind, bytes, found.len_bytes, &record, NULL), 0);
        take_record(v, &record, truth);
    }
    assert_int_equal(v->total, v->sampling.spool.blocks);
}

/* --- samples ------------------------------------------------------------------------------------- */

static void check_budget(const struct follower *v)
{
    struct source_trace_figures figures;
    uint64_t passed_ns = sim_time(NULL) - v->began_ns;

    source_trace_look(v->sampling.source, &figures);
    uint64_t most = (passed_ns * run.budget) / CLOCK_NS_PER_S + run.budget / 4 + 16;

    if (figures.vcpu.pauses > most) {
        give_up(v, "more pauses than its budget has", figures.vcpu.pauses, most);
    }
}

static void after_sample(struct follower *v, uint64_t expected_before, bool was_placed)
{
    struct sim_trace truth = vmtrace_rig_truth(run.b, v->trace->options.vcpu);

    if (truth.reset_at != v->base) {
        v->before_base = v->base;
        v->base = truth.reset_at;
    }
    follow(v, &truth);
    if (was_placed && truth.produced - expected_before > run.size - lap_evidence_most(run.size)) {
        v->was_late = true;
    }
    place(v, &truth, v->sampling.is_over);
    check_budget(v);
    sums.samples++;
}

static void sample(struct follower *v)
{
    static const atomic_bool never;
    uint64_t now_ns = sim_time(NULL), before = v->expected;
    bool was_placed = v->is_placed;

    sampling_step(&v->sampling, &run.tools, now_ns, now_ns, &never);
    after_sample(v, before, was_placed);
    uint64_t after_ns = v->sampling.next_after_ns;

    v->due_ns = now_ns + (after_ns > 0 ? after_ns : 20 * CLOCK_NS_PER_MS);
    if (run.is_wild && one_in(5)) {
        v->due_ns += draw(run.lap_ns * (one_in(3) ? 3 : 1));
    }
}

static void end_vcpu(struct follower *v)
{
    uint64_t now_ns = sim_time(NULL), before = v->expected;
    bool was_placed = v->is_placed;

    if (!v->sampling.is_over) {
        sampling_end(&v->sampling, &run.tools, now_ns, now_ns, FEED_END_STOPPED_BY_CALLER);
        after_sample(v, before, was_placed);
    }
    struct sim_trace truth = vmtrace_rig_truth(run.b, v->trace->options.vcpu);
    bool is_lossy = v->losses > 0;

    if (truth.is_enabled && v->sampling.has_begun && run.upset != RESETS) {
        give_up(v, "it stays enabled", v->sampling.is_over, run.upset);
    }
    if (v->sampling.has_begun) {
        assert_true(v->end.reason != 0 && v->end.reason == v->sampling.end);
        sums.ends[v->end.reason]++;
        /* Still enabled: somebody else has begun a trace of their own behind this one's end. And where a
         * last segment that has no bytes begins, is behind a loss that may be larger; as are bytes behind a
         * position that lied up to the end. */
        bool is_bare = v->losses > 0 && (v->offset == 0 || run.upset == FROZEN);

        if (!v->is_spoiled && v->is_placed && v->expected != truth.produced && !truth.is_enabled &&
            !is_bare) {
            give_up(v, "it ends as if it were complete", v->expected, truth.produced);
        }
        bool must_be_whole = !v->was_late && (run.upset == CALM || run.upset == DIES);

        if (is_lossy && must_be_whole) {
            give_up(v, "it was drained in time, and has a loss", v->losses, v->least);
        }
        sums.complete += !is_lossy;
        sums.lossy += is_lossy;
        sums.unseen += v->is_spoiled;
    }
    ring_view_close(v->view);
    backend_ops->unmap(run.b, &v->kept);
    sampling_done(&v->sampling);
}

static void play(uint64_t seed)
{
    struct backend_domain known;
    uint32_t live = 0;

    run.seed = seed;
    chance = seed * 7919 + 1;
    run.b = NULL;
    open_host();
    allowance_init(&run.memory, UINT64_C(64) << 20);
    ceiling_init(&run.pauses, 100000, sim_time(NULL));
    run.tools.ops = backend_ops;
    run.tools.backend = run.b;
    run.tools.memory = &run.memory;
    run.tools.pauses = &run.pauses;
    run.tools.pause_meter = (struct ceiling_meter){ 0 };
    assert_int_equal(backend_ops->find(run.b, 7, &known, NULL), 0);
    for (uint32_t i = 0; i < run.vcpu_count; i++) {
        begin_vcpu(&run.vcpus[i], i, &known);
    }
    const struct sim_delays delays = { .after = pass };

    sim_delay(run.b, &delays);
    uint64_t samples = run.is_long ? 400 : 10 + draw(16);

    for (uint64_t i = 0; i < samples * run.vcpu_count; i++) {
        struct follower *next = NULL;

        for (live = 0; live < run.vcpu_count; live++) {
            struct follower *v = &run.vcpus[live];

            if (!v->sampling.is_over && (next == NULL || v->due_ns < next->due_ns)) {
                next = v;
            }
        }
        if (next == NULL) {
            break;
        }
        uint64_t now_ns = sim_time(NULL);

        if (next->due_ns > now_ns) {
            sim_advance(run.b, next->due_ns - now_ns);
        }
        sample(next);
    }
    for (uint32_t i = 0; i < run.vcpu_count; i++) {
        end_vcpu(&run.vcpus[i]);
    }
    assert_int_equal(allowance_used(&run.memory), 0);
    assert_int_equal(run.tools.mapped, 0);
    ceiling_done(&run.pauses);
    struct backend *b = run.b;

    run.b = NULL;
    backend_ops->close(b);
}

/* --- all of them --------------------------------------------------------------------------------- */

static void make_file(const char *name, size_t len_bytes)
{
    FILE *file = fopen(name, "wb");

    assert_non_null(file);
    chance = 42;
    for (size_t i = 0; i < len_bytes; i++) {
        (void)fputc((int)draw(256), file);
    }
    assert_int_equal(fclose(file), 0);
}

static void no_trace_says_that_it_is_complete_when_it_is_not(void **state)
{
    static const struct clock_source simulated = { sim_time, sim_time, NULL };
    const char *only = getenv("XENRES_SEED"), *wanted = getenv("XENRES_RUNS");
    uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 0;
    uint64_t runs = only != NULL ? 1 : wanted != NULL ? strtoull(wanted, NULL, 10) : RUNS_USUAL;
    struct folder folder = folder_make();

    (void)state;
    assert_int_equal(chdir(folder.path), 0);
    make_file("trace.pt", FILE_BYTES);
    make_file("large.pt", LARGE_FILE_BYTES);
    clock_set_source(&simulated);
    assert_int_equal(copy_init(NULL), 0);
    run.tools.page = aligned_alloc(MESSAGE_FRAME_BYTES, MESSAGE_FRAME_BYTES);
    assert_non_null(run.tools.page);
    if (only == NULL && runs < RUNS) {
        print_message("only %llu runs of %d: XENRES_RUNS=%d makes all of them\n", N(runs), RUNS,
                      RUNS);
    }
    for (uint64_t seed = first; seed < first + runs; seed++) {
        play(seed);
    }
    print_message(
        "%llu complete, %llu lossy with %llu losses, %llu MiB in %llu samples, %llu resets"
        " seen; %llu spoiled by what nobody can see\n",
        N(sums.complete), N(sums.lossy), N(sums.losses), N(sums.bytes >> 20), N(sums.samples),
        N(sums.resets), N(sums.unseen));
    for (size_t i = 0; i < sizeof(sums.ends) / sizeof(sums.ends[0]); i++) {
        if (sums.ends[i] > 0) {
            print_message("end %zu: %llu\n", i, N(sums.ends[i]));
        }
    }
    if (runs >= RUNS_USUAL) { /* all that can happen has happened */
        assert_true(sums.complete > runs / 10 && sums.lossy > runs / 10);
        assert_true(sums.resets > runs / 100 && sums.unseen < runs / 100);
        assert_true(sums.ends[FEED_END_SHUTDOWN] > 0 && sums.ends[FEED_END_INCARNATION] > 0 &&
                    sums.ends[FEED_END_INTERFERED] > 0);
    }
    free(run.tools.page);
    clock_set_source(NULL);
    assert_int_equal(chdir("/"), 0);
    folder_done(&folder);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_trace_says_that_it_is_complete_when_it_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
