/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Two steps: libconfuse parses against the schema, and validators check every number and word where
 * it stands; then the sections are copied into the scenario, and what concerns several values at once
 * is checked.
 */
#include "server/mapper/sim/scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/scope.h"
#include "common/settings.h"

enum { FAULTS_BYTES_MAX = 16384 };

/* --- the schema -------------------------------------------------------------------------------- */

#define NUMBER(name, preset) CFG_INT(name, preset, CFGF_NONE)
#define WORD(name, preset)   CFG_STR(name, preset, CFGF_NONE)

static cfg_opt_t host_options[] = {
    WORD("xen_version", "4.17.0"),
    WORD("uuid", "00000000-0000-0000-0000-000000000000"),
    NUMBER("cpus", 4),
    NUMBER("memory_mib", 16384),
    CFG_BOOL("stats_table", cfg_false, CFGF_NONE),
    CFG_BOOL("stats_busy", cfg_false, CFGF_NONE),
    CFG_END(),
};
static cfg_opt_t grants_options[] = {
    NUMBER("version", 1),
    NUMBER("frames", 1),
    NUMBER("frames_max", 64),
    NUMBER("entries", 8),
    NUMBER("changes_per_second", 0),
    CFG_END(),
};
static cfg_opt_t ioreq_options[] = {
    CFG_BOOL("buffered", cfg_true, CFGF_NONE),
    WORD("emulator", "dom0"),
    NUMBER("requests_per_second", 0),
    CFG_END(),
};
static cfg_opt_t domain_options[] = {
    NUMBER("domid", -1),
    WORD("uuid", ""),
    WORD("name", ""),
    WORD("type", "pv"),
    WORD("state", "running"),
    CFG_BOOL("present", cfg_true, CFGF_NONE),
    NUMBER("vcpus", 1),
    NUMBER("max_vcpus", 0),
    NUMBER("memory_mib", 256),
    NUMBER("cpu_percent", 10),
    NUMBER("vmtrace_kib", 0),
    CFG_SEC("grants", grants_options, CFGF_NONE),
    CFG_SEC("ioreq", ioreq_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
    CFG_END(),
};
static cfg_opt_t event_options[] = {
    NUMBER("at_ms", -1), NUMBER("step", 0), WORD("do", ""), WORD("domain", ""),
    NUMBER("value", 0),  WORD("text", ""),  CFG_END(),
};
static cfg_opt_t fault_options[] = {
    WORD("operation", ""), WORD("effect", "fail"), WORD("errno", "EIO"), NUMBER("value", 0),
    WORD("domain", ""),    NUMBER("call", 1),      NUMBER("count", 1),   CFG_END(),
};
static cfg_opt_t options[] = {
    NUMBER("seed", 1),
    CFG_SEC("host", host_options, CFGF_NONE),
    CFG_SEC("domain", domain_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
    CFG_SEC("event", event_options, CFGF_MULTI),
    CFG_SEC("fault", fault_options, CFGF_MULTI),
    CFG_END(),
};

struct bounds {
    const char *path;
    long min, max;
};
static const struct bounds all_bounds[] = {
    { "seed", 0, 0x7fffffffffffffff },
    { "host|cpus", 1, 4096 },
    { "host|memory_mib", 1, 1L << 34 },
    { "domain|domid", 0, 0x7fef },
    { "domain|vcpus", 1, 512 },
    { "domain|max_vcpus", 0, 512 },
    { "domain|memory_mib", 1, 1L << 30 },
    { "domain|cpu_percent", 0, 100 },
    { "domain|vmtrace_kib", 0, 65536 },
    { "domain|grants|version", 1, 2 },
    { "domain|grants|frames", 1, SCENARIO_GRANT_FRAMES_MAX },
    { "domain|grants|frames_max", 1, SCENARIO_GRANT_FRAMES_MAX },
    { "domain|grants|entries", 0, SCENARIO_GRANT_FRAMES_MAX * 512L },
    { "domain|grants|changes_per_second", 0, 10000000 },
    { "domain|ioreq|requests_per_second", 0, 1000000 },
    { "event|at_ms", 0, 86400000 },
    { "event|step", 1, 1000000 },
    { "event|value", 0, 0xffffffff },
    { "fault|value", 0, 0xffffffff },
    { "fault|call", 1, 1000000000 },
    { "fault|count", 1, 1000000000 },
};

struct word {
    const char *word;
    int value;
};
static const struct word types[] = {
    { "pv", DOMAIN_PV },
    { "hvm", DOMAIN_HVM },
    { "pvh", DOMAIN_PVH },
    { NULL, 0 },
};
static const struct word states[] = {
    { "running", DOMAIN_RUNNING },   { "blocked", DOMAIN_BLOCKED }, { "paused", DOMAIN_PAUSED },
    { "shutdown", DOMAIN_SHUTDOWN }, { "crashed", DOMAIN_CRASHED }, { NULL, 0 },
};
static const struct word emulators[] = { { "dom0", 0 }, { "stubdom", 1 }, { NULL, 0 } };
static const struct word actions[] = {
    { "create", SCENARIO_CREATE },
    { "destroy", SCENARIO_DESTROY },
    { "reboot", SCENARIO_REBOOT },
    { "restore", SCENARIO_RESTORE },
    { "shutdown", SCENARIO_SHUTDOWN },
    { "pause", SCENARIO_PAUSE },
    { "unpause", SCENARIO_UNPAUSE },
    { "rename", SCENARIO_RENAME },
    { "rewrite_name", SCENARIO_REWRITE_NAME },
    { "remove_name", SCENARIO_REMOVE_NAME },
    { "grow", SCENARIO_GROW },
    { "set_version", SCENARIO_SET_VERSION },
    { "change", SCENARIO_CHANGE },
    { "lose_pages", SCENARIO_LOSE_PAGES },
    { NULL, 0 },
};
static const struct word operations[] = {
    { "list", SCENARIO_OP_LIST },
    { "find", SCENARIO_OP_FIND },
    { "name", SCENARIO_OP_NAME },
    { "size", SCENARIO_OP_SIZE },
    { "map", SCENARIO_OP_MAP },
    { "vcpu_info", SCENARIO_OP_VCPU_INFO },
    { NULL, 0 },
};
static const struct word effects[] = {
    { "fail", SCENARIO_FAIL },
    { "wrong_size", SCENARIO_WRONG_SIZE },
    { "dies", SCENARIO_DIES },
    { "pages_lost", SCENARIO_PAGES_LOST },
    { NULL, 0 },
};
static const struct word errnos[] = {
    { "EACCES", EACCES },         { "EAGAIN", EAGAIN }, { "EBUSY", EBUSY },
    { "E2BIG", E2BIG },           { "EFAULT", EFAULT }, { "EINTR", EINTR },
    { "EINVAL", EINVAL },         { "EIO", EIO },       { "EMFILE", EMFILE },
    { "ENODATA", ENODATA },       { "ENOENT", ENOENT }, { "ENOMEM", ENOMEM },
    { "ENOSPC", ENOSPC },         { "ENOSYS", ENOSYS }, { "ENOTTY", ENOTTY },
    { "EOPNOTSUPP", EOPNOTSUPP }, { "EPERM", EPERM },   { "EPIPE", EPIPE },
    { "ESRCH", ESRCH },           { NULL, 0 },
};

static const struct {
    const char *path;
    const struct word *words;
} all_words[] = {
    { "domain|type", types },
    { "domain|state", states },
    { "domain|ioreq|emulator", emulators },
    { "event|do", actions },
    { "fault|operation", operations },
    { "fault|effect", effects },
    { "fault|errno", errnos },
};

static const struct word *find_word(const struct word *words, const char *word)
{
    for (; words->word; words++) {
        if (strcmp(words->word, word) == 0) {
            return words;
        }
    }
    return NULL;
}

/* Does `path` ("domain|grants|frames") end in the section and the option? */
static bool path_is(const char *path, const cfg_t *cfg, const cfg_opt_t *opt)
{
    const char *last = strrchr(path, '|');
    if (!last) {
        return strcmp(path, opt->name) == 0 && strcmp(cfg->name, "root") == 0;
    }
    if (strcmp(last + 1, opt->name) != 0) {
        return false;
    }
    size_t section = strlen(cfg->name);
    return (size_t)(last - path) >= section && memcmp(last - section, cfg->name, section) == 0 &&
           (last - section == path || last[-(ptrdiff_t)section - 1] == '|');
}

static int validate_number(cfg_t *cfg, cfg_opt_t *opt)
{
    long value = cfg_opt_getnint(opt, cfg_opt_size(opt) - 1);
    for (size_t i = 0; i < sizeof(all_bounds) / sizeof(all_bounds[0]); i++) {
        const struct bounds *b = &all_bounds[i];
        if (path_is(b->path, cfg, opt) && (value < b->min || value > b->max)) {
            settings_fault(cfg, "%s = %ld: expected a number from %ld to %ld", opt->name, value,
                           b->min, b->max);
        }
    }
    return 0;
}

static int validate_word(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
    for (size_t i = 0; i < sizeof(all_words) / sizeof(all_words[0]); i++) {
        if (!path_is(all_words[i].path, cfg, opt) || find_word(all_words[i].words, value)) {
            continue;
        }
        char expected[256] = "";
        size_t used = 0;
        for (const struct word *w = all_words[i].words; w->word && used < sizeof(expected); w++) {
            used += (size_t)snprintf(expected + used, sizeof(expected) - used, " %s", w->word);
        }
        settings_fault(cfg, "%s = \"%s\": expected one of:%s", opt->name, value, expected);
    }
    return 0;
}

static int validate_uuid(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
    uint8_t uuid[UUID_BYTES];
    if (!text_to_uuid(value, uuid)) {
        settings_fault(cfg,
                       "uuid = \"%s\": expected a UUID like"
                       " 6c1f2ab4-0d5e-4a3b-9c7d-1e2f3a4b5c6d",
                       value);
    }
    return 0;
}

static void set_validators(cfg_t *cfg)
{
    for (size_t i = 0; i < sizeof(all_bounds) / sizeof(all_bounds[0]); i++) {
        cfg_set_validate_func(cfg, all_bounds[i].path, validate_number);
    }
    for (size_t i = 0; i < sizeof(all_words) / sizeof(all_words[0]); i++) {
        cfg_set_validate_func(cfg, all_words[i].path, validate_word);
    }
    cfg_set_validate_func(cfg, "host|uuid", validate_uuid);
    cfg_set_validate_func(cfg, "domain|uuid", validate_uuid);
}

/* --- from sections to the scenario ------------------------------------------------------------- */

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

/* Validators have seen every word that the file has; what it leaves out has a valid default, or
 * none, and then 0 is as good as anything, since the lack is a fault. */
static int word_value(const struct word *words, cfg_t *section, const char *name)
{
    const struct word *w = find_word(words, cfg_getstr(section, name));
    return w ? w->value : 0;
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
            .in_stub_domain = word_value(emulators, server, "emulator") == 1,
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
    d->type = (uint32_t)word_value(types, section, "type");
    d->state = (uint32_t)word_value(states, section, "state");
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
    e->action = (enum scenario_action)word_value(actions, section, "do");
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
    f->operation = (enum scenario_operation)word_value(operations, section, "operation");
    f->effect = (enum scenario_effect)word_value(effects, section, "effect");
    f->errnum = word_value(errnos, section, "errno");
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
    if ((f->effect == SCENARIO_WRONG_SIZE && f->operation != SCENARIO_OP_SIZE) ||
        (f->effect == SCENARIO_PAGES_LOST && f->operation != SCENARIO_OP_MAP)) {
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
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    BUFFER_AUTO(faults, FAULTS_BYTES_MAX);
    int result = 0;
    if (!s || !copy || !cfg) {
        result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the scenario");
    } else {
        set_validators(cfg);
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
