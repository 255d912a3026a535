/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The lanes of a chaos test: processes that do runs beside each other, as most of a run is waiting. Each
 * has its own mapper, xenresd, bad network, client process and journal, all of which it kills and starts as
 * a run wants. What a run is, the test says by `struct lane_ops`.
 *
 * A run follows from its seed, but for the machine's timing. CHAOS_SEED=n runs that one alone,
 * CHAOS_RUNS=n so many (of a seed, or of seeds from the usual first one on), CHAOS_FIRST=n from there.
 *
 * Included by one file of a test program.
 */
#ifndef XENRES_TESTS_CHAOS_LANE_H
#define XENRES_TESTS_CHAOS_LANE_H

#include <inttypes.h>

#include "tests/lib/chaos_acts.h"
#include "tests/lib/chaos_client.h"
#include "tests/lib/chaos_journal.h"
#include "tests/lib/chaos_proxy.h"
#include "tests/lib/gateway.h"
#include "tests/lib/units_rig.h"

enum {
    LANES_MAX = 6,
    LANE_STEP_WAIT_MS = 2,
    LANE_TOLD_WAIT_MS = 300,
};

struct lane_ops {
    const char *const *mapper_options;
    void (*prepare)(void); /* once in each lane, before its first run */
    void (*run)(uint64_t seed);
    void (*explain)(FILE *out);  /* what the run is, and what was told */
    pid_t (*start_client)(void); /* negative: no process */
    void (*mapper_is_back)(void);
    bool is_alone; /* one lane: nothing is to be beside a run */
};

static struct lane {
    const struct lane_ops *ops;
    uint64_t seed;
    struct units units;
    struct proxy proxy;
    struct journal *journal;    /* the first, where there are several */
    struct chaos_client access; /* by way of the proxy */
    xenres *direct;             /* not by it */
    pid_t client;
} lane;

/* --- failure: says what and how to see it again, and leaves nobody behind -------------------------- */

static inline void lane_end_all(int signal_number)
{
    (void)units_end(&lane.client, SIGKILL);
    (void)units_end(&lane.units.xenresd, signal_number);
    (void)units_end(&lane.units.mapper, signal_number);
}

static inline void lane_print_log(void)
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

static inline _Noreturn void lane_give_up(const char *what)
{
    fprintf(stderr, "# CHAOS_SEED=%" PRIu64 ": %s\n", lane.seed, what);
    lane.ops->explain(stderr);
    lane_print_log();
    lane_end_all(SIGKILL);
    units_done(&lane.units);
    (void)kill(lane.proxy.pid, SIGKILL);
    _exit(1);
}

#define LANE_MUST(condition, what)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            lane_give_up(what);                                                                    \
        }                                                                                          \
    } while (0)

/* --- what happens ----------------------------------------------------------------------------------- */

/* Until the client was told something more, at most so long. */
static inline void lane_wait_told(int limit_ms)
{
    struct pollfd row = { .fd = lane.journal->event_fd, .events = POLLIN };
    uint64_t count;

    if (poll(&row, 1, limit_ms) > 0) {
        (void)!read(row.fd, &count, sizeof(count));
    }
}

/* The host's time goes on. Steps that come faster than the host looks are one. */
static inline void lane_step(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)kill(lane.units.mapper, SIGUSR1);
        lane_wait_told(LANE_STEP_WAIT_MS);
    }
}

static inline void lane_start_client(void)
{
    lane.client = lane.ops->start_client();
    LANE_MUST(lane.client > 0, "no process");
}

static inline void lane_restart_xenresd(int signal_number)
{
    LANE_MUST(units_end(&lane.units.xenresd, signal_number), "xenresd did not end well");
    units_start_xenresd(&lane.units);
}

static inline void lane_restart_mapper(int signal_number)
{
    LANE_MUST(units_end(&lane.units.mapper, signal_number), "the mapper did not end well");
    units_start_mapper(&lane.units, lane.ops->mapper_options);
    if (lane.ops->mapper_is_back != NULL) {
        lane.ops->mapper_is_back();
    }
}

static inline void lane_network(const struct act *a, enum proxy_mode mode, enum proxy_mode after)
{
    proxy_tell(&lane.proxy, mode, a->bytes);
    lane_step(a->during);
    proxy_tell(&lane.proxy, after, 0);
}

static inline void lane_freeze_client(const struct act *a)
{
    (void)kill(lane.client, SIGSTOP);
    lane_step(a->during * 2);
    (void)kill(lane.client, SIGCONT);
}

