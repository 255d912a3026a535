/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a run of the chaos test is made of, all of it drawn from its seed: what is watched and how, what
 * the simulated host does, and what goes wrong. Pure. */
#ifndef XENRES_TESTS_CHAOS_PLAN_H
#define XENRES_TESTS_CHAOS_PLAN_H

#include <inttypes.h>

#include "tests/lib/chaos_acts.h"
#include "tests/lib/chaos_watcher.h"

enum { PLAN_SCENARIO_BYTES = 2048 };

enum plan_source {
    PLAN_GRANTS,
    PLAN_GRANTS_V2,
    PLAN_IOREQS,
    PLAN_DECODED,
    PLAN_DOMAINS,
    PLAN_SOURCES
};

struct plan {
    uint64_t seed;
    enum plan_source source;
    uint32_t mode, period_ms;
    bool has_ends; /* what is watched goes, and there is another */
    char scenario[PLAN_SCENARIO_BYTES];
    struct acts acts;
};

static inline void plan_events(struct plan *p, uint64_t *chance)
{
    char *at = p->scenario + strlen(p->scenario);
    size_t left = sizeof(p->scenario) - strlen(p->scenario);
    uint32_t step = 1 + acts_chance(chance, 12);
    bool is_table = p->source != PLAN_IOREQS && p->source != PLAN_DOMAINS;

    if (is_table && acts_chance(chance, 4) == 0) {
        (void)snprintf(at, left, "event { step = %u domain = \"a\" do = \"grow\" value = %u }\n",
                       step, 6 + acts_chance(chance, 4));
    } else if (is_table && acts_chance(chance, 6) == 0) {
        (void)snprintf(at, left,
                       "event { step = %u domain = \"a\" do = \"set_version\" value = %u }\n", step,
                       p->source == PLAN_GRANTS_V2 ? 1 : 2);
    } else if (p->source == PLAN_IOREQS && acts_chance(chance, 5) == 0) {
        p->has_ends = true;
        (void)snprintf(at, left,
                       "event { step = %u domain = \"a\" do = \"destroy_ioreq\" value = 0 }\n"
                       "event { step = %u domain = \"a\" do = \"create_ioreq\" value = 0 }\n",
                       step, step);
    } else if (acts_chance(chance, 8) == 0) {
        p->has_ends = p->source != PLAN_DOMAINS;
        (void)snprintf(at, left,
                       "event { step = %u domain = \"a\" do = \"%s\" }\n"
                       "event { step = %u do = \"clock_step\" value = -5000 }\n",
                       step, acts_chance(chance, 2) == 0 ? "reboot" : "restore", step + 1);
    }
}

static inline void plan_scenario(struct plan *p, uint64_t *chance)
{
    static const uint32_t rates[] = { 20, 400, 4000, 40000 };
    uint32_t rate = rates[acts_chance(chance, 4)], step_ms = 10 + acts_chance(chance, 50);
    uint32_t frames = 1 + acts_chance(chance, 5);
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
                       2 + acts_chance(chance, 10), 3 + acts_chance(chance, 30));
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
    p->source = (enum plan_source)acts_chance(&chance, PLAN_SOURCES);
    p->mode = modes[acts_chance(&chance, 5)];
    p->period_ms = 1 + acts_chance(&chance, acts_chance(&chance, 2) == 0 ? 4 : 25);
    plan_scenario(p, &chance);
    acts_draw(&p->acts, &chance);
}

static inline void plan_print(const struct plan *p, FILE *out)
{
    static const char *const sources[] = { "grants", "grants v2", "ioreqs", "decoded grants",
                                           "domains" };

    fprintf(out, "# seed %" PRIu64 ": %s, mode %u, period %u ms:", p->seed, sources[p->source],
            p->mode, p->period_ms);
    acts_print(&p->acts, out);
    fputs(p->scenario, out);
}

#endif
