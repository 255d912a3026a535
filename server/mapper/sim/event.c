/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See event.h. */
#include "server/mapper/sim/event.h"

static void set_unwatched(struct simulation *sim, uint16_t domid, bool unwatched)
{
    if (sim->unwatched[domid] != unwatched) {
        sim->unwatched[domid] = unwatched;
        sim->unwatched_count = unwatched ? sim->unwatched_count + 1 : sim->unwatched_count - 1;
    }
}

static void watch(struct backend *b, uint16_t domid)
{
    const struct call c = { SCENARIO_OP_WATCH, { .domid = domid, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    bool watched = call_enter(b, &c, &fault, NULL) == 0;
    b->sim->world.name_watched[domid] = watched;
    set_unwatched(b->sim, domid, !watched);
    if (watched) {
        call_leave(b, &c, fault);
    }
}

void event_watch_name(struct backend *b, uint16_t domid)
{
    CALL_LOCKED(b);
    watch(b, domid);
}

void event_unwatch_name(struct backend *b, uint16_t domid)
{
    const struct call c = { SCENARIO_OP_UNWATCH, { .domid = domid, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    CALL_LOCKED(b);
    set_unwatched(b->sim, domid, false);
    if (call_enter(b, &c, &fault, NULL) == 0) {
        b->sim->world.name_watched[domid] = false;
        call_leave(b, &c, fault);
    }
}

/* Watches what could not be watched, and tells of it: a write may have been missed. */
static void watch_again(struct backend *b)
{
    for (uint32_t domid = 0; domid < WORLD_DOMIDS && b->sim->unwatched_count > 0; domid++) {
        if (b->sim->unwatched[domid]) {
            world_report_name(&b->sim->world, (uint16_t)domid);
            watch(b, (uint16_t)domid);
        }
    }
}

static void begin_look(struct backend *b)
{
    const struct call c = { SCENARIO_OP_EVENTS,
                            { .domid = EXPLAIN_NO_DOMAIN, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    call_make_steps(b->sim);
    if (call_enter(b, &c, &fault, NULL) < 0) {
        world_report_all(&b->sim->world);
        return;
    }
    if (fault && fault->effect == SCENARIO_EVENTS_LOST) {
        world_forget_events(&b->sim->world);
    }
    watch_again(b);
}

bool event_next(struct backend *b, unsigned *events, uint16_t *domid)
{
    CALL_LOCKED(b);
    if (!b->sim->is_looking) {
        begin_look(b);
    }
    b->sim->is_looking = world_next_event(&b->sim->world, events, domid);
    if (!b->sim->is_looking) {
        call_update_wake(b->sim);
    }
    return b->sim->is_looking;
}
