/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Two steps: libconfuse parses against the schema, and its validators check every number and word
 * where it stands (scenario_schema.c); then, here and in scenario_happenings.c, the sections are copied
 * into the scenario, and what concerns several values at once is checked.
 */
#include "server/mapper/sim/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/message_tags.h"
#include "common/scope.h"
#include "common/text.h"
#include "server/mapper/sim/scenario_reader.h"
#include "server/mapper/sim/scenario_schema.h"

enum { FAULTS_BYTES_MAX = 16384 };

uint32_t scenario_reader_number(cfg_t *section, const char *name)
{
    return (uint32_t)cfg_getint(section, name);
}

void scenario_reader_text(struct scenario_reader *r, cfg_t *section, const char *what,
                          const char *text, char *out, size_t out_bytes)
{
    if (strlen(text) >= out_bytes) {
        SCENARIO_FAULT(r, section, "%s has more than %zu bytes", what, out_bytes - 1);
        return;
    }
    memcpy(out, text, strlen(text) + 1);
}

void scenario_reader_path(const struct scenario_reader *r, const char *file, struct buffer *out)
{
    const char *slash = file[0] == '/' ? NULL : strrchr(r->name, '/');
    if (slash) {
        buffer_append(out, r->name, (size_t)(slash + 1 - r->name));
    }
    buffer_append_string(out, file);
}

/* The play that the option `play` names; NULL: none, or a fault. */
static const struct play *read_play(struct scenario_reader *r, cfg_t *section)
{
    const char *file = cfg_getstr(section, "play");
    struct failure f;
    BUFFER_AUTO(path, SCENARIO_PATH_BYTES_MAX);
    if (!file[0]) {
        return NULL;
    }
    if (r->s->play_count == SCENARIO_PLAYS_MAX) {
        SCENARIO_FAULT(r, section, "play = \"%s\": more than %d play files", file,
                       SCENARIO_PLAYS_MAX);
        return NULL;
    }
    scenario_reader_path(r, file, &path);
    if (!buffer_string(&path)) {
        SCENARIO_FAULT(r, section, "play: the name of the file is too long");
        return NULL;
    }
    if (play_load(buffer_string(&path), &r->s->plays[r->s->play_count], &f) < 0) {
        SCENARIO_FAULT(r, section, "play: %s", f.message);
        return NULL;
    }
    return r->s->plays[r->s->play_count++];
}

static void read_ioreq_play(struct scenario_reader *r, cfg_t *section, struct scenario_ioreq *q)
{
    q->play = read_play(r, section);
    if (!q->play) {
        return;
    }
    if (q->play->grant_version != 0) {
        SCENARIO_FAULT(r, section, "play: the file is one of a grant table");
    } else if (q->play->frame_count > SCENARIO_IOREQ_FRAMES) {
        SCENARIO_FAULT(r, section, "play: the file has %u frames, an ioreq server 2",
                       q->play->frame_count);
    } else if (q->requests_per_second > 0) {
        SCENARIO_FAULT(r, section, "play and requests_per_second: expected one of them");
    }
}

static void read_ioreqs(struct scenario_reader *r, cfg_t *section, struct scenario_domain *d)
{
    for (unsigned i = 0; i < cfg_size(section, "ioreq"); i++) {
        cfg_t *server = cfg_getnsec(section, "ioreq", i);
        uint64_t id;
        if (!text_to_u64(cfg_title(server), SCENARIO_IOREQ_SERVERS_MAX - 1, &id)) {
            SCENARIO_FAULT(r, server, "ioreq \"%s\": expected an id from 0 to 7",
                           cfg_title(server));
            continue;
        }
        if (d->type == DOMAIN_PV) {
            SCENARIO_FAULT(r, server, "a pv domain has no ioreq servers");
        }
        d->ioreq[id] = (struct scenario_ioreq){
            .exists = true,
            .buffered = cfg_getbool(server, "buffered"),
            .in_stub_domain = scenario_schema_word(server, "emulator") == 1,
            .requests_per_second = scenario_reader_number(server, "requests_per_second"),
        };
        read_ioreq_play(r, server, &d->ioreq[id]);
    }
}

/* Version, frames and content are the file's. */
static void read_grants_play(struct scenario_reader *r, cfg_t *section, struct scenario_domain *d)
{
    d->grants_play = read_play(r, section);
    if (!d->grants_play) {
        return;
    }
    if (d->grants_play->grant_version == 0) {
        SCENARIO_FAULT(r, section, "play: the file is none of a grant table");
        return;
    }
    if (d->grant_changes_per_second > 0) {
        SCENARIO_FAULT(r, section, "play and changes_per_second: expected one of them");
    }
    d->grant_version = d->grants_play->grant_version;
    d->grant_frames = d->grants_play->frame_count;
    d->grant_entries = 0;
}

