/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/policy_file.h"

#include <stdlib.h>
#include <string.h>

#include "auth/guarded_file.h"
#include "auth/policy_limits.h"
#include "auth/policy_list.h"
#include "common/scope.h"
#include "common/settings.h"
#include "common/settings_text.h"

/* --- libconfuse's side: values with their lines ----------------------------------------------- */

static int parse_value(cfg_t *section, cfg_opt_t *option, const char *text, void *result)
{
    size_t len = strlen(text);
    struct policy_value *value = malloc(sizeof *value + len + 1);

    if (value == NULL) {
        return -1;
    }
    value->line = (unsigned)section->line;
    memcpy(value->text, text, len + 1);
    *(void **)result = value;
    /* libconfuse makes room for a value before it calls, and drops the old ones at each `=`: one is
     * there when this is an assignment's first. It does not use `def.number` in options of this
     * type, of which every section has its own: the assignments are counted there. */
    if (option->nvalues == 1 && ++option->def.number > 1) {
        settings_fault(section, "%s stands twice in one section", option->name);
    }
    return 0;
}

static void free_value(void *value)
{
    free(value);
}

static void done_cfg(cfg_t **cfg)
{
    if (*cfg != NULL) {
        (void)cfg_free(*cfg);
    }
}

#define CFG_AUTO __attribute__((cleanup(done_cfg))) cfg_t

/* --- sections --------------------------------------------------------------------------------- */

static char *read_name(struct policy_reading *r, const struct policy_place *place)
{
    size_t len = strlen(place->name);
    bool plain = len > 0 && len <= POLICY_NAME_MAX_BYTES;
    char *name = strdup(place->name);

    for (const char *c = place->name; *c != '\0'; c++) {
        plain = plain && *c >= ' ' && *c <= '~';
    }
    if (!plain) {
        policy_fault(r, place->line,
                     "%s \"%s\": expected a name of 1 to %d printable ASCII characters",
                     place->kind, place->name, POLICY_NAME_MAX_BYTES);
    }
    r->out_of_memory |= name == NULL;
    return name;
}

static const struct policy_value *only_value(cfg_t *section, const char *name)
{
    const cfg_opt_t *option = cfg_getopt(section, name);

    return option->nvalues > 0 ? option->values[0]->ptr : NULL;
}

static void read_effect(struct policy_reading *r, cfg_t *section, struct policy_rule *rule)
{
    const struct policy_value *value = only_value(section, "effect");

    if (value == NULL) {
        policy_fault(r, rule->line, "rule \"%s\" has no effect; expected effect = allow or deny",
                     rule->name);
        return;
    }
    rule->allow = strcmp(value->text, "allow") == 0;
    if (!rule->allow && strcmp(value->text, "deny") != 0) {
        policy_fault(r, value->line, "effect \"%s\": expected allow or deny", value->text);
    }
}

static void read_require_bound(struct policy_reading *r, cfg_t *section, struct policy_rule *rule)
{
    const struct policy_value *value = only_value(section, "require_bound");

    if (value == NULL) {
        return;
    }
    rule->require_bound = strcmp(value->text, "true") == 0;
    if (!rule->require_bound && strcmp(value->text, "false") != 0) {
        policy_fault(r, value->line, "require_bound \"%s\": expected true or false", value->text);
    } else if (rule->require_bound && !rule->allow) {
        policy_fault(r, value->line,
                     "require_bound: who is not bound would get round a rule that "
                     "denies; expected it in a rule that allows");
    }
}

static void read_rule(struct policy_reading *r, cfg_t *section, struct policy_rule *rule)
{
    const struct policy_place place = { "rule", cfg_title(section), rule->line };

    rule->name = read_name(r, &place);
    if (rule->name == NULL) {
        return;
    }
    read_effect(r, section, rule);
    read_require_bound(r, section, rule);
    policy_list_identities(r, cfg_getopt(section, "identities"), &place, &rule->identities);
    policy_list_domains(r, cfg_getopt(section, "domains"), rule);
    policy_list_types(r, cfg_getopt(section, "types"), rule);
    policy_list_actions(r, cfg_getopt(section, "actions"), rule);
}

static void read_limits(struct policy_reading *r, cfg_t *section, struct policy_limit_section *out)
{
    const struct policy_place place = { "limits", cfg_title(section), out->line };

    out->name = read_name(r, &place);
    if (out->name != NULL) {
        policy_limits_read(r, section, out);
    }
}

/* Where the sections of a kind begin. */
struct places {
    const char *kind;
    size_t max, count;
    unsigned lines[POLICY_RULES_MAX + 1];
};

