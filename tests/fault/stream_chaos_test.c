/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Watches of the real gateway, whose parts are killed and whose network is cut at random: whatever
 * happens, each number of a feed is delivered or told as lost, once; and when the host stands still
 * again, the client has what a snapshot has, and produced = delivered + lost.
 *
 * chaos_lane.h says how a run is repeated. Sanitized, there are fewer, unless that is set.
 */
#include "tests/lib/chaos_lane.h"
#include "tests/lib/chaos_plan.h"

#ifdef XENRES_SANITIZED
#define USUAL_RUNS 100
#else
#define USUAL_RUNS 500
#endif

enum {
    RUNS = USUAL_RUNS,
    SETTLE_WAIT_S = 30,
    JOURNAL_SHOWN_BYTES = 1000000, /* of its end, where a run has failed */
};

/* What the lanes did, in shared memory. */
struct totals {
    _Atomic unsigned runs, gaps, cuts, ends, starts, resumed, content, batches;
    _Atomic uint64_t told, lost;
};

/* Of the run that there is in this lane. */
static struct {
    struct watcher_options options;
    struct plan plan;
    struct audit audit;
    bool is_same;      /* content was, when it was last looked at */
    uint64_t produced; /* by the mapper's account then */
} run;

static struct totals *totals;

static const char *const mapper_options[] = {
    "--spool-kib-max", "128", "--arena-mib", "16", "--slot-max-mib", "4", "--grace", "60", NULL
};

/* --- failure ------------------------------------------------------------------------------------------ */

static void print_journal(FILE *out)
{
    static const char *const kinds[] = { "",          "started", "begin",  "piece", "changes",
                                         "decoded",   "list",    "domain", "gap",   "checkpoint",
                                         "heartbeat", "cut",     "end",    "failed" };
    const struct journal_entry *e;
    size_t at = 0;

    while ((e = journal_next(lane.journal, &at)) != NULL) {
        if (e->kind != JOURNAL_HEARTBEAT &&
            atomic_load(&lane.journal->len_bytes) - at < JOURNAL_SHOWN_BYTES) {
            fprintf(out, "# %s %" PRIu64 " to %" PRIu64 " segment %u reason %u%s%s %s %s\n",
                    kinds[e->kind], e->first, e->sequence, e->segment, e->reason,
                    e->more ? " more" : "", e->resumed ? " resumed" : "", e->feed, e->life);
        }
    }
}

static void explain(FILE *out)
{
    plan_print(&run.plan, out);
    print_journal(out);
}

static pid_t start_client(void)
{
    return watcher_start(&run.options, lane.journal);
}

/* --- what there is in the end -------------------------------------------------------------------------- */

static bool is_same_image(xenres_reply **reply, xenres_error *error)
{
    const xenres_frames_query query =
        XENRES_FRAMES_QUERY_INIT("name:a", run.options.type, run.options.id);
    const xenres_snapshot *s;

    return xenres_get_snapshot(lane.direct, &query, reply, &s, error) == 0 &&
           run.audit.has_content && s->len_bytes == run.audit.image_len &&
           memcmp(s->frames, run.audit.image, s->len_bytes) == 0;
}

static bool is_same_grant(const xenres_grant *a, const xenres_grant *b)
{
    return a->reference == b->reference && a->kind == b->kind && a->domid == b->domid &&
           a->frame == b->frame && a->readonly == b->readonly && a->reading == b->reading &&
           a->writing == b->writing && a->has_sub_page == b->has_sub_page &&
           a->raw_flags == b->raw_flags && a->raw_status == b->raw_status &&
           a->transitive_reference == b->transitive_reference;
}

static bool are_same_grants(xenres_reply **reply, xenres_error *error)
{
    xenres_grant_query query = XENRES_GRANT_QUERY_INIT("name:a");
    const xenres_grant_table *t;
    size_t ours = 0, theirs = 0;

    do {
        xenres_reply_free(*reply);
        *reply = NULL;
        if (xenres_get_grant_table(lane.direct, &query, reply, &t, error) != 0) {
            return false;
        }
        theirs += t->grant_count;
        for (size_t i = 0; i < t->grant_count; i++) {
            if (!is_same_grant(&t->grants[i], &run.audit.grants[t->grants[i].reference])) {
                return false;
            }
        }
        query.first_reference = t->next_reference;
    } while (t->next_reference != 0);
    for (size_t i = 0; i < AUDIT_GRANTS_MAX; i++) {
        ours += run.audit.grants[i].kind != 0 && run.audit.grants[i].kind != XENRES_GRANT_UNUSED;
    }
    return run.audit.has_content && ours == theirs;
}

static bool knows_domain(const xenres_domain *d)
{
    for (size_t i = 0; i < run.audit.domain_count; i++) {
        const struct journal_domain *ours = &run.audit.domains[i];

        if (strcmp(ours->life, d->identity.incarnation) == 0) {
            return ours->domid == d->identity.domid && strcmp(ours->name, d->identity.name) == 0;
        }
    }
    return false;
}

static bool are_same_domains(xenres_reply **reply, xenres_error *error)
{
    const xenres_domain_list *list;

    if (xenres_list_domains(lane.direct, NULL, reply, &list, error) != 0 ||
        !run.audit.has_content || list->domain_count != run.audit.domain_count) {
        return false;
    }
    for (size_t i = 0; i < list->domain_count; i++) {
        if (!knows_domain(&list->domains[i])) {
            return false;
        }
    }
    return true;
}

