/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/policy_file.h"

#include <stdlib.h>
#include <string.h>

#include "auth/guarded_file.h"
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
        settings_fault(section, "%s stands twice in this rule", option->name);
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

/* --- rules ------------------------------------------------------------------------------------ */

static void read_name(struct policy_reading *r, const char *title, struct policy_rule *rule)
{
    size_t len = strlen(title);
    bool plain = len > 0 && len <= POLICY_RULE_NAME_MAX_BYTES;

    for (const char *c = title; *c != '\0'; c++) {
        plain = plain && *c >= ' ' && *c <= '~';
    }
    if (!plain) {
        policy_fault(r, rule->line,
                     "rule \"%s\": expected a name of 1 to %d printable ASCII characters", title,
                     POLICY_RULE_NAME_MAX_BYTES);
    }
    rule->name = strdup(title);
    r->out_of_memory |= rule->name == NULL;
}

static void read_effect(struct policy_reading *r, const cfg_opt_t *option, struct policy_rule *rule)
{
    const struct policy_value *value = option->nvalues > 0 ? option->values[0]->ptr : NULL;

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

static void read_rule(struct policy_reading *r, cfg_t *section, struct policy_rule *rule)
{
    read_name(r, cfg_title(section), rule);
    if (rule->name == NULL) {
        return;
    }
    read_effect(r, cfg_getopt(section, "effect"), rule);
    policy_list_identities(r, cfg_getopt(section, "identities"), rule);
    policy_list_domains(r, cfg_getopt(section, "domains"), rule);
    policy_list_types(r, cfg_getopt(section, "types"), rule);
    policy_list_actions(r, cfg_getopt(section, "actions"), rule);
}

static void free_rules(struct policy_rule *rules, size_t rule_count)
{
    for (size_t i = 0; i < rule_count; i++) {
        policy_rule_done(&rules[i]);
    }
    free(rules);
}

/* All rules of a file that parses. `lines`: where each begins. */
static int read_rules(struct policy_reading *r, cfg_t *root, const unsigned *lines,
                      struct policy **out, struct failure *f)
{
    size_t rule_count = cfg_size(root, "rule");
    struct policy_rule *rules = calloc(rule_count, sizeof *rules);

    r->out_of_memory = rules == NULL;
    for (size_t i = 0; i < rule_count && !r->out_of_memory; i++) {
        rules[i].line = lines[i];
        read_rule(r, cfg_getnsec(root, "rule", (unsigned)i), &rules[i]);
    }
    if (!r->out_of_memory && r->fault_count == 0) {
        return policy_new(rules, rule_count, out, f);
    }
    if (rules != NULL) {
        free_rules(rules, rule_count);
    }
    if (r->out_of_memory) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for the policy");
    }
    return failure_set(f, ERROR_INVALID_ARGUMENT, "%s has %u faults", r->name, r->fault_count);
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
        CFG_END(),
    };
    cfg_opt_t options[] = {
        CFG_SEC("rule", rule_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_END(),
    };
    struct policy_reading reading = { .name = name, .faults = faults };
    unsigned lines[POLICY_RULES_MAX + 1];
    CFG_AUTO *root = cfg_init(options, CFGF_NONE);
    size_t rule_count;
    int result;

    if (root == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for the policy");
    }
    result = settings_parse_text(root, name, text, len_bytes, faults, f);
    if (result != 0) {
        return result;
    }
    rule_count = settings_text_sections(text, len_bytes, lines, POLICY_RULES_MAX + 1);
    if (rule_count > POLICY_RULES_MAX) {
        policy_fault(&reading, lines[POLICY_RULES_MAX], "more than %d rules", POLICY_RULES_MAX);
    } else if (rule_count == 0) {
        /* What is left of a file that was cut short looks like this, too. */
        policy_fault(&reading, 0,
                     "no rule; expected at least one (with effect = deny, to keep all out)");
    } else if (rule_count != cfg_size(root, "rule")) {
        policy_fault(&reading, 0, "cannot be understood"); /* libconfuse and our scan disagree */
    }
    if (reading.fault_count > 0) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s has faults", name);
    }
    result = read_rules(&reading, root, lines, out, f);
    if (result == 0) {
        policy_set_text(*out, text, len_bytes);
    }
    return result;
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
