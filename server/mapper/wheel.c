/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A place of level n stands for 64^n ticks. An entry is on the lowest level whose turn it is within, and
 * when the place of a higher level comes up, what is there goes down. Words of bits say which places hold
 * anybody, so that time passes in jumps.
 */
#include "server/mapper/wheel.h"

#include <assert.h>
#include <stddef.h>

enum { BITS = 6, DUE = WHEEL_LEVELS * WHEEL_PLACES };
#define SPAN_TICKS (UINT64_C(1) << (BITS * WHEEL_LEVELS))

static uint64_t shifted(uint64_t tick, int level)
{
    return tick >> (BITS * level);
}

void wheel_init(struct wheel *w, uint64_t now_ns)
{
    *w = (struct wheel){ .tick = now_ns / WHEEL_TICK_NS };
    for (int i = 0; i <= DUE; i++) {
        w->places[i].next = w->places[i].previous = &w->places[i];
    }
}

static void link_at(struct wheel *w, struct wheel_entry *e, unsigned place)
{
    struct wheel_entry *head = &w->places[place];
    e->place = (uint16_t)place;
    e->next = head;
    e->previous = head->previous;
    head->previous->next = e;
    head->previous = e;
    if (place < DUE) {
        w->occupied[place / WHEEL_PLACES] |= UINT64_C(1) << place % WHEEL_PLACES;
    }
}

static void place(struct wheel *w, struct wheel_entry *e)
{
    if (e->due_tick <= w->tick) {
        link_at(w, e, DUE);
        return;
    }
    uint64_t at = e->due_tick;
    if (at - w->tick >= SPAN_TICKS) {
        at = w->tick + SPAN_TICKS - 1; /* is placed again when that comes up */
    }
    /* The lowest level on which now and then are in the same turn, and in different places. */
    int level = 0;
    while (level < WHEEL_LEVELS - 1 && shifted(at, level + 1) != shifted(w->tick, level + 1)) {
        level++;
    }
    link_at(w, e, (unsigned)level * WHEEL_PLACES + (unsigned)(shifted(at, level) % WHEEL_PLACES));
}

void wheel_add(struct wheel *w, struct wheel_entry *e, uint64_t due_ns)
{
    assert(!e->next);
    e->due_tick = due_ns / WHEEL_TICK_NS + (due_ns % WHEEL_TICK_NS != 0);
    place(w, e);
}

void wheel_remove(struct wheel *w, struct wheel_entry *e)
{
    if (!e->next) {
        return;
    }
    e->previous->next = e->next;
    e->next->previous = e->previous;
    struct wheel_entry *head = &w->places[e->place];
    if (head->next == head && e->place < DUE) {
        w->occupied[e->place / WHEEL_PLACES] &= ~(UINT64_C(1) << e->place % WHEEL_PLACES);
    }
    e->next = e->previous = NULL;
}

/* The first tick behind `tick` at which a place of this level comes up that holds anybody. */
static uint64_t next_of_level(const struct wheel *w, int level)
{
    uint64_t word = w->occupied[level];
    if (word == 0) {
        return UINT64_MAX;
    }
    uint64_t now = shifted(w->tick, level);
    unsigned from = (unsigned)((now + 1) % WHEEL_PLACES);
    uint64_t turned = from == 0 ? word : word >> from | word << (WHEEL_PLACES - from);
    return (now + 1 + (uint64_t)__builtin_ctzll(turned)) << (BITS * level);
}

static uint64_t next_tick(const struct wheel *w)
{
    uint64_t next = UINT64_MAX;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        uint64_t of_level = next_of_level(w, level);
        next = of_level < next ? of_level : next;
    }
    return next;
}

/* Moves to `tick`, at which some place comes up, and none before. */
static void turn_to(struct wheel *w, uint64_t tick)
{
    w->tick = tick;
    for (int level = WHEEL_LEVELS - 1; level >= 0; level--) {
        uint64_t unit = UINT64_C(1) << (BITS * level);
        if (tick % unit != 0) {
            continue;
        }
        struct wheel_entry *head =
            &w->places[level * WHEEL_PLACES + (int)(shifted(tick, level) % WHEEL_PLACES)];
        while (head->next != head) {
            struct wheel_entry *e = head->next;
            wheel_remove(w, e);
            place(w, e);
        }
    }
}

struct wheel_entry *wheel_take(struct wheel *w, uint64_t now_ns)
{
    struct wheel_entry *due = &w->places[DUE];
    uint64_t now = now_ns / WHEEL_TICK_NS;
    while (due->next == due && w->tick < now) {
        uint64_t next = next_tick(w);
        if (next > now) {
            w->tick = now;
        } else {
            turn_to(w, next);
        }
    }
    struct wheel_entry *e = due->next;
    if (e == due) {
        return NULL;
    }
    wheel_remove(w, e);
    return e;
}

uint64_t wheel_next_ns(const struct wheel *w)
{
    if (w->places[DUE].next != &w->places[DUE]) {
        return 0;
    }
    uint64_t next = next_tick(w);
    return next > UINT64_MAX / WHEEL_TICK_NS ? UINT64_MAX : next * WHEEL_TICK_NS;
}
