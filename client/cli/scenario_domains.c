/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/scenario_domains.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/cli/player.h"
#include "client/cli/report.h"
#include "client/cli/scenario_text.h"
#include "common/clock.h"
#include "common/text.h"

enum {
    TEXT_MAX_BYTES = 8 << 20,
    INCARNATION_CHARS = 32,
    DOMID_MAX = 32751,
    VCPUS_MAX = 512,
    MIB_MAX = 1 << 20,
    TAGS_MAX = 16, /* of a domain */
    TAG_CHARS_MAX = 31,
};

/* A life of a domain. */
struct life {
    char incarnation[INCARNATION_CHARS + 1];
    uint32_t state;
    bool is_there, is_listed;
};

struct maker {
    struct player *player; /* has the time of what comes */
    struct life lives[SCENARIO_DOMAINS_MAX_LIVES];
    unsigned life_count, event_count;
    uint64_t start_ns; /* of the first list; 0: none came */
    bool has_list, list_goes_on;
    struct buffer domains, events;
    const char *full; /* why it ends before the recording does; NULL: it does not */
};

/* --- lives --- */

static uint32_t within(uint64_t value, uint32_t min, uint32_t max)
{
    return value < min ? min : value > max ? max : (uint32_t)value;
}

static const char *state_name(uint32_t state)
{
    switch (state) {
    case XENRES_DOMAIN_BLOCKED: return "blocked";
    case XENRES_DOMAIN_PAUSED: return "paused";
    case XENRES_DOMAIN_SHUTDOWN: return "shutdown";
    case XENRES_DOMAIN_CRASHED: return "crashed";
    default: return "running";
    }
}

static const char *type_name(uint32_t type)
{
    return type == XENRES_DOMAIN_HVM ? "hvm" : type == XENRES_DOMAIN_PVH ? "pvh" : "pv";
}

/* A recording may say anything: what could be no tags is none. They come in order. */
static size_t tag_count(const xenres_domain *d)
{
    for (size_t i = 0; i < d->tag_count; i++) {
        size_t len = strspn(d->tags[i], "abcdefghijklmnopqrstuvwxyz0123456789-");

        if (len == 0 || len > TAG_CHARS_MAX || d->tags[i][len] != '\0' || i == TAGS_MAX ||
            (i > 0 && strcmp(d->tags[i - 1], d->tags[i]) >= 0)) {
            return 0;
        }
    }
    return d->tag_count;
}

static void join_tags(struct buffer *out, const xenres_domain *d, const char *between)
{
    for (size_t i = 0; i < tag_count(d); i++) {
        buffer_printf(out, "%s%s", i > 0 ? between : "", d->tags[i]);
    }
}

static void append_tags(struct buffer *out, const xenres_domain *d)
{
    if (tag_count(d) > 0) {
        buffer_append_string(out, "    tags = { \"");
        join_tags(out, d, "\", \"");
        buffer_append_string(out, "\" }\n");
    }
}

static void append_life(struct maker *m, const xenres_domain *d, bool is_present)
{
    struct buffer *out = &m->domains;
    uint32_t max_vcpus = within(d->max_vcpus, 1, VCPUS_MAX);

    buffer_printf(out, "domain \"life-%u\" {\n    domid = %" PRIu32 "\n    uuid = \"%s\"\n",
                  m->life_count, d->identity.domid, d->identity.uuid);
    if (d->identity.name[0] != '\0') {
        buffer_append_string(out, "    name = ");
        scenario_text_string(out, d->identity.name);
        buffer_append_byte(out, '\n');
    }
    append_tags(out, d);
    buffer_printf(out,
                  "    type = \"%s\"\n    state = \"%s\"\n    present = %s\n    vcpus = %" PRIu32
                  "\n    max_vcpus = %" PRIu32 "\n    memory_mib = %" PRIu32 "\n}\n",
                  type_name(d->type), state_name(d->state), is_present ? "true" : "false",
                  within(d->online_vcpus, 1, max_vcpus), max_vcpus,
                  within(d->memory_kib / 1024, 1, MIB_MAX));
}

