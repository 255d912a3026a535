/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A timer wheel: who is due, in ticks of a millisecond, however many wait. Adding, removing and taking
 * cost the same whether ten or four thousand are in it. Entries live in what waits; time is passed in.
 * One thread, or one lock of the user's.
 */
#ifndef XENRES_MAPPER_WHEEL_H
#define XENRES_MAPPER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_NS UINT64_C(1000000)

enum {
    WHEEL_LEVELS =
        4, /* of 64 places each: 4.6 hours; who waits longer is looked at once in between */
    WHEEL_PLACES = 64,
};

/* Zeroed: in no wheel. */
struct wheel_entry {
    struct wheel_entry *next, *previous; /* NULL: in no wheel */
    uint64_t due_tick;
    uint16_t place; /* of all levels', or WHEEL_LEVELS * WHEEL_PLACES: it is due */
};

struct wheel {
    uint64_t tick;                                              /* all until it are due or taken */
    struct wheel_entry places[WHEEL_LEVELS * WHEEL_PLACES + 1]; /* heads of rings; the last: due */
    uint64_t occupied[WHEEL_LEVELS];
};

void wheel_init(struct wheel *w, uint64_t now_ns);
/* Due at the first tick that is not before `due_ns`. It is in no wheel. */
void wheel_add(struct wheel *w, struct wheel_entry *e, uint64_t due_ns);
void wheel_remove(struct wheel *w, struct wheel_entry *e); /* in none: fine */
/* One that is due and not removed, taken out, the earlier tick first; NULL: none. */
struct wheel_entry *wheel_take(struct wheel *w, uint64_t now_ns);
/* When wheel_take() is to be called again, at the latest when somebody is due; 0: now; UINT64_MAX: the
 * wheel is empty. */
uint64_t wheel_next_ns(const struct wheel *w);

#endif