static void find_places(struct policy_reading *r, cfg_t *root, const char *text, size_t len_bytes,
                        struct places *p)
{
    p->count = settings_text_sections(text, len_bytes, p->kind, p->lines, p->max + 1);
    if (p->count > p->max) {
        policy_fault(r, p->lines[p->max], "more than %zu sections of %s", p->max, p->kind);
    } else if (p->count != cfg_size(root, p->kind)) {
        policy_fault(r, 0, "cannot be understood"); /* libconfuse and our scan disagree */
    }
}

/* All sections of a file that parses. */
static int read_sections(struct policy_reading *r, cfg_t *root, const struct places *rules,
                         const struct places *limits, struct policy **out, struct failure *f)
{
    struct policy_parts parts = {
        .rules = calloc(rules->count, sizeof *parts.rules),
        .rule_count = rules->count,
        .sections = calloc(limits->count + 1, sizeof *parts.sections),
        .section_count = limits->count,
    };

    if (parts.rules == NULL || parts.sections == NULL) {
        parts.rule_count = parts.section_count = 0;
        r->out_of_memory = true;
    }
    for (size_t i = 0; i < parts.rule_count && !r->out_of_memory; i++) {
        parts.rules[i].line = rules->lines[i];
        read_rule(r, cfg_getnsec(root, "rule", (unsigned)i), &parts.rules[i]);
    }
    for (size_t i = 0; i < parts.section_count && !r->out_of_memory; i++) {
        parts.sections[i].line = limits->lines[i];
        read_limits(r, cfg_getnsec(root, "limits", (unsigned)i), &parts.sections[i]);
    }
    if (!r->out_of_memory && r->fault_count == 0 && !r->has_faults) {
        return policy_new(&parts, out, f);
    }
    policy_parts_done(&parts);
    if (r->out_of_memory) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for the policy");
    }
    return failure_set(f, ERROR_INVALID_ARGUMENT, "%s has faults", r->name);
}

/* What libconfuse has read. */
static int read_root(struct policy_reading *r, cfg_t *root, const char *text, size_t len_bytes,
                     struct policy **out, struct failure *f)
{
    struct places rules = { .kind = "rule", .max = POLICY_RULES_MAX };
    struct places limits = { .kind = "limits", .max = POLICY_LIMITS_MAX };
    int result;

    find_places(r, root, text, len_bytes, &rules);
    find_places(r, root, text, len_bytes, &limits);
    if (rules.count == 0) {
        /* What is left of a file that was cut short looks like this, too. */
        policy_fault(r, 0, "no rule; expected at least one (with effect = deny, to keep all out)");
    }
    if (r->fault_count > 0) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s has faults", r->name);
    }
    result = read_sections(r, root, &rules, &limits, out, f);
    if (result == 0) {
        policy_set_text(*out, text, len_bytes);
    }
    return result;
}

int policy_file_parse(const char *name, char *text, size_t len_bytes, struct policy **out,
                      struct buffer *faults, struct failure *f)
{
    cfg_opt_t rule_options[] = {
        CFG_PTR_CB("effect", NULL, CFGF_NONE, parse_value, free_value),
        CFG_PTR_LIST_CB("identities", NULL, CFGF_NONE, parse_value, free_value),
        CFG_PTR_LIST_CB("domains", NULL, CFGF_NONE, parse_value, free_value),
        CFG_PTR_LIST_CB("types", NULL, CFGF_NONE, parse_value, free_value),
        CFG_PTR_LIST_CB("actions", NULL, CFGF_NONE, parse_value, free_value),
        CFG_PTR_CB("require_bound", NULL, CFGF_NONE, parse_value, free_value),
        CFG_END(),
    };
    cfg_opt_t limits_options[] = {
        CFG_PTR_LIST_CB("identities", NULL, CFGF_NONE, parse_value, free_value),
        POLICY_LIMITS_OPTIONS(parse_value, free_value),
        CFG_END(),
    };
    cfg_opt_t options[] = {
        CFG_SEC("rule", rule_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_SEC("limits", limits_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_END(),
    };
    CFG_AUTO *root = cfg_init(options, CFGF_NONE);
    struct policy_reading reading = { .name = name, .faults = faults };
    bool is_whole;
    int result;

    if (root == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for the policy");
    }
    result = settings_parse_text(root, name, text, len_bytes, faults, &is_whole, f);
    reading.has_faults = result != 0;
    return is_whole ? read_root(&reading, root, text, len_bytes, out, f) : result;
}

int policy_file_load(const char *path, struct policy **out, struct buffer *faults,
                     struct failure *f)
{
    BUFFER_AUTO(content, POLICY_FILE_MAX_BYTES);
    char none[] = "";
    int result;

    result = guarded_file_read(path, GUARDED_PUBLIC, &content, f);
    if (result == 0 && buffer_string(&content) == NULL) {
        result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for %s", path);
    }
    if (result != 0) {
        return result;
    }
    return policy_file_parse(path, content.data != NULL ? (char *)content.data : none,
                             content.len_bytes, out, faults, f);
}
