/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a run of the chaos test is made of, all of it drawn from its seed: what is watched and how, what
 * the simulated host does, and what goes wrong. Pure. */
#ifndef XENRES_TESTS_CHAOS_PLAN_H
#define XENRES_TESTS_CHAOS_PLAN_H

#include <inttypes.h>

#include "tests/lib/chaos_watcher.h"

enum { PLAN_ACTS_MAX = 5, PLAN_SCENARIO_BYTES = 2048 };

enum plan_source {
    PLAN_GRANTS,
    PLAN_GRANTS_V2,
    PLAN_IOREQS,
    PLAN_DECODED,
    PLAN_DOMAINS,
    PLAN_SOURCES
};

enum plan_fault {
    PLAN_NOTHING,
    PLAN_KILL_XENRESD,
    PLAN_STOP_XENRESD,
    PLAN_KILL_MAPPER,
    PLAN_STOP_MAPPER,
    PLAN_KILL_CLIENT,
    PLAN_CUT,
    PLAN_RESET,
    PLAN_DAMAGE,
    PLAN_HOLD,
    PLAN_HOLD_AND_RESET,
    PLAN_TRICKLE,
    PLAN_REFUSE,
    PLAN_FREEZE_CLIENT,
    PLAN_RELOAD,
    PLAN_FAULTS
};

static const char *const plan_fault_names[PLAN_FAULTS] = {
    "nothing",        "kill-xenresd", "stop-xenresd", "kill-mapper",   "stop-mapper",
    "kill-client",    "cut",          "reset",        "damage",        "hold",
    "hold-and-reset", "trickle",      "refuse",       "freeze-client", "reload",
};

/* Of 100: those that take a restart are slow. */
static const uint8_t plan_weights[PLAN_FAULTS] = { 4, 7, 5, 5, 3, 18, 12, 10, 5, 8, 6, 6, 3, 6, 2 };

struct plan_act {
    uint32_t steps; /* before it */
    enum plan_fault fault;
    uint32_t bytes;  /* of the network's faults */
    uint32_t during; /* steps while it lasts */
    bool waits;      /* for the client to be told something, before the next */
};

struct plan {
    uint64_t seed;
    enum plan_source source;
    uint32_t mode, period_ms;
    bool has_ends; /* what is watched goes, and there is another */
    char scenario[PLAN_SCENARIO_BYTES];
    struct plan_act acts[PLAN_ACTS_MAX];
    size_t act_count;
};

static inline uint32_t plan_draw(uint64_t *chance, uint32_t below)
{
    uint64_t x = *chance += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((x ^ (x >> 31)) % below);
}

static inline enum plan_fault plan_draw_fault(uint64_t *chance)
{
    uint32_t at = plan_draw(chance, 100), fault = 0;

    while (fault + 1 < PLAN_FAULTS && at >= plan_weights[fault]) {
        at -= plan_weights[fault++];
    }
    return (enum plan_fault)fault;
}

static inline void plan_events(struct plan *p, uint64_t *chance)
{
    char *at = p->scenario + strlen(p->scenario);
    size_t left = sizeof(p->scenario) - strlen(p->scenario);
    uint32_t step = 1 + plan_draw(chance, 12);
    bool is_table = p->source != PLAN_IOREQS && p->source != PLAN_DOMAINS;

    if (is_table && plan_draw(chance, 4) == 0) {
        (void)snprintf(at, left, "event { step = %u domain = \"a\" do = \"grow\" value = %u }\n",
                       step, 6 + plan_draw(chance, 4));
    } else if (is_table && plan_draw(chance, 6) == 0) {
        (void)snprintf(at, left,
                       "event { step = %u domain = \"a\" do = \"set_version\" value = %u }\n", step,
                       p->source == PLAN_GRANTS_V2 ? 1 : 2);
    } else if (p->source == PLAN_IOREQS && plan_draw(chance, 5) == 0) {
        p->has_ends = true;
        (void)snprintf(at, left,
                       "event { step = %u domain = \"a\" do = \"destroy_ioreq\" value = 0 }\n"
                       "event { step = %u domain = \"a\" do = \"create_ioreq\" value = 0 }\n",
                       step, step);
    } else if (plan_draw(chance, 8) == 0) {
        p->has_ends = p->source != PLAN_DOMAINS;
        (void)snprintf(at, left,
                       "event { step = %u domain = \"a\" do = \"%s\" }\n"
                       "event { step = %u do = \"clock_step\" value = -5000 }\n",
                       step, plan_draw(chance, 2) == 0 ? "reboot" : "restore", step + 1);
    }
}

