/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See timeline.h. */
#include "server/mapper/sim/timeline.h"

#include <assert.h>
#include <string.h>

#include "common/clock.h"
#include "server/mapper/sim/draw.h"

enum { DOMID_FIRST_GUEST = 1, DOMID_END = 0x7ff0 };

/* The lowest number that is free and that the scenario gives to nobody. */
static uint16_t free_domid(const struct world *w)
{
    for (uint16_t domid = DOMID_FIRST_GUEST; domid < DOMID_END; domid++) {
        bool taken = world_find(w, domid) != NULL;
        for (uint32_t i = 0; i < w->scenario->domain_count && !taken; i++) {
            taken = w->scenario->domains[i].domid == domid;
        }
        if (!taken) {
            return domid;
        }
    }
    return 0;
}

static void create(struct world *w, uint32_t spec, uint16_t domid, uint64_t now_ns)
{
    world_create(w, &(struct guest_birth){ .spec_index = spec, .domid = domid, .now_ns = now_ns });
}

static void move_all(struct world *w, uint64_t now_ns)
{
    for (uint32_t i = 0; i < w->guest_count; i++) {
        world_move(w, w->guests[i], now_ns);
    }
}

/* What needs no living domain. */
static bool perform_birth(struct world *w, const struct scenario_event *e, uint64_t now_ns)
{
    uint16_t domid = w->scenario->domains[e->domain].domid;
    struct guest *g = w->current[e->domain];
    if (e->action == SCENARIO_CREATE) {
        create(w, e->domain, e->value ? (uint16_t)e->value : domid, now_ns);
    } else if (e->action == SCENARIO_REBOOT) {
        if (g) {
            world_destroy(w, g);
        }
        create(w, e->domain, e->value ? (uint16_t)e->value : free_domid(w), now_ns);
    } else if (e->action == SCENARIO_RESTORE) {
        if (g) {
            domid = g->domid;
            world_destroy(w, g);
        }
        create(w, e->domain, domid, now_ns);
    } else {
        return false;
    }
    return true;
}

static void step_clock(struct world *w, int64_t by_ms)
{
    int64_t by_ns = by_ms * (int64_t)CLOCK_NS_PER_MS;
    clock_shift_wall(by_ns);
    w->wall_shift_ns += by_ns;
}

static void set_state(struct guest *g, uint32_t state)
{
    g->state = state;
    g->shutdown_code = 0;
}

static void shut_down(struct world *w, struct guest *g, uint32_t code)
{
    g->state = code == SCENARIO_SHUTDOWN_CRASH ? DOMAIN_CRASHED : DOMAIN_SHUTDOWN;
    g->shutdown_code = code;
    w->domains_changed = true;
}

static void perform_of_guest(struct world *w, const struct scenario_event *e, struct guest *g)
{
    switch (e->action) {
    case SCENARIO_DESTROY: world_destroy(w, g); break;
    case SCENARIO_SHUTDOWN: shut_down(w, g, e->value); break;
    case SCENARIO_CRASH: shut_down(w, g, SCENARIO_SHUTDOWN_CRASH); break;
    case SCENARIO_PAUSE: set_state(g, DOMAIN_PAUSED); break;
    case SCENARIO_UNPAUSE: set_state(g, DOMAIN_RUNNING); break;
    case SCENARIO_RENAME: world_rename(w, g, e->text); break;
    case SCENARIO_REWRITE_NAME: world_name_event(w, g->domid); break;
    case SCENARIO_REMOVE_NAME: world_rename(w, g, ""); break;
    case SCENARIO_RETAG: world_retag(w, g, e->text, false); break;
    case SCENARIO_OPEN_TAGS: world_retag(w, g, "", true); break;
    case SCENARIO_GROW:
        if (e->value <= g->spec->grant_frames_max && e->value > g->grants.frame_count) {
            g->grants.frame_count = e->value;
        }
        break;
    case SCENARIO_SET_VERSION: guest_grants_set_version(&g->grants, e->value == 2 ? 2 : 1); break;
    case SCENARIO_CHANGE: guest_grants_change(&g->grants, e->value); break;
    case SCENARIO_DESTROY_IOREQ: guest_ioreqs_set_exists(&g->ioreq[e->value], false); break;
    case SCENARIO_CREATE_IOREQ: guest_ioreqs_set_exists(&g->ioreq[e->value], true); break;
    case SCENARIO_LOSE_PAGES: guest_lose_pages(g); break;
    case SCENARIO_VMTRACE_ENABLE:
    case SCENARIO_VMTRACE_DISABLE:
    case SCENARIO_VMTRACE_RESET:
    case SCENARIO_VMTRACE_CTL:
    case SCENARIO_VMTRACE_STATUS:
    case SCENARIO_VMTRACE_EMIT: guest_vmtrace_happen(&g->vmtrace, e); break;
    case SCENARIO_CREATE:
    case SCENARIO_REBOOT:
    case SCENARIO_RESTORE:
    case SCENARIO_CLOCK_STEP: break; /* of no guest, or of none that is there */
    }
}

static void perform(struct world *w, const struct scenario_event *e, uint64_t now_ns)
{
    if (e->action == SCENARIO_CLOCK_STEP) {
        step_clock(w, e->clock_step_ms);
        return;
    }
    struct guest *g = w->current[e->domain];
    w->told.now_ns = now_ns;
    if (!perform_birth(w, e, now_ns) && g) {
        perform_of_guest(w, e, g);
    }
}

