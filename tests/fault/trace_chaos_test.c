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
#include "tests/lib/chaos_lane.h"
#include "tests/lib/chaos_trace_reader.h"

#ifdef XENRES_SANITIZED
#define USUAL_RUNS 60
#else
#define USUAL_RUNS 240
#endif

enum {
    RUNS = USUAL_RUNS,
    WAIT_S = 30,
    STILL_STEPS = 100, /* with nothing new: the file is over, and its end was lost */
    FILE_MIN_BYTES = 32 << 10,
    FILE_MAX_BYTES = 2 << 20,
    SHOWN_ENTRIES = 400, /* of a journal's end, where a run has failed */
};

/* What the lanes did, in shared memory. */
struct totals {
    _Atomic unsigned runs, starts, cuts, resumed, gaps, open_gaps, resets, gone, whole;
    _Atomic uint64_t told, lost;
};

struct trace_plan {
    uint32_t vcpus, ring_bytes, step_ms, file_bytes;
    uint64_t rate;
    bool is_virtual; /* the host's time */
    bool has_second; /* it is stopped in between, and started again */
    struct acts acts;
};

/* Of the run that there is in this lane. */
static struct {
    struct trace_plan plan;
    struct trace_reader reader;
    struct trace_audit audits[TRACE_READER_VCPUS_MAX];
    uint8_t *files[TRACE_READER_VCPUS_MAX];
} run;

static struct totals *totals;
static char journal_path[UNITS_PATH_BYTES];
static const char *const mapper_options[] = { "--spool-kib-max", "128",        "--arena-mib", "16",
                                              "--slot-max-mib",  "4",          "--grace",     "60",
                                              "--journal",       journal_path, NULL };

/* --- failure ------------------------------------------------------------------------------------------ */

static void print_journal(FILE *out, uint32_t vcpu)
{
    static const char *const kinds[] = { "",    "started",    "begin",     "",
                                         "",    "",           "",          "",
                                         "gap", "checkpoint", "heartbeat", "cut",
                                         "end", "failed",     "segment",   "data" };
    const struct journal *j = run.reader.vcpus[vcpu].journal;
    const struct journal_entry *e;
    size_t at = 0, count = 0, n = 0;

    while (journal_next(j, &at) != NULL) {
        count++;
    }
    at = 0;
    while ((e = journal_next(j, &at)) != NULL) {
        bool has_text =
            e->kind == JOURNAL_END || e->kind == JOURNAL_FAILED || e->kind == JOURNAL_CUT;

        if (++n + SHOWN_ENTRIES > count) {
            fprintf(out,
                    "# %u: %s %" PRIu64 " +%" PRIu64 " (%u) offset %" PRIu64
                    " segment %u reason %u%s%s %s %s\n",
                    vcpu, kinds[e->kind], e->first, e->sequence, e->count, e->offset, e->segment,
                    e->reason, e->exact ? " exact" : "", e->resumed ? " resumed" : "", e->feed,
                    has_text ? (const char *)(e + 1) : "");
        }
    }
}

static void explain(FILE *out)
{
    const struct trace_plan *p = &run.plan;

    fprintf(out,
            "# %u vCPUs, rings of %u, files of %u, %" PRIu64 " bytes a second, %s clock (%u ms)%s:",
            p->vcpus, p->ring_bytes, p->file_bytes, p->rate, p->is_virtual ? "virtual" : "real",
            p->step_ms, p->has_second ? ", stopped in between" : "");
    acts_print(&p->acts, out);
    for (uint32_t i = 0; i < p->vcpus; i++) {
        fprintf(out, "# vCPU %u: %s at %" PRIu64 "%s, shift %" PRIu64 "\n", i,
                run.audits[i].is_over ? "over" : "not over", run.audits[i].next,
                run.audits[i].is_placed ? "" : " or more", run.audits[i].shift);
        print_journal(out, i);
    }
}

/* --- the plan ----------------------------------------------------------------------------------------- */

