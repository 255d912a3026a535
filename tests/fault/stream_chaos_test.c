/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Watches of the real gateway, whose parts are killed and whose network is cut at random: whatever
 * happens, each number of a feed is delivered or told as lost, once; and when the host stands still
 * again, the client has what a snapshot has, and produced = delivered + lost.
 *
 * A run follows from its seed, but for the machine's timing. CHAOS_SEED=n runs that one alone,
 * CHAOS_RUNS=n so many (of a seed, or of seeds from the usual first one on), CHAOS_FIRST=n from there.
 * Sanitized, there are fewer, unless that is set.
 */
#include <sys/stat.h>

#include "tests/lib/chaos_plan.h"
#include "tests/lib/chaos_proxy.h"
#include "tests/lib/gateway.h"
#include "tests/lib/units_rig.h"

#ifdef XENRES_SANITIZED
#define USUAL_RUNS 100
#else
#define USUAL_RUNS 500
#endif

enum {
    RUNS = USUAL_RUNS,
    LANES = 6, /* that run beside each other: most of a run is waiting */
    STEP_WAIT_MS = 2,
    TOLD_WAIT_MS = 300,
    SETTLE_WAIT_S = 30,
    JOURNAL_SHOWN_BYTES = 1000000, /* of its end, where a run has failed */
};

/* What the lanes did, in shared memory. */
struct totals {
    _Atomic unsigned runs, gaps, cuts, ends, starts, resumed, content, batches;
    _Atomic uint64_t told, lost;
};

/* One process; its own units, network and journal. */
struct lane {
    struct units units;
    struct proxy proxy;
    struct watcher_options options;
    struct journal *journal;
    struct plan plan;
    struct audit audit;
    pid_t client;
    bool is_same;      /* content was, when it was last looked at */
    uint64_t produced; /* by the mapper's account then */
    xenres *direct;    /* not by the proxy */
};

static struct lane lane;
static struct totals *totals;

static const char *const mapper_options[] = {
    "--spool-kib-max", "128", "--arena-mib", "16", "--slot-max-mib", "4", "--grace", "60", NULL
};

/* --- failure: says what and how to see it again, and leaves nobody behind -------------------------- */

static void end_all(int signal_number)
{
    (void)units_end(&lane.client, SIGKILL);
    (void)units_end(&lane.units.xenresd, signal_number);
    (void)units_end(&lane.units.mapper, signal_number);
}

static void print_log(void)
{
    char path[UNITS_PATH_BYTES], line[1024];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/log", lane.units.dir);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        fprintf(stderr, "#   %s", line);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static void print_journal(void)
{
    static const char *const kinds[] = { "",          "started", "begin",  "piece", "changes",
                                         "decoded",   "list",    "domain", "gap",   "checkpoint",
                                         "heartbeat", "cut",     "end",    "failed" };
    const struct journal_entry *e;
    size_t at = 0;

    while ((e = journal_next(lane.journal, &at)) != NULL) {
        if (e->kind != JOURNAL_HEARTBEAT &&
            atomic_load(&lane.journal->len_bytes) - at < JOURNAL_SHOWN_BYTES) {
            fprintf(stderr, "# %s %" PRIu64 " to %" PRIu64 " segment %u reason %u%s%s %s %s\n",
                    kinds[e->kind], e->first, e->sequence, e->segment, e->reason,
                    e->more ? " more" : "", e->resumed ? " resumed" : "", e->feed, e->life);
        }
    }
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "# CHAOS_SEED=%" PRIu64 ": %s\n", lane.plan.seed, what);
    plan_print(&lane.plan, stderr);
    print_journal();
    print_log();
    end_all(SIGKILL);
    units_done(&lane.units);
    (void)kill(lane.proxy.pid, SIGKILL);
    _exit(1);
}

#define RUN_MUST(condition, what)                                                                  \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            give_up(what);                                                                         \
        }                                                                                          \
    } while (0)

/* --- what happens ----------------------------------------------------------------------------------- */

/* Until the client was told something more, at most so long. */
static void wait_told(int limit_ms)
{
    struct pollfd row = { .fd = lane.journal->event_fd, .events = POLLIN };
    uint64_t count;

    if (poll(&row, 1, limit_ms) > 0) {
        (void)!read(row.fd, &count, sizeof(count));
    }
}

/* The host's time goes on. Steps that come faster than the host looks are one. */
static void step(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)kill(lane.units.mapper, SIGUSR1);
        wait_told(STEP_WAIT_MS);
    }
}

static void start_client(void)
{
    lane.client = watcher_start(&lane.options, lane.journal);
    RUN_MUST(lane.client > 0, "no process");
}

static void restart_xenresd(int signal_number)
{
    RUN_MUST(units_end(&lane.units.xenresd, signal_number), "xenresd did not end well");
    units_start_xenresd(&lane.units);
}

static void restart_mapper(int signal_number)
{
    RUN_MUST(units_end(&lane.units.mapper, signal_number), "the mapper did not end well");
    units_start_mapper(&lane.units, mapper_options);
}