/* The next number of the churn's that nobody has; 0: there is none. */
static uint16_t churn_domid(struct world *w)
{
    const struct scenario_churn *churn = &w->scenario->churn;
    for (uint32_t tries = 0; tries < churn->domid_count; tries++) {
        uint32_t domid = churn->first_domid + w->churn.numbers_given++ % churn->domid_count;
        if (!world_find(w, (uint16_t)domid)) {
            return (uint16_t)domid;
        }
    }
    return 0;
}

static void churn_create(struct world *w, uint32_t spec, uint64_t now_ns)
{
    uint8_t uuid[UUID_BYTES];
    uint16_t domid = churn_domid(w);
    uint64_t a = draw_next(&w->churn.random), b = draw_next(&w->churn.random);
    memcpy(uuid, &a, sizeof(a));
    memcpy(uuid + sizeof(a), &b, sizeof(b));
    if (domid != 0) {
        /* Now and then a reboot: another domain with the UUID that it had at the start. */
        world_create(w, &(struct guest_birth){ .spec_index = spec,
                                               .domid = domid,
                                               .now_ns = now_ns,
                                               .uuid = a % 4 == 0 ? NULL : uuid });
    }
}

static void churn_turn(struct world *w, uint64_t now_ns)
{
    const struct scenario_churn *churn = &w->scenario->churn;
    uint32_t spec = churn->first_domain + (uint32_t)(w->churn.turns / 2 % churn->domain_count);
    if (w->churn.turns % 2 != 0) {
        churn_create(w, spec, now_ns);
    } else if (w->current[spec]) {
        world_destroy(w, w->current[spec]);
    }
    w->churn.turns++;
    w->churn.next_ns += churn->period_ms * CLOCK_NS_PER_MS;
}

/* When the next event of the scenario's is due. */
static uint64_t next_event_ns(const struct world *w)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < w->scenario->event_count; i++) {
        const struct scenario_event *e = &w->scenario->events[i];
        uint64_t at_ns = w->started_ns + e->at_ms * CLOCK_NS_PER_MS;
        if (e->step == 0 && !w->event_done[i] && at_ns < next) {
            next = at_ns;
        }
    }
    return next;
}

uint64_t timeline_next_ns(const struct world *w)
{
    uint64_t next = next_event_ns(w);
    return next < w->churn.next_ns ? next : w->churn.next_ns;
}

/* All events of one time, in the order of the file. */
static void perform_due(struct world *w, uint64_t at_ns)
{
    for (uint32_t i = 0; i < w->scenario->event_count; i++) {
        const struct scenario_event *e = &w->scenario->events[i];
        if (e->step == 0 && !w->event_done[i] &&
            w->started_ns + e->at_ms * CLOCK_NS_PER_MS <= at_ns) {
            w->event_done[i] = true;
            perform(w, e, at_ns);
        }
    }
}

static void create_waiting(struct world *w, uint64_t now_ns)
{
    for (uint32_t i = 0; i < w->scenario->domain_count; i++) {
        if (w->waits_for_domid[i]) {
            create(w, i, w->scenario->domains[i].domid, now_ns);
        }
    }
}

static void happen_until(struct world *w, uint64_t now_ns)
{
    uint32_t turns = 0;
    for (uint64_t at_ns; (at_ns = timeline_next_ns(w)) <= now_ns;) {
        if (w->scenario->clock_is_virtual) {
            w->virtual_ns = at_ns;
        }
        move_all(w, at_ns);
        perform_due(w, at_ns);
        if (w->churn.next_ns > at_ns) {
            continue;
        }
        churn_turn(w, at_ns);
        if (++turns == TIMELINE_CHURN_TURNS_MAX) {
            w->churn.next_ns = now_ns + w->scenario->churn.period_ms * CLOCK_NS_PER_MS;
        }
    }
    create_waiting(w, now_ns); /* a number may have become free */
}

void timeline_tick(struct world *w)
{
    happen_until(w, world_now_ns(w));
}

void timeline_advance(struct world *w, uint64_t by_ns)
{
    uint64_t until_ns = w->virtual_ns + by_ns;
    assert(w->scenario->clock_is_virtual);
    happen_until(w, until_ns);
    w->virtual_ns = until_ns;
    move_all(w, until_ns);
}

void timeline_step(struct world *w)
{
    if (w->scenario->clock_is_virtual) {
        timeline_advance(w, w->scenario->step_ms * CLOCK_NS_PER_MS);
    }
    uint64_t now_ns = world_now_ns(w);
    move_all(w, now_ns);
    w->steps++;
    for (uint32_t i = 0; i < w->scenario->event_count; i++) {
        if (w->scenario->events[i].step == w->steps) {
            perform(w, &w->scenario->events[i], now_ns);
        }
    }
}

void timeline_begin(struct world *w)
{
    const struct scenario_churn *churn = &w->scenario->churn;
    w->churn.random = w->scenario->seed;
    w->churn.next_ns = UINT64_MAX;
    if (churn->domain_count > 0) {
        w->churn.next_ns = w->started_ns + churn->period_ms * CLOCK_NS_PER_MS;
    }
}

void timeline_end(struct world *w)
{
    clock_shift_wall(-w->wall_shift_ns);
    w->wall_shift_ns = 0;
}
