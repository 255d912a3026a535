/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See event.h. */
#include "server/mapper/sim/event.h"

static void set_unwatched(struct backend *b, uint16_t domid, bool unwatched)
{
    if (b->unwatched[domid] != unwatched) {
        b->unwatched[domid] = unwatched;
        b->unwatched_count = unwatched ? b->unwatched_count + 1 : b->unwatched_count - 1;
    }
}

void event_watch_name(struct backend *b, uint16_t domid)
{
    const struct call c = { SCENARIO_OP_WATCH, { .domid = domid, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    bool watched = call_enter(b, &c, &fault, NULL) == 0;
    b->world.name_watched[domid] = watched;
    set_unwatched(b, domid, !watched);
    if (watched) {
        call_leave(b, &c, fault);
    }
}

void event_unwatch_name(struct backend *b, uint16_t domid)
{
    const struct call c = { SCENARIO_OP_UNWATCH, { .domid = domid, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    set_unwatched(b, domid, false);
    if (call_enter(b, &c, &fault, NULL) == 0) {
        b->world.name_watched[domid] = false;
        call_leave(b, &c, fault);
    }
}

/* Watches what could not be watched, and tells of it: a write may have been missed. */
static void watch_again(struct backend *b)
{
    for (uint32_t domid = 0; domid < WORLD_DOMIDS && b->unwatched_count > 0; domid++) {
        if (b->unwatched[domid]) {
            world_report_name(&b->world, (uint16_t)domid);
            event_watch_name(b, (uint16_t)domid);
        }
    }
}

static void begin_look(struct backend *b)
{
    const struct call c = { SCENARIO_OP_EVENTS,
                            { .domid = EXPLAIN_NO_DOMAIN, .type = EXPLAIN_NO_RESOURCE } };
    const struct scenario_fault *fault;
    call_make_steps(b);
    if (call_enter(b, &c, &fault, NULL) < 0) {
        world_report_all(&b->world);
        return;
    }
    if (fault && fault->effect == SCENARIO_EVENTS_LOST) {
        world_forget_events(&b->world);
    }
    watch_again(b);
}

bool event_next(struct backend *b, unsigned *events, uint16_t *domid)
{
    if (!b->is_looking) {
        begin_look(b);
    }
    b->is_looking = world_next_event(&b->world, events, domid);
    if (!b->is_looking) {
        call_update_wake(b);
    }
    return b->is_looking;
}