/* A life that is known, or a new one; NULL: there is no room for it, or it is none. */
static struct life *life_of(struct maker *m, const xenres_domain *d, bool is_present)
{
    uint8_t uuid[UUID_BYTES];

    for (unsigned i = 0; i < m->life_count; i++) {
        if (strncmp(m->lives[i].incarnation, d->identity.incarnation, INCARNATION_CHARS) == 0) {
            return &m->lives[i];
        }
    }
    if (d->identity.domid > DOMID_MAX || !text_to_uuid(d->identity.uuid, uuid)) {
        return NULL;
    }
    if (m->life_count >= SCENARIO_DOMAINS_MAX_LIVES) {
        m->full = "the simulator has no more than 512 domains";
        return NULL;
    }
    append_life(m, d, is_present);
    struct life *life = &m->lives[m->life_count++];

    *life = (struct life){ .state = d->state, .is_there = is_present };
    memcpy(life->incarnation, d->identity.incarnation,
           strnlen(d->identity.incarnation, INCARNATION_CHARS));
    return life;
}

/* --- events --- */

/* False: there is no room for it. end_event() ends it. */
static bool begin_event(struct maker *m, const struct life *life, const char *what)
{
    uint64_t now_ns = m->player->wall_ns;
    uint64_t at_ms = now_ns > m->start_ns ? (now_ns - m->start_ns) / CLOCK_NS_PER_MS : 0;

    if (m->event_count >= SCENARIO_DOMAINS_MAX_EVENTS) {
        m->full = "the simulator takes no more than 1024 events";
        return false;
    }
    m->event_count++;
    buffer_printf(&m->events,
                  "event {\n    at_ms = %" PRIu32 "\n    domain = \"life-%u\"\n    do = \"%s\"\n",
                  within(at_ms, 0, INT32_MAX), (unsigned)(life - m->lives), what);
    return true;
}

static void end_event(struct maker *m)
{
    buffer_append_string(&m->events, "}\n");
}

/* `text`: of a new name; NULL: none. */
static void append_event(struct maker *m, const struct life *life, const char *what,
                         const char *text)
{
    if (!begin_event(m, life, what)) {
        return;
    }
    if (text != NULL) {
        buffer_append_string(&m->events, "    text = ");
        scenario_text_string(&m->events, text);
        buffer_append_byte(&m->events, '\n');
    }
    end_event(m);
}

static void arrive(struct maker *m, const xenres_domain *d)
{
    struct life *life = life_of(m, d, !m->has_list);

    if (life == NULL) {
        return;
    }
    life->is_listed = true;
    if (!life->is_there) {
        append_event(m, life, "create", NULL);
    }
    life->is_there = true;
}

static void leave(struct maker *m, struct life *life)
{
    if (life->is_there) {
        append_event(m, life, "destroy", NULL);
    }
    life->is_there = false;
}

static void change_state(struct maker *m, struct life *life, uint32_t state)
{
    bool was_paused = life->state == XENRES_DOMAIN_PAUSED;

    if (state == XENRES_DOMAIN_SHUTDOWN || state == XENRES_DOMAIN_CRASHED) {
        append_event(m, life, "shutdown", NULL);
    } else if (state == XENRES_DOMAIN_PAUSED && !was_paused) {
        append_event(m, life, "pause", NULL);
    } else if (state != XENRES_DOMAIN_PAUSED && was_paused) {
        append_event(m, life, "unpause", NULL);
    }
    life->state = state;
}

/* --- what is played --- */