static void network(const struct plan_act *a, enum proxy_mode mode, enum proxy_mode after)
{
    proxy_tell(&lane.proxy, mode, a->bytes);
    step(a->during);
    proxy_tell(&lane.proxy, after, 0);
}

static void freeze_client(const struct plan_act *a)
{
    (void)kill(lane.client, SIGSTOP);
    step(a->during * 2);
    (void)kill(lane.client, SIGCONT);
}

static void act(const struct plan_act *a)
{
    step(a->steps);
    switch (a->fault) {
    case PLAN_KILL_XENRESD: restart_xenresd(SIGKILL); break;
    case PLAN_STOP_XENRESD: restart_xenresd(SIGTERM); break;
    case PLAN_KILL_MAPPER: restart_mapper(SIGKILL); break;
    case PLAN_STOP_MAPPER: restart_mapper(SIGTERM); break;
    case PLAN_KILL_CLIENT:
        (void)units_end(&lane.client, SIGKILL);
        step(a->during / 4);
        start_client();
        break;
    case PLAN_CUT: proxy_tell(&lane.proxy, PROXY_END, a->bytes); break;
    case PLAN_RESET: proxy_tell(&lane.proxy, PROXY_RESET, a->bytes); break;
    case PLAN_DAMAGE: proxy_tell(&lane.proxy, PROXY_DAMAGE, a->bytes); break;
    case PLAN_HOLD: network(a, PROXY_HOLD, PROXY_PASS); break;
    case PLAN_HOLD_AND_RESET: network(a, PROXY_HOLD, PROXY_REFUSE); break;
    case PLAN_TRICKLE: network(a, PROXY_TRICKLE, PROXY_PASS); break;
    case PLAN_REFUSE: network(a, PROXY_REFUSE, PROXY_PASS); break;
    case PLAN_FREEZE_CLIENT: freeze_client(a); break;
    case PLAN_RELOAD: (void)kill(lane.units.xenresd, SIGHUP); break;
    case PLAN_NOTHING:
    case PLAN_FAULTS:
    default: break;
    }
    if (a->fault == PLAN_HOLD_AND_RESET) {
        proxy_tell(&lane.proxy, PROXY_PASS, 0);
    }
    if (a->waits) {
        wait_told(TOLD_WAIT_MS);
    }
}

/* --- what there is in the end -------------------------------------------------------------------------- */

static bool is_same_image(xenres_reply **reply, xenres_error *error)
{
    const xenres_frames_query query =
        XENRES_FRAMES_QUERY_INIT("name:a", lane.options.type, lane.options.id);
    const xenres_snapshot *s;

    return xenres_get_snapshot(lane.direct, &query, reply, &s, error) == 0 &&
           lane.audit.has_content && s->len_bytes == lane.audit.image_len &&
           memcmp(s->frames, lane.audit.image, s->len_bytes) == 0;
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
            if (!is_same_grant(&t->grants[i], &lane.audit.grants[t->grants[i].reference])) {
                return false;
            }
        }
        query.first_reference = t->next_reference;
    } while (t->next_reference != 0);
    for (size_t i = 0; i < AUDIT_GRANTS_MAX; i++) {
        ours += lane.audit.grants[i].kind != 0 && lane.audit.grants[i].kind != XENRES_GRANT_UNUSED;
    }
    return lane.audit.has_content && ours == theirs;
}

