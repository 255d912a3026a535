/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/policy_answer.h"

#include <string.h>
#include <unistd.h>

#include "auth/deny.h"
#include "auth/identity_pattern.h"
#include "auth/policy_file.h"
#include "common/text.h"
#include "server/mapper/export.h"
#include "server/material.h"

enum { VERDICT_BYTES = 2 * CONFIG_TEXT_BYTES + 128 };

struct answering {
    const struct policy_inquiry *q;
    const struct config *c;
    const char *path;            /* of the policy */
    char refusal[VERDICT_BYTES]; /* why he is refused all the same; "": he is not, so far */
};

#define REFUSE(a, ...) ((void)snprintf((a)->refusal, sizeof((a)->refusal), __VA_ARGS__))

/* --- who is let in ---------------------------------------------------------------------------- */

static bool any_matches(const char *patterns, const char *identity)
{
    for (; *patterns != '\0'; patterns += strlen(patterns) + 1) {
        if (text_glob(patterns, identity)) {
            return true;
        }
    }
    return false;
}

/* A certificate's: by the authorities that may speak for it. A token's: by the section of its issuer, or by
 * the file of opaque ones. */
static void ask_authorities(struct answering *a)
{
    const char *who = a->q->who.text;
    struct access_options options;
    bool is_spoken_for = strncmp(who, "token:", 6) == 0 && a->c->tokens_file[0] != '\0';

    material_access_options(a->c, &options);
    for (size_t i = 0; i < options.trust_count && identity_is_of_certificate(who); i++) {
        const char *patterns = options.trusts[i].identities;

        is_spoken_for |= patterns == NULL || any_matches(patterns, who);
    }
    for (size_t i = 0; i < a->c->issuer_count && strncmp(who, "jwt:", 4) == 0; i++) {
        size_t len = strlen(a->c->issuer[i].title);

        is_spoken_for |= strncmp(who + 4, a->c->issuer[i].title, len) == 0 && who[4 + len] == ':';
    }
    if (!is_spoken_for) {
        REFUSE(a, "denied: nobody in %s may speak for %s", a->c->path, who);
    }
}

static int ask_deny_list(struct answering *a, struct buffer *faults, struct failure *f)
{
    struct deny *deny = NULL;
    int result = a->c->server_deny[0] != '\0' ? deny_load(a->c->server_deny, &deny, faults, f) : 0;
    unsigned line = result == 0 ? deny_find(deny, &a->q->who) : 0;

    if (line > 0 && a->refusal[0] == '\0') {
        REFUSE(a, "denied by the deny list (%s:%u)", a->c->server_deny, line);
    }
    deny_free(deny);
    return result;
}

/* --- the policy ------------------------------------------------------------------------------- */

/* What was not said of the domain, by how rules may name it. */
static const struct missing {
    enum policy_domain_part part;
    const char *noun, *cure;
} parts[] = {
    { POLICY_BY_NAME, "name", "--domain name:NAME" },
    { POLICY_BY_UUID, "UUID", "--uuid UUID" },
    { POLICY_BY_TAG, "tag", "--tag TAG, or --untagged" },
};

enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

static bool is_said(const struct policy_inquiry *q, const struct missing *m)
{
    return m->part == POLICY_BY_NAME   ? q->has_name
           : m->part == POLICY_BY_UUID ? q->has_uuid
                                       : q->has_tags;
}

/* A rule of that effect that would count if the domain had what is not said of it. */
static const struct missing *find_missing(const struct policy *policy,
                                          const struct policy_inquiry *q,
                                          const struct policy_question *question, bool allow,
                                          struct policy_verdict *rule)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (!is_said(q, &parts[i]) && policy_find(policy, question, allow, parts[i].part, rule)) {
            return &parts[i];
        }
    }
    return NULL;
}

/* For one type. Returns whether it is allowed; `said` becomes the line that says so. */
static bool ask_type(const struct answering *a, const struct policy *policy, int type,
                     char said[VERDICT_BYTES])
{
    struct domain_identity domain = a->q->domain;
    const struct policy_question question = {
        .who = &a->q->who, .domain = &domain, .type = type, .action = a->q->action
    };
    const struct missing *missing = NULL;
    struct policy_verdict rule = { 0 };

    if (!a->q->has_name) { /* nobody's, so far: whether a rule looks at it is asked below */
        memcpy(domain.name, "\1", 2);
    }
    const struct policy_verdict v = policy_decide(policy, &question);

    if (v.allowed || v.rule == NULL) {
        missing = find_missing(policy, a->q, &question, !v.allowed, &rule);
    }
    if (missing != NULL) {
        (void)snprintf(
            said, VERDICT_BYTES,
            "denied as far as is known: rule \"%s\" (%s:%u) %s by %s, and none was given "
            "(%s)",
            rule.rule, a->path, rule.line, rule.allowed ? "allows" : "denies", missing->noun,
            missing->cure);
    } else if (v.rule != NULL) {
        (void)snprintf(said, VERDICT_BYTES, "%s by rule \"%s\" (%s:%u)",
                       v.allowed ? "allowed" : "denied", v.rule, a->path, v.line);
    } else {
        (void)snprintf(said, VERDICT_BYTES, "denied: no rule of %s allows it", a->path);
    }
    return v.allowed && missing == NULL;
}