static void plan_trace(struct trace_plan *p, uint64_t seed)
{
    static const uint32_t parts[] = { 16, 4, 2, 1 };
    uint64_t chance = seed * UINT64_C(0xd1342543de82ef95);

    memset(p, 0, sizeof(*p));
    p->vcpus = 1 + acts_chance(&chance, TRACE_READER_VCPUS_MAX);
    p->ring_bytes = 4096u << acts_chance(&chance, 7);
    p->step_ms = 5 + acts_chance(&chance, 30);
    p->is_virtual = acts_chance(&chance, 3) != 0;
    p->has_second = acts_chance(&chance, 4) == 0;
    uint32_t a_step =
        p->ring_bytes / parts[acts_chance(&chance, 4)] / 2 * (1 + acts_chance(&chance, 3));
    uint32_t file = a_step * (60 + acts_chance(&chance, 140));

    file = file < FILE_MIN_BYTES ? FILE_MIN_BYTES : file;
    p->file_bytes = (file > FILE_MAX_BYTES ? FILE_MAX_BYTES : file) - acts_chance(&chance, 100);
    p->rate = p->is_virtual ? (uint64_t)a_step * 1000 / p->step_ms
                            : (uint64_t)p->file_bytes * 1000 / (200 + acts_chance(&chance, 800));
    acts_draw(&p->acts, &chance);
}

static void write_files(uint64_t seed)
{
    for (uint32_t i = 0; i < run.plan.vcpus; i++) {
        uint64_t chance = seed * TRACE_READER_VCPUS_MAX + i;
        char path[UNITS_PATH_BYTES];

        for (uint32_t at = 0; at < run.plan.file_bytes; at++) {
            run.files[i][at] = (uint8_t)acts_chance(&chance, 256);
        }
        (void)snprintf(path, sizeof(path), "%s/vcpu%u.pt", lane.units.dir, i);
        FILE *file = fopen(path, "we");

        LANE_MUST(file != NULL &&
                      fwrite(run.files[i], 1, run.plan.file_bytes, file) == run.plan.file_bytes,
                  path);
        LANE_MUST(fclose(file) == 0 && chmod(path, 0644) == 0, path);
    }
}

static void write_scenario(uint64_t seed)
{
    static const char *const sources[] = { "\"vcpu0.pt\"", "\"vcpu0.pt\", \"vcpu1.pt\"",
                                           "\"vcpu0.pt\", \"vcpu1.pt\", \"vcpu2.pt\"" };
    const struct trace_plan *p = &run.plan;
    char clock[64] = "";

    if (p->is_virtual) {
        (void)snprintf(clock, sizeof(clock), "clock = \"virtual\" step_ms = %u", p->step_ms);
    }
    write_files(seed);
    units_write(&lane.units, "scenario",
                "seed = %" PRIu64 "\n%s\n"
                "domain \"a\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
                "  type = \"hvm\" vcpus = %u\n"
                "  vmtrace { size = %u source = { %s } rate = %" PRIu64 " } }\n",
                seed % 1000000, clock, p->vcpus, p->ring_bytes, sources[p->vcpus - 1], p->rate);
}

/* --- traces ------------------------------------------------------------------------------------------- */

static void read_audits(void)
{
    for (uint32_t i = 0; i < run.plan.vcpus; i++) {
        LANE_MUST(trace_audit_read(&run.audits[i]), run.audits[i].fault);
    }
}

static bool are_over(void)
{
    bool are = true;

    read_audits();
    for (uint32_t i = 0; i < run.plan.vcpus; i++) {
        are = run.audits[i].is_over && are;
    }
    return are;
}

static void wait_over(void)
{
    uint64_t until_ns = clock_monotonic_ns() + WAIT_S * CLOCK_NS_PER_S;

    while (!are_over()) {
        LANE_MUST(clock_monotonic_ns() < until_ns, "the trace is over, and nobody hears of it");
        lane_wait_told(20);
    }
}