static int on_list(void *arg, const xenres_domains_piece *piece)
{
    struct maker *m = arg;

    if (m->full != NULL) {
        return 0;
    }
    for (unsigned i = 0; !m->list_goes_on && i < m->life_count; i++) {
        m->lives[i].is_listed = false;
    }
    m->start_ns = m->start_ns != 0 ? m->start_ns : m->player->wall_ns;
    m->list_goes_on = !piece->complete;
    for (size_t i = 0; i < piece->domain_count; i++) {
        arrive(m, &piece->domains[i]);
    }
    /* Those that went behind a gap. */
    for (unsigned i = 0; piece->complete && i < m->life_count; i++) {
        if (!m->lives[i].is_listed) {
            leave(m, &m->lives[i]);
        }
    }
    m->has_list = m->has_list || piece->complete;
    return 0;
}

/* Tags that nobody knew are none there. */
static void retag(struct maker *m, const struct life *life, const xenres_domain *d)
{
    if (begin_event(m, life, "retag")) {
        buffer_append_string(&m->events, "    text = \"");
        join_tags(&m->events, d, " ");
        buffer_append_string(&m->events, "\"\n");
        end_event(m);
    }
}

static int on_change(void *arg, const xenres_domain_change *c)
{
    struct maker *m = arg;

    if (m->full != NULL || !m->has_list) {
        return 0;
    }
    if (c->kind == XENRES_DOMAIN_CHANGE_CREATED) {
        arrive(m, &c->domain);
        return 0;
    }
    struct life *life = life_of(m, &c->domain, false);

    if (life == NULL || !life->is_there) {
        return 0;
    }
    switch (c->kind) {
    case XENRES_DOMAIN_CHANGE_RENAMED:
        append_event(m, life, "rename", c->domain.identity.name);
        break;
    case XENRES_DOMAIN_CHANGE_RETAGGED: retag(m, life, &c->domain); break;
    case XENRES_DOMAIN_CHANGE_STATE: change_state(m, life, c->domain.state); break;
    case XENRES_DOMAIN_CHANGE_DYING:
    case XENRES_DOMAIN_CHANGE_GONE: leave(m, life); break;
    default: break;
    }
    return 0;
}

static int make(struct maker *m, struct recording_reader *reader)
{
    const xenres_domains_sink sink = {
        .size = sizeof(sink), .list = on_list, .change = on_change, .arg = m
    };
    struct ledger ledger;
    struct player player = { .ledger = &ledger, .domains = &sink };
    struct failure f = { 0 };

    ledger_init(&ledger, NULL, NULL);
    m->player = &player;
    if (player_run(&player, reader, &f) != 0) {
        return report_failure(&f);
    }
    if (!m->has_list) {
        return report_local("no scenario can be made of it: there is no whole list in it", "", 0,
                            "take a recording that has one");
    }
    if (player.flaws + ledger.faults + ledger.gaps > 0) {
        report_note("the recording is not complete: \"xenres verify\" tells what is missing");
    }
    if (m->full != NULL) {
        report_note("the scenario ends before the recording does: %s", m->full);
    }
    return 0;
}

int scenario_domains_write(struct recording_reader *reader, const char *path)
{
    OUTPUT_AUTO output = { .fd = -1 };
    BUFFER_AUTO(text, 2 * TEXT_MAX_BYTES);
    struct maker *m = calloc(1, sizeof(*m));

    if (m == NULL) {
        return report_no_memory();
    }
    buffer_init(&m->domains, TEXT_MAX_BYTES);
    buffer_init(&m->events, TEXT_MAX_BYTES);
    int status = make(m, reader);

    scenario_text_begin(&text);
    buffer_append(&text, m->domains.data, m->domains.len_bytes);
    buffer_append(&text, m->events.data, m->events.len_bytes);
    text.failed = text.failed || m->domains.failed || m->events.failed;
    buffer_done(&m->domains);
    buffer_done(&m->events);
    free(m);
    status = status == 0 ? output_open(&output, path) : status;
    status = status == 0 ? output_text(&output, &text) : status;
    return status == 0 ? output_commit(&output) : status;
}