/* That produced = delivered + lost, the mapper says: what it counts is asked for anew at a reload. */
static bool is_all_accounted_for(void)
{
    const char *name = run.plan.source == PLAN_DOMAINS ? "xenresd_mapper_produced_events_total"
                                                       : "xenresd_mapper_produced_batches_total";
    uint64_t sum = run.audit.base + run.audit.told + run.audit.lost;

    (void)kill(lane.units.xenresd, SIGHUP);
    uint64_t produced = units_metric(&lane.units, name);

    run.produced = produced;

    if (sum != run.audit.delivered || produced == UINT64_MAX) {
        return false;
    }
    /* Of a domain that went there was another feed, of which the client may have heard nothing. */
    return run.plan.has_ends ? produced >= sum : produced == sum;
}

static bool has_settled(xenres_error *error)
{
    xenres_reply *reply = NULL;
    bool is_same = run.plan.source == PLAN_DOMAINS   ? are_same_domains(&reply, error)
                   : run.plan.source == PLAN_DECODED ? are_same_grants(&reply, error)
                                                     : is_same_image(&reply, error);

    xenres_reply_free(reply);
    run.is_same = is_same;
    return is_same && is_all_accounted_for();
}

static void settle(void)
{
    uint64_t until_ns = clock_monotonic_ns() + SETTLE_WAIT_S * CLOCK_NS_PER_S;
    xenres_error error = { .code = 0 };
    char what[1024];
    bool is_over;

    do {
        LANE_MUST(audit_read(&run.audit), run.audit.fault);
        LANE_MUST(waitpid(lane.client, NULL, WNOHANG) == 0, "the client ended");
        is_over = has_settled(&error);
        if (!is_over) {
            lane_wait_told(20);
        }
        (void)snprintf(
            what, sizeof(what),
            "never settled: %s at %" PRIu64 ": %" PRIu64 " before, %" PRIu64 " told, %" PRIu64
            " lost; of %" PRIu64 " produced; the content is %s; the gateway: %s",
            run.audit.feed, run.audit.delivered, run.audit.base, run.audit.told, run.audit.lost,
            run.produced, run.is_same ? "the same" : "another", error.message);
        LANE_MUST(clock_monotonic_ns() < until_ns, what);
    } while (!is_over);
}

/* --- a run --------------------------------------------------------------------------------------------- */

static void count_run(void)
{
    const struct audit *a = &run.audit;

    totals->runs++;
    totals->gaps += a->gaps;
    totals->cuts += a->cuts;
    totals->ends += a->ends;
    totals->starts += a->starts;
    totals->resumed += a->resumed;
    totals->content += a->content;
    totals->batches += a->batches;
    totals->told += a->told;
    totals->lost += a->lost;
}

static void choose_watch(void)
{
    const struct plan *p = &run.plan;

    run.options.access = lane.access;
    run.options.domain = p->source == PLAN_DOMAINS ? NULL : "name:a";
    run.options.type = p->source == PLAN_IOREQS ? XENRES_IOREQ_SERVER : XENRES_GRANT_TABLE;
    run.options.mode = p->mode;
    run.options.period_ms = p->period_ms;
    run.options.decode = p->source == PLAN_DECODED;
}

static void run_plan(uint64_t seed)
{
    plan_make(&run.plan, seed);
    units_write(&lane.units, "scenario", "%s", run.plan.scenario);
    choose_watch();
    journal_clear(lane.journal);
    audit_begin_at(&run.audit, lane.journal, run.plan.source == PLAN_DOMAINS);
    units_start_mapper(&lane.units, mapper_options);
    lane_start_client();
    lane_wait_told(LANE_TOLD_WAIT_MS);
    lane_act_all(&run.plan.acts);
    settle();
    (void)units_end(&lane.client, SIGKILL);
    LANE_MUST(units_end(&lane.units.mapper, SIGTERM), "the mapper did not end well");
    count_run();
}

static const struct lane_ops ops = { .mapper_options = mapper_options,
                                     .run = run_plan,
                                     .explain = explain,
                                     .start_client = start_client };

static void no_number_is_lost_untold_or_told_twice(void **state)
{
    uint64_t runs = lanes_runs(RUNS);
    bool is_good = lanes_run(&ops, runs);

    (void)state;
    print_message("# %u runs: %u clients, %u cuts, %u resumed, %u gaps, %u ends, %u contents, %u "
                  "batches; %" PRIu64 " told, %" PRIu64 " lost\n",
                  totals->runs, totals->starts, totals->cuts, totals->resumed, totals->gaps,
                  totals->ends, totals->content, totals->batches, totals->told, totals->lost);
    assert_true(is_good);
    assert_int_equal(totals->runs, runs);
    if (runs >= RUNS) { /* it was what it is called */
        assert_true(totals->cuts > runs / 5 && totals->resumed > runs / 10 && totals->gaps > 0 &&
                    totals->ends > 0 && totals->lost > 0);
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
        cmocka_unit_test(no_number_is_lost_untold_or_told_twice),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, begin, lanes_end);
}