static inline void lane_act(const struct act *a)
{
    lane_step(a->steps);
    switch (a->fault) {
    case ACT_KILL_XENRESD: lane_restart_xenresd(SIGKILL); break;
    case ACT_STOP_XENRESD: lane_restart_xenresd(SIGTERM); break;
    case ACT_KILL_MAPPER: lane_restart_mapper(SIGKILL); break;
    case ACT_STOP_MAPPER: lane_restart_mapper(SIGTERM); break;
    case ACT_KILL_CLIENT:
        (void)units_end(&lane.client, SIGKILL);
        lane_step(a->during / 4);
        lane_start_client();
        break;
    case ACT_CUT: proxy_tell(&lane.proxy, PROXY_END, a->bytes); break;
    case ACT_RESET: proxy_tell(&lane.proxy, PROXY_RESET, a->bytes); break;
    case ACT_DAMAGE: proxy_tell(&lane.proxy, PROXY_DAMAGE, a->bytes); break;
    case ACT_HOLD: lane_network(a, PROXY_HOLD, PROXY_PASS); break;
    case ACT_HOLD_AND_RESET: lane_network(a, PROXY_HOLD, PROXY_REFUSE); break;
    case ACT_TRICKLE: lane_network(a, PROXY_TRICKLE, PROXY_PASS); break;
    case ACT_REFUSE: lane_network(a, PROXY_REFUSE, PROXY_PASS); break;
    case ACT_FREEZE_CLIENT: lane_freeze_client(a); break;
    case ACT_RELOAD: (void)kill(lane.units.xenresd, SIGHUP); break;
    case ACT_NOTHING:
    case ACT_FAULTS:
    default: break;
    }
    if (a->fault == ACT_HOLD_AND_RESET) {
        proxy_tell(&lane.proxy, PROXY_PASS, 0);
    }
    if (a->waits) {
        lane_wait_told(LANE_TOLD_WAIT_MS);
    }
}

static inline void lane_act_all(const struct acts *acts)
{
    for (size_t i = 0; i < acts->count; i++) {
        lane_act(&acts->rows[i]);
    }
    lane_step(1);
    proxy_tell(&lane.proxy, PROXY_PASS, 0);
}

/* --- lanes -------------------------------------------------------------------------------------------- */

static inline void lane_run(const struct lane_ops *ops, uint64_t first, uint64_t end, uint64_t by)
{
    struct chaos_client direct;

    lane.ops = ops;
    units_make(&lane.units, gateway.dir,
               "connections_per_address = 1000 feed_linger_s = 60 drain_min_bytes_per_s = 0 "
               "spool_mib_per_identity = 256"); /* three of the largest that a test asks for */
    lane.proxy = proxy_start(lane.units.port);
    lane.journal = journal_new();
    chaos_client_init(&direct, gateway.dir, lane.units.port);
    chaos_client_init(&lane.access, gateway.dir, lane.proxy.port);
    lane.direct = chaos_client_connect(&direct);
    if (ops->prepare != NULL) {
        ops->prepare();
    }
    units_start_xenresd(&lane.units);
    for (uint64_t seed = first; seed < end; seed += by) {
        lane.seed = getenv("CHAOS_SEED") != NULL ? strtoull(getenv("CHAOS_SEED"), NULL, 10) : seed;
        ops->run(lane.seed);
    }
    LANE_MUST(units_end(&lane.units.xenresd, SIGTERM), "xenresd did not end well");
    lane_end_all(SIGTERM);
    xenres_free(lane.direct);
    units_done(&lane.units);
}

static inline uint64_t lanes_number(const char *name, uint64_t usual)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : usual;
}

/* How many runs there will be. */
static inline uint64_t lanes_runs(uint64_t usual)
{
    return lanes_number("CHAOS_RUNS", getenv("CHAOS_SEED") != NULL ? 1 : usual);
}

/* All of them. False: one has failed, and said why. */
static inline bool lanes_run(const struct lane_ops *ops, uint64_t runs)
{
    uint64_t most = ops->is_alone ? 1 : LANES_MAX, lanes = runs < most ? runs : most;
    uint64_t first = lanes_number("CHAOS_FIRST", 1);
    pid_t pids[LANES_MAX];
    bool is_good = true;

    for (uint64_t i = 0; i < lanes; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            lane_run(ops, first + i, first + runs, lanes);
            _exit(0);
        }
    }
    for (uint64_t i = 0; i < lanes; i++) {
        int status = -1;

        is_good = waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) &&
                  WEXITSTATUS(status) == 0 && is_good;
    }
    return is_good;
}

/* --- the test program ---------------------------------------------------------------------------------- */

/* What the lanes count, in memory that they share. */
static inline void *lanes_totals(size_t len_bytes)
{
    void *totals = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(totals != MAP_FAILED);
    return totals;
}

/* The certificates of a demonstration, which has made them when it serves. */
static inline int lanes_begin(void **state)
{
    (void)state;
    (void)snprintf(gateway.dir, sizeof(gateway.dir), "/tmp/chaos.XXXXXX");
    assert_non_null(mkdtemp(gateway.dir));
    assert_int_equal(chmod(gateway.dir, 0755), 0);
    gateway_start(false);
    gateway_stop();
    strcat(gateway.dir, "/demo");
    return 0;
}

static inline int lanes_end(void **state)
{
    char command[GATEWAY_PATH_BYTES];

    (void)state;
    *strrchr(gateway.dir, '/') = '\0';
    (void)snprintf(command, sizeof(command), "rm -rf %s", gateway.dir);
    return system(command);
}

#endif