static void read_grants(struct scenario_reader *r, cfg_t *section, struct scenario_domain *d)
{
    cfg_t *grants = cfg_getsec(section, "grants");
    d->grant_version = scenario_reader_number(grants, "version");
    d->grant_frames = scenario_reader_number(grants, "frames");
    d->grant_frames_max = scenario_reader_number(grants, "frames_max");
    d->grant_entries = scenario_reader_number(grants, "entries");
    d->grant_changes_per_second = scenario_reader_number(grants, "changes_per_second");
    d->grant_scribbles = cfg_getbool(grants, "scribbles");
    if (d->grant_scribbles &&
        (d->grant_changes_per_second > 0 || *cfg_getstr(grants, "play") != '\0')) {
        SCENARIO_FAULT(r, section, "scribbles goes with neither changes_per_second nor play");
    }
    read_grants_play(r, grants, d);
    uint32_t capacity = d->grant_frames * (d->grant_version == 1 ? 512U : 256U);
    if (d->grant_frames > d->grant_frames_max) {
        SCENARIO_FAULT(r, section, "frames = %u is above frames_max = %u", d->grant_frames,
                       d->grant_frames_max);
    } else if (d->grant_entries > capacity) {
        SCENARIO_FAULT(r, section, "entries = %u: %u frames have %u", d->grant_entries,
                       d->grant_frames, capacity);
    }
}

static void read_tags(struct scenario_reader *r, cfg_t *section, struct scenario_domain *d)
{
    struct domain_identity seen = { 0 };
    size_t used = 0;
    for (unsigned i = 0; i < cfg_size(section, "tags"); i++) {
        const char *tag = cfg_getnstr(section, "tags", i);
        if (!domain_tag_is_valid(tag)) {
            SCENARIO_FAULT(r, section, "tag \"%s\": expected 1 to %d of a-z, 0-9 and -", tag,
                           MESSAGE_TAG_BYTES - 1);
        } else if (domain_has_tag(&seen, tag)) {
            SCENARIO_FAULT(r, section, "tag \"%s\" stands there twice", tag);
        } else if (!domain_tag_add(&seen, tag)) {
            SCENARIO_FAULT(r, section, "tag \"%s\": more than %d", tag, MESSAGE_TAGS_MAX);
        } else {
            used += (size_t)snprintf(d->tags + used, sizeof(d->tags) - used, "%s%s",
                                     used > 0 ? " " : "", tag);
        }
    }
}

static void read_domain(struct scenario_reader *r, cfg_t *section, struct scenario_domain *d)
{
    const char *title = cfg_title(section);
    const char *name = cfg_getstr(section, "name");
    scenario_reader_text(r, section, "the title", title, d->title, sizeof(d->title));
    scenario_reader_text(r, section, "name", name[0] ? name : title, d->name, sizeof(d->name));
    read_tags(r, section, d);
    if (cfg_getint(section, "domid") < 0) {
        SCENARIO_FAULT(r, section, "domain \"%s\" has no domid", title);
    }
    d->domid = (uint16_t)cfg_getint(section, "domid");
    if (!text_to_uuid(cfg_getstr(section, "uuid"), d->uuid)) {
        SCENARIO_FAULT(r, section, "domain \"%s\" has no uuid", title);
    }
    d->present = cfg_getbool(section, "present");
    d->type = (uint32_t)scenario_schema_word(section, "type");
    d->state = (uint32_t)scenario_schema_word(section, "state");
    d->vcpus = scenario_reader_number(section, "vcpus");
    d->max_vcpus = scenario_reader_number(section, "max_vcpus");
    if (d->max_vcpus == 0) {
        d->max_vcpus = d->vcpus;
    }
    if (d->max_vcpus < d->vcpus) {
        SCENARIO_FAULT(r, section, "max_vcpus = %u is below vcpus = %u", d->max_vcpus, d->vcpus);
    }
    d->memory_mib = (uint64_t)cfg_getint(section, "memory_mib");
    d->cpu_percent = scenario_reader_number(section, "cpu_percent");
    scenario_reader_vmtrace(r, cfg_getsec(section, "vmtrace"), d);
    read_grants(r, section, d);
    read_ioreqs(r, section, d);
}

uint32_t scenario_reader_count(struct scenario_reader *r, cfg_t *cfg, const char *name,
                               unsigned max)
{
    unsigned count = cfg_size(cfg, name);
    if (count <= max) {
        return count;
    }
    settings_fault_at(r->faults, r->name, 0, "%u sections `%s`: expected at most %u", count, name,
                      max);
    return 0;
}

static void check_domids(struct scenario_reader *r)
{
    const struct scenario *s = r->s;
    for (uint32_t i = 0; i < s->domain_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (s->domains[i].present && s->domains[k].present &&
                s->domains[i].domid == s->domains[k].domid) {
                settings_fault_at(r->faults, r->name, 0,
                                  "domains \"%s\" and \"%s\" are both there"
                                  " from the start with domid %u",
                                  s->domains[k].title, s->domains[i].title, s->domains[i].domid);
            }
        }
    }
}