/* Any type: the first that is allowed; else what is said of the first. */
static bool ask_policy(const struct answering *a, const struct policy *policy,
                       char verdict[VERDICT_BYTES])
{
    int first = a->q->type < 0 ? 0 : a->q->type;
    int last = a->q->type < 0 ? RESOURCE_TYPE_COUNT - 1 : a->q->type;

    for (int type = first; type <= last; type++) {
        if (ask_type(a, policy, type, verdict)) {
            return true;
        }
    }
    return ask_type(a, policy, first, verdict);
}

/* --- the export list -------------------------------------------------------------------------- */

/* Its actions are the policy's, but for the one that asks nothing of the mapper. */
static bool export_has(enum action action, enum export_action *out)
{
    static const enum export_action actions[ACTION_COUNT] = {
        [ACTION_LIST] = EXPORT_LIST,
        [ACTION_SNAPSHOT] = EXPORT_SNAPSHOT,
        [ACTION_WATCH] = EXPORT_WATCH,
        [ACTION_DECODE] = EXPORT_DECODE,
        [ACTION_TRACE_READ] = EXPORT_TRACE_READ,
        [ACTION_TRACE_CONTROL] = EXPORT_TRACE_CONTROL,
    };

    *out = actions[action];
    return action != ACTION_ADMIN;
}

static bool is_export_there(const struct config *c)
{
    return c->mapper_program[0] != '\0' || access(c->mapper_export, F_OK) == 0;
}

static int ask_export(struct answering *a, struct failure *f)
{
    const struct policy_inquiry *q = a->q;
    struct domain_identity domain = q->domain;
    struct export_list *list = NULL;
    enum export_action action;

    domain.name_cut = !q->has_name;
    if (!export_has(q->action, &action) || !is_export_there(a->c)) {
        return 0;
    }
    int result = export_load(a->c->mapper_export, geteuid(), &list, f);

    if (result == 0 && a->refusal[0] == '\0' &&
        !(q->type < 0 ? export_allows_any(list, &domain, action)
                      : export_allows(list, &domain, (uint32_t)q->type, action))) {
        REFUSE(a, "denied: no line of the export list %s allows it%s", a->c->mapper_export,
               q->has_name && q->has_uuid ? "" : " of what is known of the domain");
    }
    export_free(list);
    return result;
}

/* --- the answer ------------------------------------------------------------------------------- */

static void tell_assumptions(const struct answering *a, FILE *to)
{
    const struct policy_inquiry *q = a->q;
    const char *between = "";

    if (!q->has_domid) {
        fputs("assumed: it is not domain 0\n", to);
    }
    if (!q->has_name || !q->has_uuid || !q->has_tags) {
        fputs("not given:", to);
        for (size_t i = 0; i < PARTS; i++) {
            if (!is_said(q, &parts[i])) {
                fprintf(to, "%s %s (%s)", between, parts[i].noun, parts[i].cure);
                between = ",";
            }
        }
        fputs(": rules that deny by it count, and those that allow by it do not\n", to);
    }
    if (a->c == NULL) {
        fputs("not looked at: who is let in, the deny list and the export list (--config FILE has "
              "them)\n",
              to);
    } else if (!is_export_there(a->c)) {
        fprintf(to, "not looked at: the export list, as there is none at %s\n",
                a->c->mapper_export);
    }
}

int policy_answer(const struct policy_inquiry *q, const struct config *c, const char *path,
                  FILE *to, bool *allowed, struct buffer *faults, struct failure *f)
{
    struct answering a = { .q = q, .c = c, .path = path };
    struct policy *policy = NULL;
    char verdict[VERDICT_BYTES] = "";
    int result = policy_file_load(path, &policy, faults, f);

    if (result == 0 && c != NULL) {
        ask_authorities(&a);
        result = ask_deny_list(&a, faults, f);
    }
    if (result != 0) {
        policy_unref(policy);
        return result;
    }
    bool is_allowed = ask_policy(&a, policy, verdict);

    policy_unref(policy);
    if (c != NULL && is_allowed) {
        result = ask_export(&a, f);
    }
    if (result == 0) {
        fprintf(to, "%s\n", a.refusal[0] != '\0' ? a.refusal : verdict);
        tell_assumptions(&a, to);
        *allowed = is_allowed && a.refusal[0] == '\0';
    }
    return result;
}