static inline void plan_scenario(struct plan *p, uint64_t *chance)
{
    static const uint32_t rates[] = { 20, 400, 4000, 40000 };
    uint32_t rate = rates[plan_draw(chance, 4)], step_ms = 10 + plan_draw(chance, 50);
    uint32_t frames = 1 + plan_draw(chance, 5);
    int n = snprintf(
        p->scenario, sizeof(p->scenario),
        "seed = %" PRIu64 "\nclock = \"virtual\" step_ms = %u\n"
        "domain \"a\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
        "  type = \"hvm\" ioreq \"0\" { requests_per_second = %u }\n"
        "  grants { version = %u frames = %u entries = %u changes_per_second = %u } }\n",
        p->seed % 1000000, step_ms, p->source == PLAN_IOREQS ? rate : 0,
        p->source == PLAN_GRANTS_V2 ? 2u : 1u, frames,
        frames * (p->source == PLAN_GRANTS_V2 ? 256 : 512), p->source == PLAN_IOREQS ? 0 : rate);

    if (p->source == PLAN_DOMAINS) {
        (void)snprintf(p->scenario + n, sizeof(p->scenario) - (size_t)n,
                       "churn { domains = %u period_ms = %u like = \"a\" first_domid = 100 }\n",
                       2 + plan_draw(chance, 10), 3 + plan_draw(chance, 30));
    }
    plan_events(p, chance);
}

static inline void plan_make(struct plan *p, uint64_t seed)
{
    static const uint32_t modes[] = { XENRES_WATCH_DELTA, XENRES_WATCH_DELTA, XENRES_WATCH_DELTA,
                                      XENRES_WATCH_FULL, XENRES_WATCH_LATEST };
    uint64_t chance = seed * UINT64_C(0xd1342543de82ef95);

    memset(p, 0, sizeof(*p));
    p->seed = seed;
    p->source = (enum plan_source)plan_draw(&chance, PLAN_SOURCES);
    p->mode = modes[plan_draw(&chance, 5)];
    p->period_ms = 1 + plan_draw(&chance, plan_draw(&chance, 2) == 0 ? 4 : 25);
    plan_scenario(p, &chance);
    p->act_count = 1 + plan_draw(&chance, PLAN_ACTS_MAX);
    for (size_t i = 0; i < p->act_count; i++) {
        struct plan_act *a = &p->acts[i];

        a->steps = plan_draw(&chance, 8);
        a->fault = plan_draw_fault(&chance);
        a->bytes = plan_draw(&chance, plan_draw(&chance, 2) == 0 ? 300 : 30000);
        a->during = 1 + plan_draw(&chance, 30);
        a->waits = plan_draw(&chance, 2) == 0;
    }
}

static inline void plan_print(const struct plan *p, FILE *out)
{
    static const char *const sources[] = { "grants", "grants v2", "ioreqs", "decoded grants",
                                           "domains" };

    fprintf(out, "# seed %" PRIu64 ": %s, mode %u, period %u ms:", p->seed, sources[p->source],
            p->mode, p->period_ms);
    for (size_t i = 0; i < p->act_count; i++) {
        const struct plan_act *a = &p->acts[i];

        fprintf(out, " %u steps, %s (%u bytes, %u steps)%s;", a->steps, plan_fault_names[a->fault],
                a->bytes, a->during, a->waits ? ", wait" : "");
    }
    fprintf(out, "\n%s", p->scenario);
}

#endif
