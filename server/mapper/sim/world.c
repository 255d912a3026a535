/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See world.h. */
#include "server/mapper/sim/world.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/mapper/backend.h"

struct guest *world_find(const struct world *w, uint16_t domid)
{
    for (uint32_t i = 0; i < w->guest_count; i++) {
        if (w->guests[i]->domid == domid) {
            return w->guests[i];
        }
    }
    return NULL;
}

static void report(struct world *w, uint16_t domid, uint16_t event)
{
    if (w->written_count == WORLD_NODE_EVENTS_MAX) {
        w->domains_changed = true; /* cannot happen faster than it is read */
        return;
    }
    uint32_t at = (w->written_first + w->written_count++) % WORLD_NODE_EVENTS_MAX;
    w->written[at].domid = domid;
    w->written[at].event = event;
}

void world_report_name(struct world *w, uint16_t domid)
{
    report(w, domid, BACKEND_EVENT_NAME);
    report(w, domid, BACKEND_EVENT_TAGS);
}

void world_name_event(struct world *w, uint16_t domid)
{
    if (w->name_watched[domid]) {
        report(w, domid, BACKEND_EVENT_NAME);
    }
}

static void tags_event(struct world *w, uint16_t domid)
{
    if (w->name_watched[domid]) {
        report(w, domid, BACKEND_EVENT_TAGS);
    }
}

void world_forget_events(struct world *w)
{
    w->domains_changed = false;
    w->written_count = 0;
}

void world_report_all(struct world *w)
{
    world_forget_events(w); /* what is told now comes to all of it */
    w->domains_changed = true;
    for (uint32_t domid = 0; domid < WORLD_DOMIDS; domid++) {
        world_name_event(w, (uint16_t)domid);
        tags_event(w, (uint16_t)domid);
    }
}

uint64_t world_now_ns(const struct world *w)
{
    return w->scenario->clock_is_virtual ? w->virtual_ns : clock_monotonic_ns();
}

void world_move(struct world *w, struct guest *g, uint64_t now_ns)
{
    w->told.now_ns = now_ns;
    guest_advance(g, now_ns);
}

void world_look(struct world *w, struct guest *g)
{
    world_move(w, g, world_now_ns(w));
}

void world_create(struct world *w, const struct guest_birth *birth)
{
    uint32_t spec = birth->spec_index;
    if (w->current[spec]) {
        return;
    }
    w->told.now_ns = birth->now_ns;
    w->waits_for_domid[spec] = world_find(w, birth->domid) != NULL; /* a zombie may have it */
    if (w->waits_for_domid[spec]) {
        return;
    }
    struct failure f;
    struct guest *g = NULL;
    if (w->guest_count == WORLD_GUESTS_MAX || guest_new(w->scenario, birth, &w->told, &g, &f) < 0) {
        log_error("the simulation cannot create domain %u", birth->domid);
        return;
    }
    uint32_t at = w->guest_count++;
    for (; at > 0 && w->guests[at - 1]->domid > birth->domid; at--) {
        w->guests[at] = w->guests[at - 1];
    }
    w->guests[at] = g;
    w->current[spec] = g;
    w->domains_changed = true;
    world_name_event(w, birth->domid);
    if (g->tags.value[0]) {
        tags_event(w, birth->domid);
    }
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
    g->shutdown_code = 0;
    g->name[0] = '\0'; /* the toolstack takes the folder away */
    world_name_event(w, g->domid);
    if (g->tags.value[0] || g->tags.is_untrusted) {
        world_retag(w, g, "", false);
    }
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

void world_rename(struct world *w, struct guest *g, const char *name)
{
    memcpy(g->name, name, strlen(name) + 1); /* the scenario has seen that it fits */
    world_name_event(w, g->domid);
}

void world_retag(struct world *w, struct guest *g, const char *tags, bool is_open)
{
    g->tags = (struct backend_tags){ .is_untrusted = is_open };
    if (!is_open) {
        memcpy(g->tags.value, tags, strlen(tags)); /* an event's text has its size */
    }
    tags_event(w, g->domid);
}

int world_init(struct world *w, const struct scenario *s, struct failure *f)
{
    w->scenario = s;
    w->started_ns = world_now_ns(w);
    for (uint32_t i = 0; i < s->domain_count; i++) {
        if (s->domains[i].present) {
            world_create(w, &(struct guest_birth){ .spec_index = i,
                                                   .domid = s->domains[i].domid,
                                                   .now_ns = w->started_ns });
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
    return w->domains_changed || w->written_count > 0;
}

bool world_next_event(struct world *w, unsigned *events, uint16_t *domid)
{
    if (w->written_count > 0) {
        *events = w->written[w->written_first].event;
        *domid = w->written[w->written_first].domid;
        w->written_first = (w->written_first + 1) % WORLD_NODE_EVENTS_MAX;
        w->written_count--;
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
