/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See scenario_schema.h. Tables: a new option is a row in one, and its bounds or words in another. */
#include "server/mapper/sim/scenario_schema.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/message.h"
#include "common/settings.h"
#include "common/text.h"
#include "server/mapper/sim/scenario.h"

enum { ERRNO_END = 4096 }; /* the kernel's are below */

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
    CFG_BOOL("scribbles", cfg_false, CFGF_NONE),
    WORD("play", ""),
    CFG_END(),
};
static cfg_opt_t ioreq_options[] = {
    CFG_BOOL("buffered", cfg_true, CFGF_NONE),
    WORD("emulator", "dom0"),
    NUMBER("requests_per_second", 0),
    WORD("play", ""),
    CFG_END(),
};
static cfg_opt_t vmtrace_options[] = {
    NUMBER("size", 0),
    CFG_STR_LIST("source", NULL, CFGF_NONE),
    NUMBER("rate", 0),
    CFG_BOOL("loop", cfg_false, CFGF_NONE),
    CFG_BOOL("sequence", cfg_false, CFGF_NONE),
    CFG_BOOL("enabled", cfg_false, CFGF_NONE),
    CFG_INT_LIST("lap_at", NULL, CFGF_NONE),
    CFG_INT_LIST("idle_vcpus", NULL, CFGF_NONE),
    CFG_END(),
};
static cfg_opt_t domain_options[] = {
    NUMBER("domid", -1),
    WORD("uuid", ""),
    WORD("name", ""),
    CFG_STR_LIST("tags", NULL, CFGF_NONE),
    WORD("type", "pv"),
    WORD("state", "running"),
    CFG_BOOL("present", cfg_true, CFGF_NONE),
    NUMBER("vcpus", 1),
    NUMBER("max_vcpus", 0),
    NUMBER("memory_mib", 256),
    NUMBER("cpu_percent", 10),
    CFG_SEC("grants", grants_options, CFGF_NONE),
    CFG_SEC("vmtrace", vmtrace_options, CFGF_NONE),
    CFG_SEC("ioreq", ioreq_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
    CFG_END(),
};
static cfg_opt_t event_options[] = {
    NUMBER("at_ms", -1), NUMBER("step", 0),  WORD("do", ""),   WORD("domain", ""),
    NUMBER("vcpu", -1),  NUMBER("value", 0), WORD("text", ""), CFG_END(),
};
static cfg_opt_t fault_options[] = {
    WORD("operation", ""), WORD("effect", "fail"), WORD("errno", "EIO"), NUMBER("value", 0),
    WORD("domain", ""),    NUMBER("call", 1),      NUMBER("count", 1),   CFG_END(),
};
static cfg_opt_t churn_options[] = {
    NUMBER("domains", 0),
    NUMBER("period_ms", 1000),
    NUMBER("first_domid", 1000),
    WORD("like", ""),
    CFG_END(),
};
static cfg_opt_t options[] = {
    NUMBER("seed", 1),
    WORD("clock", "real"),
    NUMBER("step_ms", 0),
    CFG_SEC("host", host_options, CFGF_NONE),
    CFG_SEC("domain", domain_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
    CFG_SEC("churn", churn_options, CFGF_NONE),
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
    { "domain|vcpus", 1, SCENARIO_VCPUS_MAX },
    { "domain|max_vcpus", 0, SCENARIO_VCPUS_MAX },
    { "domain|memory_mib", 1, 1L << 30 },
    { "domain|cpu_percent", 0, 100 },
    { "domain|vmtrace|size", 4096, 64 << 20 },
    { "domain|vmtrace|rate", 0, 1L << 33 },
    { "domain|vmtrace|lap_at", 0, 1L << 50 },
    { "domain|vmtrace|idle_vcpus", 0, SCENARIO_VCPUS_MAX - 1 },
    { "domain|grants|version", 1, 2 },
    { "domain|grants|frames", 1, SCENARIO_GRANT_FRAMES_MAX },
    { "domain|grants|frames_max", 1, SCENARIO_GRANT_FRAMES_MAX },
    { "domain|grants|entries", 0, SCENARIO_GRANT_FRAMES_MAX * 512L },
    { "domain|grants|changes_per_second", 0, 10000000 },
    { "domain|ioreq|requests_per_second", 0, 1000000 },
    { "churn|domains", 0, SCENARIO_CHURN_DOMAINS_MAX },
    { "churn|period_ms", 1, 86400000 },
    { "churn|first_domid", 1, 32000 },
    { "step_ms", 0, 86400000 },
    { "event|at_ms", 0, 86400000 },
    { "event|step", 1, 1000000 },
    { "event|vcpu", 0, SCENARIO_VCPUS_MAX - 1 },
    { "event|value", -0xffffffffL, 0xffffffffL }, /* below 0 for a clock alone */
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
static const struct word clocks[] = { { "real", 0 }, { "virtual", 1 }, { NULL, 0 } };
static const struct word emulators[] = { { "dom0", 0 }, { "stubdom", 1 }, { NULL, 0 } };
static const struct word actions[] = {
    { "create", SCENARIO_CREATE },
    { "destroy", SCENARIO_DESTROY },
    { "reboot", SCENARIO_REBOOT },
    { "restore", SCENARIO_RESTORE },
    { "shutdown", SCENARIO_SHUTDOWN },
    { "crash", SCENARIO_CRASH },
    { "pause", SCENARIO_PAUSE },
    { "unpause", SCENARIO_UNPAUSE },
    { "rename", SCENARIO_RENAME },
    { "rewrite_name", SCENARIO_REWRITE_NAME },
    { "remove_name", SCENARIO_REMOVE_NAME },
    { "retag", SCENARIO_RETAG },
    { "open_tags", SCENARIO_OPEN_TAGS },
    { "grow", SCENARIO_GROW },
    { "set_version", SCENARIO_SET_VERSION },
    { "change", SCENARIO_CHANGE },
    { "destroy_ioreq", SCENARIO_DESTROY_IOREQ },
    { "create_ioreq", SCENARIO_CREATE_IOREQ },
    { "lose_pages", SCENARIO_LOSE_PAGES },
    { "vmtrace_enable", SCENARIO_VMTRACE_ENABLE },
    { "vmtrace_disable", SCENARIO_VMTRACE_DISABLE },
    { "vmtrace_reset", SCENARIO_VMTRACE_RESET },
    { "vmtrace_ctl", SCENARIO_VMTRACE_CTL },
    { "vmtrace_status", SCENARIO_VMTRACE_STATUS },
    { "vmtrace_emit", SCENARIO_VMTRACE_EMIT },
    { "clock_step", SCENARIO_CLOCK_STEP },
    { NULL, 0 },
};
static const struct word operations[] = {
    { "host", SCENARIO_OP_HOST },
    { "list", SCENARIO_OP_LIST },
    { "find", SCENARIO_OP_FIND },
    { "name", SCENARIO_OP_NAME },
    { "tags", SCENARIO_OP_TAGS },
    { "size", SCENARIO_OP_SIZE },
    { "grant_version", SCENARIO_OP_GRANT_VERSION },
    { "map", SCENARIO_OP_MAP },
    { "unmap", SCENARIO_OP_UNMAP },
    { "vcpu_info", SCENARIO_OP_VCPU_INFO },
    { "vmtrace_enable", SCENARIO_OP_VMTRACE_ENABLE },
    { "vmtrace_disable", SCENARIO_OP_VMTRACE_DISABLE },
    { "vmtrace_reset_and_enable", SCENARIO_OP_VMTRACE_RESET_AND_ENABLE },
    { "vmtrace_position", SCENARIO_OP_VMTRACE_POSITION },
    { "vmtrace_get_option", SCENARIO_OP_VMTRACE_GET_OPTION },
    { "vmtrace_set_option", SCENARIO_OP_VMTRACE_SET_OPTION },
    { "events", SCENARIO_OP_EVENTS },
    { "watch", SCENARIO_OP_WATCH },
    { "unwatch", SCENARIO_OP_UNWATCH },
    { NULL, 0 },
};
static const struct word effects[] = {
    { "fail", SCENARIO_FAIL },
    { "wrong_size", SCENARIO_WRONG_SIZE },
    { "dies", SCENARIO_DIES },
    { "pages_lost", SCENARIO_PAGES_LOST },
    { "frozen", SCENARIO_FROZEN },
    { "lost", SCENARIO_EVENTS_LOST },
    { NULL, 0 },
};
static const struct {
    const char *path;
    const struct word *words;
} all_words[] = {
    { "clock", clocks },         { "domain|type", types },
    { "domain|state", states },  { "domain|ioreq|emulator", emulators },
    { "event|do", actions },     { "fault|operation", operations },
    { "fault|effect", effects },
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

int scenario_schema_errno(const char *name)
{
    for (int errnum = 1; errnum < ERRNO_END; errnum++) {
        const char *known = strerrorname_np(errnum);
        if (known && strcmp(known, name) == 0) {
            return errnum;
        }
    }
    return 0;
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
        char expected[512] = "";
        size_t used = 0;
        for (const struct word *w = all_words[i].words; w->word && used < sizeof(expected); w++) {
            used += (size_t)snprintf(expected + used, sizeof(expected) - used, " %s", w->word);
        }
        settings_fault(cfg, "%s = \"%s\": expected one of:%s", opt->name, value, expected);
    }
    return 0;
}

static int validate_errno(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
    if (scenario_schema_errno(value) == 0) {
        settings_fault(cfg, "errno = \"%s\": expected the name of an errno, like EIO", value);
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

cfg_t *scenario_schema_new(void)
{
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    if (!cfg) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(all_bounds) / sizeof(all_bounds[0]); i++) {
        cfg_set_validate_func(cfg, all_bounds[i].path, validate_number);
    }
    for (size_t i = 0; i < sizeof(all_words) / sizeof(all_words[0]); i++) {
        cfg_set_validate_func(cfg, all_words[i].path, validate_word);
    }
    cfg_set_validate_func(cfg, "fault|errno", validate_errno);
    cfg_set_validate_func(cfg, "host|uuid", validate_uuid);
    cfg_set_validate_func(cfg, "domain|uuid", validate_uuid);
    return cfg;
}

int scenario_schema_word(cfg_t *section, const char *option)
{
    cfg_opt_t *opt = cfg_getopt(section, option);
    for (size_t i = 0; i < sizeof(all_words) / sizeof(all_words[0]); i++) {
        if (path_is(all_words[i].path, section, opt)) {
            const struct word *w = find_word(all_words[i].words, cfg_opt_getnstr(opt, 0));
            return w ? w->value : 0;
        }
    }
    return 0;
}
