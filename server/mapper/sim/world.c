/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See world.h. */
#include "server/mapper/sim/world.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/mapper/backend.h"

enum { DOMID_FIRST_GUEST = 1, DOMID_END = 0x7ff0 };

struct guest *world_find(const struct world *w, uint16_t domid)
{
    for (uint32_t i = 0; i < w->guest_count; i++) {
        if (w->guests[i]->domid == domid) {
            return w->guests[i];
        }
    }
    return NULL;
}

void world_report_name(struct world *w, uint16_t domid)
{
    if (w->renamed_count == WORLD_NAME_EVENTS_MAX) {
        w->domains_changed = true; /* cannot happen faster than it is read */
        return;
    }
    w->renamed[(w->renamed_first + w->renamed_count++) % WORLD_NAME_EVENTS_MAX] = domid;
}

static void name_event(struct world *w, uint16_t domid)
{
    if (w->name_watched[domid]) {
        world_report_name(w, domid);
    }
}

void world_forget_events(struct world *w)
{
    w->domains_changed = false;
    w->renamed_count = 0;
}

void world_report_all(struct world *w)
{
    world_forget_events(w); /* what is told now comes to all of it */
    w->domains_changed = true;
    for (uint32_t domid = 0; domid < DOMID_END; domid++) {
        name_event(w, (uint16_t)domid);
    }
}

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
    if (w->current[spec]) {
        return;
    }
    w->waits_for_domid[spec] = world_find(w, domid) != NULL; /* a zombie may have it */
    if (w->waits_for_domid[spec]) {
        return;
    }
    struct failure f;
    struct guest *g = NULL;
    if (w->guest_count == WORLD_GUESTS_MAX ||
        guest_new(w->scenario, spec, domid, now_ns, &g, &f) < 0) {
        log_error("the simulation cannot create domain %u", domid);
        return;
    }
    uint32_t at = w->guest_count++;
    for (; at > 0 && w->guests[at - 1]->domid > domid; at--) {
        w->guests[at] = w->guests[at - 1];
    }
    w->guests[at] = g;
    w->current[spec] = g;
    w->domains_changed = true;
    name_event(w, domid);
}

static void remove_guest(struct world *w, struct guest *g)
{
    uint32_t at = 0;
    while (w->guests[at] != g) {
        at++;
    }
    w->guest_count--;
    for (; at < w->guest_count; at++) {
        w->guests[at] = w->guests[at + 1];
    }
    guest_free(g);
    w->domains_changed = true;
}

void world_destroy(struct world *w, struct guest *g)
{
    if (g->dying) {
        return;
    }
    w->current[g->spec_index] = NULL;
    w->domains_changed = true;
    g->dying = true;
    g->state = DOMAIN_DYING;
    g->name[0] = '\0'; /* the toolstack takes the node away */
    name_event(w, g->domid);
    if (g->mappings == 0) {
        remove_guest(w, g);
    }
}

void world_unmapped(struct world *w, struct guest *g)
{
    g->mappings--;
    if (g->dying && g->mappings == 0) {
        remove_guest(w, g);
    }
}

static void rename_guest(struct world *w, struct guest *g, const char *name)
{
    memcpy(g->name, name, strlen(name) + 1); /* both arrays have the same size */
    name_event(w, g->domid);
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
        }
        if (g) {
            world_destroy(w, g);
        }
        create(w, e->domain, domid, now_ns);
    } else {
        return false;
    }
    return true;
}

static void perform(struct world *w, const struct scenario_event *e, uint64_t now_ns)
{
    struct guest *g = w->current[e->domain];
    if (perform_birth(w, e, now_ns) || !g) {
        return;
    }
    switch (e->action) {
    case SCENARIO_DESTROY: world_destroy(w, g); break;
    case SCENARIO_SHUTDOWN:
        g->state = DOMAIN_SHUTDOWN;
        w->domains_changed = true;
        break;
    case SCENARIO_PAUSE: g->state = DOMAIN_PAUSED; break;
    case SCENARIO_UNPAUSE: g->state = DOMAIN_RUNNING; break;
    case SCENARIO_RENAME: rename_guest(w, g, e->text); break;
    case SCENARIO_REWRITE_NAME: name_event(w, g->domid); break;
    case SCENARIO_REMOVE_NAME: rename_guest(w, g, ""); break;
    case SCENARIO_GROW:
        if (e->value <= g->spec->grant_frames_max && e->value > g->grant_frames) {
            g->grant_frames = e->value;
        }
        break;
    case SCENARIO_SET_VERSION: guest_set_version(g, e->value == 2 ? 2 : 1); break;
    case SCENARIO_CHANGE: guest_change(g, e->value); break;
    case SCENARIO_LOSE_PAGES: guest_lose_pages(g); break;
    case SCENARIO_CREATE:
    case SCENARIO_REBOOT:
    case SCENARIO_RESTORE: break;
    }
}

void world_tick(struct world *w, uint64_t now_ns)
{
    const struct scenario *s = w->scenario;
    for (uint32_t i = 0; i < s->event_count; i++) {
        const struct scenario_event *e = &s->events[i];
        if (w->event_done[i] || e->step > 0) {
            continue;
        }
        if (now_ns - w->started_ns < e->at_ms * CLOCK_NS_PER_MS) {
            continue;
        }
        w->event_done[i] = true;
        perform(w, e, now_ns);
    }
    for (uint32_t i = 0; i < s->domain_count; i++) {
        if (w->waits_for_domid[i]) {
            create(w, i, s->domains[i].domid, now_ns);
        }
    }
}

void world_step(struct world *w, uint64_t now_ns)
{
    w->steps++;
    for (uint32_t i = 0; i < w->scenario->event_count; i++) {
        if (w->scenario->events[i].step == w->steps) {
            perform(w, &w->scenario->events[i], now_ns);
        }
    }
}

uint64_t world_next_ns(const struct world *w)
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

int world_init(struct world *w, const struct scenario *s, uint64_t now_ns, struct failure *f)
{
    w->scenario = s;
    w->started_ns = now_ns;
    for (uint32_t i = 0; i < s->domain_count; i++) {
        if (s->domains[i].present) {
            create(w, i, s->domains[i].domid, now_ns);
        }
        if (s->domains[i].present && !w->current[i]) {
            return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the scenario's domains");
        }
    }
    return 0;
}

void world_done(struct world *w)
{
    for (uint32_t i = 0; i < w->guest_count; i++) {
        guest_free(w->guests[i]);
    }
    w->guest_count = 0;
}

bool world_has_event(const struct world *w)
{
    return w->domains_changed || w->renamed_count > 0;
}

bool world_next_event(struct world *w, unsigned *events, uint16_t *domid)
{
    if (w->renamed_count > 0) {
        *events = BACKEND_EVENT_NAME;
        *domid = w->renamed[w->renamed_first];
        w->renamed_first = (w->renamed_first + 1) % WORLD_NAME_EVENTS_MAX;
        w->renamed_count--;
        return true;
    }
    if (!w->domains_changed) {
        return false;
    }
    w->domains_changed = false;
    *events = BACKEND_EVENT_DOMAINS;
    *domid = 0;
    return true;
}