static void read_all(struct scenario_reader *r, cfg_t *cfg)
{
    struct scenario *s = r->s;
    cfg_t *host = cfg_getsec(cfg, "host");
    s->seed = (uint64_t)cfg_getint(cfg, "seed");
    s->clock_is_virtual = scenario_schema_word(cfg, "clock") == 1;
    s->step_ms = (uint64_t)cfg_getint(cfg, "step_ms");
    if (s->step_ms > 0 && !s->clock_is_virtual) {
        settings_fault_at(r->faults, r->name, 0, "step_ms: only a virtual clock is moved by steps");
    }
    scenario_reader_text(r, host, "xen_version", cfg_getstr(host, "xen_version"),
                         s->host.xen_version, sizeof(s->host.xen_version));
    (void)text_to_uuid(cfg_getstr(host, "uuid"), s->host.uuid); /* validated */
    s->host.cpus = scenario_reader_number(host, "cpus");
    s->host.memory_mib = (uint64_t)cfg_getint(host, "memory_mib");
    s->host.stats_table = cfg_getbool(host, "stats_table");
    s->host.stats_busy = cfg_getbool(host, "stats_busy");

    s->domain_count = scenario_reader_count(r, cfg, "domain", SCENARIO_DOMAINS_MAX);
    for (uint32_t i = 0; i < s->domain_count; i++) {
        read_domain(r, cfg_getnsec(cfg, "domain", i), &s->domains[i]);
    }
    scenario_reader_churn(r, cfg_getsec(cfg, "churn"));
    s->event_count = scenario_reader_count(r, cfg, "event", SCENARIO_EVENTS_MAX);
    for (uint32_t i = 0; i < s->event_count; i++) {
        scenario_reader_event(r, cfg_getnsec(cfg, "event", i), &s->events[i]);
    }
    s->fault_count = scenario_reader_count(r, cfg, "fault", SCENARIO_FAULTS_MAX);
    for (uint32_t i = 0; i < s->fault_count; i++) {
        scenario_reader_fault(r, cfg_getnsec(cfg, "fault", i), &s->faults[i]);
    }
    check_domids(r);
}

/* The first fault is in the failure; the log has all. */
static int faults_failure(const char *name, struct buffer *faults, struct failure *f)
{
    const char *all = buffer_string(faults);
    if (!all || !all[0]) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s has faults", name);
    }
    size_t first = strcspn(all, "\n");
    for (const char *line = all; *line;
         line += strcspn(line, "\n") + (strchr(line, '\n') != NULL)) {
        log_error("%.*s", (int)strcspn(line, "\n"), line);
    }
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "%.*s", (int)first, all);
    return failure_next(f, result, "correct the scenario; the format is in xenresd-scenario(5)");
}

static void free_scenario(struct scenario **s)
{
    scenario_free(*s);
}

int scenario_parse(const char *text, const char *name, struct scenario **out, struct failure *f)
{
    __attribute__((cleanup(free_scenario))) struct scenario *s = calloc(1, sizeof(*s));
    SCOPE_FREE char *copy = strdup(text);
    cfg_t *cfg = scenario_schema_new();
    BUFFER_AUTO(faults, FAULTS_BYTES_MAX);
    int result = 0;
    bool is_whole;
    if (!s || !copy || !cfg) {
        result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the scenario");
    } else {
        result = settings_parse_text(cfg, name, copy, strlen(copy), &faults, &is_whole, f);
    }
    if (result == 0) {
        struct scenario_reader r = { .s = s, .faults = &faults, .name = name };
        read_all(&r, cfg);
    }
    if (cfg) {
        cfg_free(cfg);
    }
    if (faults.len_bytes > 0) {
        return faults_failure(name, &faults, f);
    }
    if (result < 0) {
        return result;
    }
    *out = scope_take_pointer(s);
    return 0;
}

int scenario_load(const char *path, struct scenario **out, struct failure *f)
{
    if (!path) {
        return scenario_parse(scenario_builtin, "built-in scenario", out, f);
    }
    BUFFER_AUTO(content, SCENARIO_FILE_BYTES_MAX + 1);
    int result = settings_read_file(path, SCENARIO_FILE_BYTES_MAX, &content, f);
    if (result < 0) {
        return result;
    }
    if (memchr(content.data ? content.data : (const uint8_t *)"", '\0', content.len_bytes)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s has a NUL byte", path);
    }
    const char *text = buffer_string(&content);
    if (!text) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %s", path);
    }
    return scenario_parse(text, path, out, f);
}

void scenario_free(struct scenario *s)
{
    if (!s) {
        return;
    }
    for (uint32_t i = 0; i < s->play_count; i++) {
        free(s->plays[i]);
    }
    for (uint32_t i = 0; i < s->trace_count; i++) {
        free(s->traces[i]);
    }
    free(s);
}