static bool knows_domain(const xenres_domain *d)
{
    for (size_t i = 0; i < lane.audit.domain_count; i++) {
        const struct journal_domain *ours = &lane.audit.domains[i];

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
        !lane.audit.has_content || list->domain_count != lane.audit.domain_count) {
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
    const char *name = lane.plan.source == PLAN_DOMAINS ? "xenresd_mapper_produced_events_total"
                                                        : "xenresd_mapper_produced_batches_total";
    uint64_t sum = lane.audit.base + lane.audit.told + lane.audit.lost;

    (void)kill(lane.units.xenresd, SIGHUP);
    uint64_t produced = units_metric(&lane.units, name);

    lane.produced = produced;

    if (sum != lane.audit.delivered || produced == UINT64_MAX) {
        return false;
    }
    /* Of a domain that went there was another feed, of which the client may have heard nothing. */
    return lane.plan.has_ends ? produced >= sum : produced == sum;
}

static bool has_settled(xenres_error *error)
{
    xenres_reply *reply = NULL;
    bool is_same = lane.plan.source == PLAN_DOMAINS   ? are_same_domains(&reply, error)
                   : lane.plan.source == PLAN_DECODED ? are_same_grants(&reply, error)
                                                      : is_same_image(&reply, error);

    xenres_reply_free(reply);
    lane.is_same = is_same;
    return is_same && is_all_accounted_for();
}

static void settle(void)
{
    uint64_t until_ns = clock_monotonic_ns() + SETTLE_WAIT_S * CLOCK_NS_PER_S;
    xenres_error error = { .code = 0 };
    char what[1024];
    bool is_over;

    do {
        RUN_MUST(audit_read(&lane.audit), lane.audit.fault);
        RUN_MUST(waitpid(lane.client, NULL, WNOHANG) == 0, "the client ended");
        is_over = has_settled(&error);
        if (!is_over) {
            wait_told(20);
        }
        (void)snprintf(
            what, sizeof(what),
            "never settled: %s at %" PRIu64 ": %" PRIu64 " before, %" PRIu64 " told, %" PRIu64
            " lost; of %" PRIu64 " produced; the content is %s; the gateway: %s",
            lane.audit.feed, lane.audit.delivered, lane.audit.base, lane.audit.told,
            lane.audit.lost, lane.produced, lane.is_same ? "the same" : "another", error.message);
        RUN_MUST(clock_monotonic_ns() < until_ns, what);
    } while (!is_over);
}

/* --- a run --------------------------------------------------------------------------------------------- */

static void count_run(void)
{
    const struct audit *a = &lane.audit;

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
    const struct plan *p = &lane.plan;

    lane.options.domain = p->source == PLAN_DOMAINS ? NULL : "name:a";
    lane.options.type = p->source == PLAN_IOREQS ? XENRES_IOREQ_SERVER : XENRES_GRANT_TABLE;
    lane.options.mode = p->mode;
    lane.options.period_ms = p->period_ms;
    lane.options.decode = p->source == PLAN_DECODED;
}

static void run(uint64_t seed)
{
    plan_make(&lane.plan, seed);
    units_write(&lane.units, "scenario", "%s", lane.plan.scenario);
    choose_watch();
    journal_clear(lane.journal);
    audit_begin_at(&lane.audit, lane.journal, lane.plan.source == PLAN_DOMAINS);
    units_start_mapper(&lane.units, mapper_options);
    start_client();
    wait_told(TOLD_WAIT_MS);
    for (size_t i = 0; i < lane.plan.act_count; i++) {
        act(&lane.plan.acts[i]);
    }
    step(1);
    proxy_tell(&lane.proxy, PROXY_PASS, 0);
    settle();
    (void)units_end(&lane.client, SIGKILL);
    RUN_MUST(units_end(&lane.units.mapper, SIGTERM), "the mapper did not end well");
    count_run();
}

static void lane_run(uint64_t first, uint64_t end, uint64_t by)
{
    struct watcher_options *o = &lane.options;

    units_make(&lane.units, gateway.dir,
               "connections_per_address = 1000 feed_linger_s = 60 drain_min_bytes_per_s = 0");
    lane.proxy = proxy_start(lane.units.port);
    lane.journal = journal_new();
    (void)snprintf(o->ca, sizeof(o->ca), "%s/ca.crt", gateway.dir);
    (void)snprintf(o->cert, sizeof(o->cert), "%s/operator.crt", gateway.dir);
    (void)snprintf(o->key, sizeof(o->key), "%s/operator.key", gateway.dir);
    (void)snprintf(o->server, sizeof(o->server), "https://127.0.0.1:%u", lane.units.port);
    lane.direct = watcher_connect(o);
    (void)snprintf(o->server, sizeof(o->server), "https://127.0.0.1:%u", lane.proxy.port);
    units_start_xenresd(&lane.units);
    for (uint64_t seed = first; seed < end; seed += by) {
        run(getenv("CHAOS_SEED") != NULL ? strtoull(getenv("CHAOS_SEED"), NULL, 10) : seed);
    }
    RUN_MUST(units_end(&lane.units.xenresd, SIGTERM), "xenresd did not end well");
    end_all(SIGTERM);
    xenres_free(lane.direct);
    units_done(&lane.units);
}

static uint64_t number(const char *name, uint64_t usual)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : usual;
}

static void no_number_is_lost_untold_or_told_twice(void **state)
{
    uint64_t first = number("CHAOS_FIRST", 1),
             runs = number("CHAOS_RUNS", getenv("CHAOS_SEED") != NULL ? 1 : RUNS);
    uint64_t lanes = runs < LANES ? runs : LANES;
    pid_t pids[LANES];
    bool is_good = true;

    (void)state;
    for (uint64_t i = 0; i < lanes; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            lane_run(first + i, first + runs, lanes);
            _exit(0);
        }
    }
    for (uint64_t i = 0; i < lanes; i++) {
        int status = -1;

        is_good = waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) &&
                  WEXITSTATUS(status) == 0 && is_good;
    }
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

/* The certificates of a demonstration, which has made them when it serves. */
static int begin(void **state)
{
    (void)state;
    (void)snprintf(gateway.dir, sizeof(gateway.dir), "/tmp/chaos.XXXXXX");
    assert_non_null(mkdtemp(gateway.dir));
    assert_int_equal(chmod(gateway.dir, 0755), 0);
    gateway_start(false);
    gateway_stop();
    strcat(gateway.dir, "/demo");
    totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return totals != MAP_FAILED ? 0 : -1;
}

static int end(void **state)
{
    char command[GATEWAY_PATH_BYTES];

    (void)state;
    *strrchr(gateway.dir, '/') = '\0';
    (void)snprintf(command, sizeof(command), "rm -rf %s", gateway.dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_number_is_lost_untold_or_told_twice),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, begin, end);
}
