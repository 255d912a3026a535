/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Two steps: libconfuse parses against the schema, and its validators check every number and word
 * where it stands (scenario_schema.c); then, here, the sections are copied into the scenario, and what
 * concerns several values at once is checked.
 */
#include "server/mapper/sim/scenario.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/scope.h"
#include "common/settings.h"
#include "common/text.h"
#include "server/mapper/sim/scenario_schema.h"

enum { FAULTS_BYTES_MAX = 16384 };

struct reader {
    struct scenario *s;
    struct buffer *faults;
    const char *name;
};

#define FAULT(r, section, ...)                                                                     \
    settings_fault_at((r)->faults, (r)->name, (unsigned)(section)->line, __VA_ARGS__)

static uint32_t number(cfg_t *section, const char *name)
{
    return (uint32_t)cfg_getint(section, name);
}

static void read_text(struct reader *r, cfg_t *section, const char *what, const char *text,
                      char *out, size_t out_bytes)
{
    if (strlen(text) >= out_bytes) {
        FAULT(r, section, "%s has more than %zu bytes", what, out_bytes - 1);
        return;
    }
    memcpy(out, text, strlen(text) + 1);
}

static void read_ioreqs(struct reader *r, cfg_t *section, struct scenario_domain *d)
{
    for (unsigned i = 0; i < cfg_size(section, "ioreq"); i++) {
        cfg_t *server = cfg_getnsec(section, "ioreq", i);
        uint64_t id;
        if (!text_to_u64(cfg_title(server), SCENARIO_IOREQ_SERVERS_MAX - 1, &id)) {
            FAULT(r, server, "ioreq \"%s\": expected an id from 0 to 7", cfg_title(server));
            continue;
        }
        if (d->type == DOMAIN_PV) {
            FAULT(r, server, "a pv domain has no ioreq servers");
        }
        d->ioreq[id] = (struct scenario_ioreq){
            .exists = true,
            .buffered = cfg_getbool(server, "buffered"),
            .in_stub_domain = scenario_schema_word(server, "emulator") == 1,
            .requests_per_second = number(server, "requests_per_second"),
        };
    }
}

static void read_grants(struct reader *r, cfg_t *section, struct scenario_domain *d)
{
    cfg_t *grants = cfg_getsec(section, "grants");
    d->grant_version = number(grants, "version");
    d->grant_frames = number(grants, "frames");
    d->grant_frames_max = number(grants, "frames_max");
    d->grant_entries = number(grants, "entries");
    d->grant_changes_per_second = number(grants, "changes_per_second");
    uint32_t capacity = d->grant_frames * (d->grant_version == 1 ? 512U : 256U);
    if (d->grant_frames > d->grant_frames_max) {
        FAULT(r, section, "frames = %u is above frames_max = %u", d->grant_frames,
              d->grant_frames_max);
    } else if (d->grant_entries > capacity) {
        FAULT(r, section, "entries = %u: %u frames have %u", d->grant_entries, d->grant_frames,
              capacity);
    }
}

static void read_domain(struct reader *r, cfg_t *section, struct scenario_domain *d)
{
    const char *title = cfg_title(section);
    const char *name = cfg_getstr(section, "name");
    read_text(r, section, "the title", title, d->title, sizeof(d->title));
    read_text(r, section, "name", name[0] ? name : title, d->name, sizeof(d->name));
    if (cfg_getint(section, "domid") < 0) {
        FAULT(r, section, "domain \"%s\" has no domid", title);
    }
    d->domid = (uint16_t)cfg_getint(section, "domid");
    if (!text_to_uuid(cfg_getstr(section, "uuid"), d->uuid)) {
        FAULT(r, section, "domain \"%s\" has no uuid", title);
    }
    d->present = cfg_getbool(section, "present");
    d->type = (uint32_t)scenario_schema_word(section, "type");
    d->state = (uint32_t)scenario_schema_word(section, "state");
    d->vcpus = number(section, "vcpus");
    d->max_vcpus = number(section, "max_vcpus");
    if (d->max_vcpus == 0) {
        d->max_vcpus = d->vcpus;
    }
    if (d->max_vcpus < d->vcpus) {
        FAULT(r, section, "max_vcpus = %u is below vcpus = %u", d->max_vcpus, d->vcpus);
    }
    d->memory_mib = (uint64_t)cfg_getint(section, "memory_mib");
    d->cpu_percent = number(section, "cpu_percent");
    d->vmtrace_kib = number(section, "vmtrace_kib");
    if (d->vmtrace_kib % 4 != 0) {
        FAULT(r, section, "vmtrace_kib: expected a multiple of 4");
    }
    if (d->vmtrace_kib > 0 && d->type == DOMAIN_PV) {
        FAULT(r, section, "a pv domain has no vmtrace buffer");
    }
    read_grants(r, section, d);
    read_ioreqs(r, section, d);
}

bool scenario_operation_is_of_a_domain(enum scenario_operation operation)
{
    return operation != SCENARIO_OP_HOST && operation != SCENARIO_OP_LIST &&
           operation != SCENARIO_OP_EVENTS;
}

static uint32_t domain_titled(const struct scenario *s, const char *title)
{
    for (uint32_t i = 0; i < s->domain_count; i++) {
        if (strcmp(s->domains[i].title, title) == 0) {
            return i;
        }
    }
    return SCENARIO_NO_DOMAIN;
}

