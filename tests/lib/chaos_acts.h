/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What goes wrong in a run of a chaos test, drawn from its seed. Pure. */
#ifndef XENRES_TESTS_CHAOS_ACTS_H
#define XENRES_TESTS_CHAOS_ACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { ACTS_MAX = 5 };

enum act_fault {
    ACT_NOTHING,
    ACT_KILL_XENRESD,
    ACT_STOP_XENRESD,
    ACT_KILL_MAPPER,
    ACT_STOP_MAPPER,
    ACT_KILL_CLIENT,
    ACT_CUT,
    ACT_RESET,
    ACT_DAMAGE,
    ACT_HOLD,
    ACT_HOLD_AND_RESET,
    ACT_TRICKLE,
    ACT_REFUSE,
    ACT_FREEZE_CLIENT,
    ACT_RELOAD,
    ACT_FAULTS
};

static const char *const act_fault_names[ACT_FAULTS] = {
    "nothing",        "kill-xenresd", "stop-xenresd", "kill-mapper",   "stop-mapper",
    "kill-client",    "cut",          "reset",        "damage",        "hold",
    "hold-and-reset", "trickle",      "refuse",       "freeze-client", "reload",
};

/* Of 100: those that take a restart are slow. */
static const uint8_t act_weights[ACT_FAULTS] = { 4, 7, 5, 5, 3, 18, 12, 10, 5, 8, 6, 6, 3, 6, 2 };

struct act {
    uint32_t steps; /* before it */
    enum act_fault fault;
    uint32_t bytes;  /* of the network's faults */
    uint32_t during; /* steps while it lasts */
    bool waits;      /* for the client to be told something, before the next */
};

struct acts {
    struct act rows[ACTS_MAX];
    size_t count;
};

static inline uint32_t acts_chance(uint64_t *chance, uint32_t below)
{
    uint64_t x = *chance += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((x ^ (x >> 31)) % below);
}

static inline enum act_fault act_draw_fault(uint64_t *chance)
{
    uint32_t at = acts_chance(chance, 100), fault = 0;

    while (fault + 1 < ACT_FAULTS && at >= act_weights[fault]) {
        at -= act_weights[fault++];
    }
    return (enum act_fault)fault;
}

static inline void acts_draw(struct acts *all, uint64_t *chance)
{
    all->count = 1 + acts_chance(chance, ACTS_MAX);
    for (size_t i = 0; i < all->count; i++) {
        struct act *a = &all->rows[i];

        a->steps = acts_chance(chance, 8);
        a->fault = act_draw_fault(chance);
        a->bytes = acts_chance(chance, acts_chance(chance, 2) == 0 ? 300 : 30000);
        a->during = 1 + acts_chance(chance, 30);
        a->waits = acts_chance(chance, 2) == 0;
    }
}

static inline void acts_print(const struct acts *all, FILE *out)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct act *a = &all->rows[i];

        fprintf(out, " %u steps, %s (%u bytes, %u steps)%s;", a->steps, act_fault_names[a->fault],
                a->bytes, a->during, a->waits ? ", wait" : "");
    }
    fprintf(out, "\n");
}

#endif
