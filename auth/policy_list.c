/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/policy_list.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity_pattern.h"
#include "auth/policy_file.h"
#include "common/message_tags.h"
#include "common/settings.h"

enum { FAULT_TEXT_BYTES = 768 };

void policy_fault(struct policy_reading *r, unsigned line, const char *format, ...)
{
    char text[FAULT_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->fault_count++;
    settings_fault_at(r->faults, r->name, line, "%s", text);
}

static const struct policy_value *value_at(const cfg_opt_t *list, size_t i)
{
    return list->values[i]->ptr;
}

/* Has one member at least, and no more than may be. */
static bool check_count(struct policy_reading *r, const cfg_opt_t *list,
                        const struct policy_place *place)
{
    if (list->nvalues == 0) {
        policy_fault(r, place->line, "%s \"%s\" has no %s; expected a list with at least one",
                     place->kind, place->name, list->name);
        return false;
    }
    if (list->nvalues > POLICY_PATTERNS_MAX) {
        policy_fault(r, value_at(list, POLICY_PATTERNS_MAX)->line, "more than %d %s in one %s",
                     POLICY_PATTERNS_MAX, list->name, place->kind);
        return false;
    }
    return true;
}

static struct policy_place place_of(const struct policy_rule *rule)
{
    return (struct policy_place){ .kind = "rule", .name = rule->name, .line = rule->line };
}

/* Room for as many elements as the list has; NULL with the fault reported. */
static void *room(struct policy_reading *r, const cfg_opt_t *list, const struct policy_place *place,
                  size_t element_bytes)
{
    void *elements;

    if (!check_count(r, list, place)) {
        return NULL;
    }
    elements = calloc(list->nvalues, element_bytes);
    r->out_of_memory |= elements == NULL;
    return elements;
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* --- identities ------------------------------------------------------------------------------- */

/* What no identity looks like: such a pattern would stand there for nothing. */
static const char *text_pattern_fault(const char *pattern)
{
    return identity_has_kind(pattern)
               ? identity_pattern_fault(pattern)
               : "expected all, or a pattern that begins with spiffe:, dns:, cn:, jwt:, token: or "
                 "group:";
}

static const char *parse_identity(const char *text, struct identity_pattern *out,
                                  bool *out_of_memory)
{
    bool is_group = has_prefix(text, "group:"), is_all = strcmp(text, "all") == 0;
    const char *glob = is_group ? text + strlen("group:") : is_all ? "*" : text;
    const char *fault = is_group ? identity_group_fault(glob)
                        : is_all ? NULL
                                 : text_pattern_fault(text);

    if (fault == NULL) {
        out->kind = is_group ? IDENTITY_PATTERN_GROUP : IDENTITY_PATTERN_TEXT;
        out->glob = strdup(glob);
        *out_of_memory |= out->glob == NULL;
    }
    return fault;
}

void policy_list_identities(struct policy_reading *r, const cfg_opt_t *list,
                            const struct policy_place *place, struct identity_list *out)
{
    out->patterns = room(r, list, place, sizeof *out->patterns);
    for (size_t i = 0; out->patterns != NULL && i < list->nvalues; i++) {
        const struct policy_value *value = value_at(list, i);
        const char *fault =
            parse_identity(value->text, &out->patterns[out->count], &r->out_of_memory);

        if (fault != NULL) {
            policy_fault(r, value->line, "identity \"%s\": %s", value->text, fault);
        } else {
            out->count++;
        }
    }
}

/* --- domains ---------------------------------------------------------------------------------- */

static const char *parse_name(const char *glob, struct domain_pattern *out, bool *out_of_memory)
{
    if (glob[0] == '\0') {
        return "expected a name behind the colon";
    }
    if (strlen(glob) >= MESSAGE_NAME_BYTES) {
        return "longer than any name of a domain";
    }
    out->kind = DOMAIN_PATTERN_NAME;
    out->glob = strdup(glob);
    *out_of_memory |= out->glob == NULL;
    return NULL;
}

static const char *parse_uuid(const char *text, bool allow, struct domain_pattern *out)
{
    static const uint8_t nil[UUID_BYTES];

    out->kind = DOMAIN_PATTERN_UUID;
    if (!text_to_uuid(text, out->uuid)) {
        return "expected uuid: and 8-4-4-4-12 hexadecimal digits";
    }
    /* Every domain that was given no UUID has this one, dom0 among them. */
    return allow && memcmp(out->uuid, nil, sizeof nil) == 0 ? "the nil UUID names no one domain"
                                                            : NULL;
}

static const char *parse_tag(const char *tag, struct domain_pattern *out, bool *out_of_memory)
{
    if (!domain_tag_is_valid(tag)) {
        return "expected tag: and 1 to 31 of a-z, 0-9 and -";
    }
    out->kind = DOMAIN_PATTERN_TAG;
    out->glob = strdup(tag);
    *out_of_memory |= out->glob == NULL;
    return NULL;
}

void policy_list_domains(struct policy_reading *r, const cfg_opt_t *list, struct policy_rule *rule)
{
    const struct policy_place place = place_of(rule);

    rule->domains = room(r, list, &place, sizeof *rule->domains);
    for (size_t i = 0; rule->domains != NULL && i < list->nvalues; i++) {
        const struct policy_value *value = value_at(list, i);
        struct domain_pattern pattern = { .kind = DOMAIN_PATTERN_ALL };
        const char *fault = NULL;

        if (strcmp(value->text, "dom0") == 0) {
            pattern.kind = DOMAIN_PATTERN_DOM0;
        } else if (has_prefix(value->text, "name:")) {
            fault = parse_name(value->text + strlen("name:"), &pattern, &r->out_of_memory);
        } else if (has_prefix(value->text, "uuid:")) {
            fault = parse_uuid(value->text + strlen("uuid:"), rule->allow, &pattern);
        } else if (has_prefix(value->text, "tag:")) {
            fault = parse_tag(value->text + strlen("tag:"), &pattern, &r->out_of_memory);
        } else if (strcmp(value->text, "all") != 0) {
            fault = "expected all, dom0, name:PATTERN, uuid:UUID or tag:TAG";
        }
        if (fault != NULL) {
            policy_fault(r, value->line, "domain \"%s\": %s", value->text, fault);
        } else {
            rule->domains[rule->domain_count++] = pattern;
        }
    }
}

/* --- sets ------------------------------------------------------------------------------------- */

struct set {
    const char *noun;
    int (*number)(const char *name);
    const char *(*name)(uint32_t number);
    uint32_t count;
};

static const char *type_name(uint32_t number)
{
    return resource_type_name(number);
}

static const char *name_of_action(uint32_t number)
{
    return action_name((enum action)number);
}

static void unknown_member(struct policy_reading *r, const struct set *set,
                           const struct policy_value *value)
{
    char names[256] = "all";

    for (uint32_t i = 0; i < set->count; i++) {
        size_t used = strlen(names);

        (void)snprintf(names + used, sizeof names - used, ", %s", set->name(i));
    }
    policy_fault(r, value->line, "%s \"%s\": expected one of %s", set->noun, value->text, names);
}

static uint32_t read_set(struct policy_reading *r, const struct set *set, const cfg_opt_t *list,
                         const struct policy_rule *rule, uint32_t all)
{
    const struct policy_place place = place_of(rule);
    uint32_t members = 0;

    if (!check_count(r, list, &place)) {
        return 0;
    }
    for (size_t i = 0; i < list->nvalues; i++) {
        const struct policy_value *value = value_at(list, i);
        int number = set->number(value->text);

        if (strcmp(value->text, "all") == 0) {
            members |= all;
        } else if (number >= 0) {
            members |= UINT32_C(1) << number;
        } else {
            unknown_member(r, set, value);
        }
    }
    return members;
}

void policy_list_types(struct policy_reading *r, const cfg_opt_t *list, struct policy_rule *rule)
{
    static const struct set types = { "type", resource_type_from_name, type_name,
                                      RESOURCE_TYPE_COUNT };

    rule->types = read_set(r, &types, list, rule, POLICY_ALL_TYPES);
}

void policy_list_actions(struct policy_reading *r, const cfg_opt_t *list, struct policy_rule *rule)
{
    static const struct set actions = { "action", action_from_name, name_of_action, ACTION_COUNT };

    rule->actions = read_set(r, &actions, list, rule,
                             rule->allow ? POLICY_ALLOW_ALL_ACTIONS : POLICY_ALL_ACTIONS);
}