static void read_event(struct reader *r, cfg_t *section, struct scenario_event *e)
{
    const char *title = cfg_getstr(section, "domain");
    if (!cfg_getstr(section, "do")[0]) {
        FAULT(r, section, "an event without `do`");
    }
    e->action = (enum scenario_action)scenario_schema_word(section, "do");
    e->domain = domain_titled(r->s, title);
    if (e->domain == SCENARIO_NO_DOMAIN) {
        FAULT(r, section, "domain = \"%s\": there is none", title);
    }
    e->step = number(section, "step");
    if ((cfg_getint(section, "at_ms") >= 0) == (e->step > 0)) {
        FAULT(r, section, "expected exactly one of at_ms and step");
    }
    e->at_ms = e->step ? 0 : (uint64_t)cfg_getint(section, "at_ms");
    e->value = number(section, "value");
    read_text(r, section, "text", cfg_getstr(section, "text"), e->text, sizeof(e->text));
}

static void read_fault(struct reader *r, cfg_t *section, struct scenario_fault *f)
{
    const char *title = cfg_getstr(section, "domain");
    if (!cfg_getstr(section, "operation")[0]) {
        FAULT(r, section, "a fault without `operation`");
    }
    f->operation = (enum scenario_operation)scenario_schema_word(section, "operation");
    f->effect = (enum scenario_effect)scenario_schema_word(section, "effect");
    f->errnum = scenario_schema_errno(cfg_getstr(section, "errno"));
    f->value = number(section, "value");
    f->first_call = (uint64_t)cfg_getint(section, "call");
    f->call_count = (uint64_t)cfg_getint(section, "count");
    f->domain = SCENARIO_NO_DOMAIN;
    if (title[0]) {
        f->domain = domain_titled(r->s, title);
        if (f->domain == SCENARIO_NO_DOMAIN) {
            FAULT(r, section, "domain = \"%s\": there is none", title);
        }
    }
    bool is_of_a_domain = scenario_operation_is_of_a_domain(f->operation);
    if (f->domain != SCENARIO_NO_DOMAIN && !is_of_a_domain) {
        FAULT(r, section, "domain = \"%s\": operation = \"%s\" is about none", title,
              cfg_getstr(section, "operation"));
    }
    if ((f->effect == SCENARIO_WRONG_SIZE && f->operation != SCENARIO_OP_SIZE) ||
        (f->effect == SCENARIO_PAGES_LOST && f->operation != SCENARIO_OP_MAP) ||
        (f->effect == SCENARIO_EVENTS_LOST && f->operation != SCENARIO_OP_EVENTS) ||
        (f->effect == SCENARIO_DIES && !is_of_a_domain)) {
        FAULT(r, section, "effect = \"%s\" does not go with operation = \"%s\"",
              cfg_getstr(section, "effect"), cfg_getstr(section, "operation"));
    }
}

static uint32_t count_of(struct reader *r, cfg_t *cfg, const char *name, unsigned max)
{
    unsigned count = cfg_size(cfg, name);
    if (count <= max) {
        return count;
    }
    settings_fault_at(r->faults, r->name, 0, "%u sections `%s`: expected at most %u", count, name,
                      max);
    return 0;
}

static void check_domids(struct reader *r)
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

static void read_all(struct reader *r, cfg_t *cfg)
{
    struct scenario *s = r->s;
    cfg_t *host = cfg_getsec(cfg, "host");
    s->seed = (uint64_t)cfg_getint(cfg, "seed");
    read_text(r, host, "xen_version", cfg_getstr(host, "xen_version"), s->host.xen_version,
              sizeof(s->host.xen_version));
    (void)text_to_uuid(cfg_getstr(host, "uuid"), s->host.uuid); /* validated */
    s->host.cpus = number(host, "cpus");
    s->host.memory_mib = (uint64_t)cfg_getint(host, "memory_mib");
    s->host.stats_table = cfg_getbool(host, "stats_table");
    s->host.stats_busy = cfg_getbool(host, "stats_busy");

    s->domain_count = count_of(r, cfg, "domain", SCENARIO_DOMAINS_MAX);
    for (uint32_t i = 0; i < s->domain_count; i++) {
        read_domain(r, cfg_getnsec(cfg, "domain", i), &s->domains[i]);
    }
    s->event_count = count_of(r, cfg, "event", SCENARIO_EVENTS_MAX);
    for (uint32_t i = 0; i < s->event_count; i++) {
        read_event(r, cfg_getnsec(cfg, "event", i), &s->events[i]);
    }
    s->fault_count = count_of(r, cfg, "fault", SCENARIO_FAULTS_MAX);
    for (uint32_t i = 0; i < s->fault_count; i++) {
        read_fault(r, cfg_getnsec(cfg, "fault", i), &s->faults[i]);
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

int scenario_parse(const char *text, const char *name, struct scenario **out, struct failure *f)
{
    SCOPE_FREE struct scenario *s = calloc(1, sizeof(*s));
    SCOPE_FREE char *copy = strdup(text);
    cfg_t *cfg = scenario_schema_new();
    BUFFER_AUTO(faults, FAULTS_BYTES_MAX);
    int result = 0;
    if (!s || !copy || !cfg) {
        result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the scenario");
    } else {
        result = settings_parse_text(cfg, name, copy, strlen(copy), &faults, f);
    }
    if (result == 0) {
        struct reader r = { .s = s, .faults = &faults, .name = name };
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
    free(s);
}