static void count_trace(void)
{
    for (uint32_t i = 0; i < run.plan.vcpus; i++) {
        const struct trace_audit *a = &run.audits[i];

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

/* Until xenresd has the mapper that there is now. */
static void call(bool (*try)(xenres_error *error))
{
    uint64_t until_ns = clock_monotonic_ns() + WAIT_S * CLOCK_NS_PER_S;
    xenres_error error;

    while (!try(&error)) {
        LANE_MUST(error.code == XENRES_UNAVAILABLE && clock_monotonic_ns() < until_ns,
                  error.message);
        (void)poll(NULL, 0, 2);
    }
}

static bool try_start(xenres_error *error)
{
    xenres_trace_options options = XENRES_TRACE_OPTIONS_INIT("name:a");
    const xenres_trace *trace;
    xenres_reply *reply = NULL;
    bool joined;
    bool is_started =
        xenres_trace_start(lane.direct, &options, &trace, &joined, &reply, error) == 0;

    if (is_started) {
        (void)snprintf(run.reader.trace_id, sizeof(run.reader.trace_id), "%s", trace->trace_id);
    }
    xenres_reply_free(reply);
    return is_started;
}

/* Starts it, and a client that reads it. `is_first` of the host: it begins where the files do; else where the
 * one before it ended, or, as the mapper tries whether somebody else traces by enabling, a little later. */
static void start_trace(bool is_first)
{
    call(try_start);
    run.reader.vcpu_count = run.plan.vcpus;
    for (uint32_t i = 0; i < run.plan.vcpus; i++) {
        struct trace_reader_vcpu *v = &run.reader.vcpus[i];

        v->played = (struct trace_played){
            .bytes = run.files[i],
            .len_bytes = run.plan.file_bytes,
            .shift = is_first ? 0 : run.audits[i].next + run.audits[i].shift,
            .is_exact = is_first,
        };
        journal_clear(v->journal);
        trace_audit_init(&run.audits[i], v->journal, &v->played);
    }
    lane_start_client();
}

static pid_t start_client(void)
{
    run.reader.access = lane.access;
    return trace_reader_start(&run.reader);
}

/* A simulated host ends with its mapper: the trace is over, and there will be another one. */
static void mapper_is_back(void)
{
    wait_over();
    for (uint32_t i = 0; i < run.plan.vcpus; i++) {
        uint32_t reason = run.audits[i].end_reason;

        LANE_MUST(reason == XENRES_TRACE_MAPPER_GONE || reason == XENRES_TRACE_NOT_FOUND,
                  xenres_trace_end_reason_name(reason));
    }
    (void)units_end(&lane.client, SIGKILL);
    count_trace();
    totals->gone++;
    start_trace(true);
}

/* --- the end of a run ------------------------------------------------------------------------------------ */

/* What the mapper says that was produced, by all vCPUs; UINT64_MAX: nobody answers. */
static uint64_t produced(void)
{
    const xenres_trace_status *status;
    xenres_reply *reply = NULL;
    xenres_error error;
    uint64_t sum = UINT64_MAX;

    if (xenres_trace_get(lane.direct, "name:a", &status, &reply, &error) == 0) {
        sum = 0;
        LANE_MUST(status->trace.end_reason == XENRES_TRACE_RUNS, "it ended by itself");
        for (size_t i = 0; i < status->vcpu_count; i++) {
            sum += status->vcpus[i].produced_bytes;
        }
    }
    xenres_reply_free(reply);
    return sum;
}

static bool is_all_told(void)
{
    bool is = true;

    for (uint32_t i = 0; i < run.plan.vcpus; i++) {
        const struct trace_audit *a = &run.audits[i];

        is = is && trace_audit_is_exact(a) && a->next + a->shift == a->file_len;
    }
    return is;
}

/* Until all that the vCPUs play has been told of; or nothing more is produced: the last of it was lost, and
 * nobody knows how much that was, or is so close to the ring's end that it is held back until the trace
 * ends. */
static void play_on(void)
{
    uint64_t until_ns = clock_monotonic_ns() + WAIT_S * CLOCK_NS_PER_S;
    uint64_t before = UINT64_MAX, now;
    unsigned still = 0;

    for (read_audits(); !is_all_told() && still < STILL_STEPS; read_audits()) {
        LANE_MUST(clock_monotonic_ns() < until_ns, "the file does not come to its end");
        LANE_MUST(waitpid(lane.client, NULL, WNOHANG) == 0, "the client ended");
        lane_step(1);
        now = produced();
        still = now != UINT64_MAX && now == before ? still + 1 : 0;
        before = now;
    }
}

static bool try_stop(xenres_error *error)
{
    const xenres_trace *trace;
    xenres_reply *reply = NULL;
    bool is_stopped =
        xenres_trace_stop(lane.direct, "name:a", run.reader.trace_id, &trace, &reply, error) == 0;

    LANE_MUST(!is_stopped || trace->end_reason == XENRES_TRACE_STOPPED,
              "it was stopped, and does not say so");
    xenres_reply_free(reply);
    return is_stopped;
}

/* What was produced by the mapper's account is what the readers were told of. */
static bool try_check(xenres_error *error)
{
    const xenres_trace_status *status;
    xenres_reply *reply = NULL;
    bool is_answered = xenres_trace_get(lane.direct, "name:a", &status, &reply, error) == 0;

    LANE_MUST(!is_answered || status->vcpu_count == run.plan.vcpus, "its vCPUs are others");
    for (uint32_t i = 0; is_answered && i < run.plan.vcpus; i++) {
        const struct trace_audit *a = &run.audits[i];

        LANE_MUST(a->end_reason == XENRES_TRACE_STOPPED,
                  xenres_trace_end_reason_name(a->end_reason));
        LANE_MUST(a->told + a->lost == status->vcpus[i].produced_bytes,
                  "produced is not delivered + lost");
    }
    xenres_reply_free(reply);
    return is_answered;
}

static void stop_trace(void)
{
    call(try_stop);
    wait_over();
    call(try_check);
    (void)units_end(&lane.client, SIGKILL);
}

static void count_whole(void)
{
    for (uint32_t i = 0; i < run.plan.vcpus; i++) {
        totals->whole += run.audits[i].lost == 0;
    }
}

static void run_seed(uint64_t seed)
{
    plan_trace(&run.plan, seed);
    write_scenario(seed);
    units_start_mapper(&lane.units, mapper_options);
    start_trace(true);
    lane_wait_told(LANE_TOLD_WAIT_MS);
    lane_act_all(&run.plan.acts);
    if (run.plan.has_second) {
        stop_trace();
        count_trace();
        start_trace(false);
    }
    play_on();
    stop_trace();
    for (uint32_t i = 0; i < run.plan.vcpus; i++) {
        const struct trace_audit *a = &run.audits[i];

        LANE_MUST(!trace_audit_is_exact(a) || a->next + a->shift == a->file_len,
                  "the file's end is missing, and nobody says so");
    }
    LANE_MUST(units_end(&lane.units.mapper, SIGTERM), "the mapper did not end well");
    count_trace();
    count_whole();
    totals->runs++;
}

static void prepare(void)
{
    units_write(&lane.units, "export", "allow all all list,trace.read,trace.control\n");
    (void)snprintf(journal_path, sizeof(journal_path), "%s/traces", lane.units.dir);
    for (uint32_t i = 0; i < TRACE_READER_VCPUS_MAX; i++) {
        struct journal *j = i == 0 ? lane.journal : journal_new();

        if (i > 0) {
            (void)close(j->event_fd);
            j->event_fd = lane.journal->event_fd; /* whichever is told wakes us */
        }
        run.reader.vcpus[i].journal = j;
        run.reader.domain = "name:a";
        run.files[i] = malloc(FILE_MAX_BYTES);
        LANE_MUST(run.files[i] != NULL, "no memory");
    }
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
