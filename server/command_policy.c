/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * `xenresd policy explain`: what the gateway would say of an identity, a domain, a type and an action, and by
 * which rule. The domain is what the command line says of it: no mapper is asked, nothing runs. For the
 * operator, who may read the files anyway.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "auth/policy.h"
#include "common/log.h"
#include "common/message_tags.h"
#include "common/text.h"
#include "server/command.h"
#include "server/command_policy.h"
#include "server/config.h"
#include "server/policy_answer.h"
#include "server/resource/domain_list.h"

enum { FAULTS_MAX_BYTES = 1 << 20, DOMID_GUEST = 1 };

enum option_id {
    OPTION_AS = 256,
    OPTION_GROUP,
    OPTION_BOUND,
    OPTION_DOMAIN,
    OPTION_DOMID,
    OPTION_UUID,
    OPTION_TAG,
    OPTION_UNTAGGED,
    OPTION_TYPE,
    OPTION_ACTION,
    OPTION_CONFIG,
    OPTION_POLICY,
};

static const struct option long_options[] = {
    { "as", required_argument, NULL, OPTION_AS },
    { "group", required_argument, NULL, OPTION_GROUP },
    { "bound", no_argument, NULL, OPTION_BOUND },
    { "domain", required_argument, NULL, OPTION_DOMAIN },
    { "domid", required_argument, NULL, OPTION_DOMID },
    { "uuid", required_argument, NULL, OPTION_UUID },
    { "tag", required_argument, NULL, OPTION_TAG },
    { "untagged", no_argument, NULL, OPTION_UNTAGGED },
    { "type", required_argument, NULL, OPTION_TYPE },
    { "action", required_argument, NULL, OPTION_ACTION },
    { "config", required_argument, NULL, OPTION_CONFIG },
    { "policy", required_argument, NULL, OPTION_POLICY },
    { NULL, 0, NULL, 0 },
};

/* What is asked. */
struct question {
    struct policy_inquiry q;
    size_t groups_len;
    bool has_type, has_action, is_certificate, is_untagged;
    const char *config, *policy;
};

static bool take_identity(struct question *q, const char *text)
{
    static const char *const certificates[] = { "spiffe:", "dns:", "cn:" };
    static const char *const tokens[] = { "jwt:", "token:" };
    bool is_certificate = false, is_token = false;

    for (size_t i = 0; i < sizeof(certificates) / sizeof(certificates[0]); i++) {
        is_certificate |= strncmp(text, certificates[i], strlen(certificates[i])) == 0;
    }
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        is_token |= strncmp(text, tokens[i], strlen(tokens[i])) == 0;
    }
    if ((!is_certificate && !is_token) || strlen(text) >= sizeof(q->q.who.text)) {
        return false;
    }
    memcpy(q->q.who.text, text, strlen(text) + 1);
    q->is_certificate = is_certificate;
    return true;
}

static bool take_group(struct question *q, const char *text)
{
    size_t len = strlen(text) + 1;

    if (len == 1 || q->groups_len + len >= sizeof(q->q.who.groups)) {
        return false;
    }
    memcpy(q->q.who.groups + q->groups_len, text, len);
    q->groups_len += len;
    return true;
}

/* dom0 is known by its number: it has the nil UUID, and no tags. */
static void take_dom0(struct policy_inquiry *q)
{
    q->domain.domid = 0;
    q->has_domid = q->has_name = q->has_uuid = q->has_tags = true;
    if (q->domain.name[0] == '\0') {
        memcpy(q->domain.name, "Domain-0", sizeof("Domain-0"));
    }
}

/* As clients say it, and as often as there is something to say. */
static const char *take_domain(struct policy_inquiry *q, const char *text)
{
    static char why[FAILURE_TEXT_MAX + 16];
    struct domain_spelling spelling;
    struct failure f = { 0 };

    if (domain_spelling_parse(text, &spelling, &f) != 0) {
        (void)snprintf(why, sizeof(why), "--domain: %s", f.message);
        return why;
    }
    switch (spelling.kind) {
    case DOMAIN_BY_DOMID:
        q->domain.domid = spelling.domid;
        q->has_domid = true;
        break;
    case DOMAIN_BY_UUID:
        memcpy(q->domain.uuid, spelling.uuid, sizeof(spelling.uuid));
        q->has_uuid = true;
        break;
    case DOMAIN_BY_NAME:
        (void)snprintf(q->domain.name, sizeof(q->domain.name), "%s", spelling.name);
        q->has_name = true;
    }
    if ((q->has_domid && q->domain.domid == 0) || strcmp(q->domain.name, "dom0") == 0 ||
        strcmp(q->domain.name, "Domain-0") == 0) {
        take_dom0(q);
    }
    return NULL;
}

/* The same, where only one spelling will do. */
static const char *take_spelled(struct policy_inquiry *q, const char *prefix, const char *value)
{
    char text[MESSAGE_NAME_BYTES + 8];

    return (size_t)snprintf(text, sizeof(text), "%s%s", prefix, value) < sizeof(text)
               ? take_domain(q, text)
               : "longer than what names a domain";
}

static bool take_type(struct question *q, const char *text)
{
    q->q.type = resource_type_from_name(text);
    q->has_type = true;
    return q->q.type >= 0 || strcmp(text, "any") == 0;
}

static bool take_action(struct question *q, const char *text)
{
    int action = action_from_name(text);

    q->has_action = action >= 0;
    q->q.action = (enum action)action;
    return q->has_action;
}

static bool take_tag(struct policy_inquiry *q, const char *text)
{
    q->has_tags = true;
    return domain_tag_add(&q->domain, text);
}

/* NULL, or what is wrong with the option. */
static const char *take_option(struct question *q, int id, const char *value)
{
    switch (id) {
    case OPTION_AS:
        return take_identity(q, value) ? NULL
                                       : "--as: expected spiffe:…, dns:…, cn:…, jwt:… or token:…";
    case OPTION_GROUP:
        return take_group(q, value) ? NULL : "--group: expected one that fits with the others";
    case OPTION_BOUND: q->q.who.is_bound = true; return NULL;
    case OPTION_DOMAIN: return take_domain(&q->q, value);
    case OPTION_DOMID: return take_spelled(&q->q, "domid:", value);
    case OPTION_UUID: return take_spelled(&q->q, "uuid:", value);
    case OPTION_TAG:
        return take_tag(&q->q, value) ? NULL : "--tag: expected at most 16 of a-z, 0-9 and -";
    case OPTION_UNTAGGED: q->is_untagged = true; return NULL;
    case OPTION_TYPE:
        return take_type(q, value) ? NULL
                                   : "--type: expected any, ioreq_server, grant_table, vmtrace_buf "
                                     "or vcpu_stats";
    case OPTION_ACTION:
        return take_action(q, value) ? NULL
                                     : "--action: expected list, snapshot, watch, decode, "
                                       "trace.read, trace.control or admin";
    case OPTION_CONFIG: q->config = value; return NULL;
    case OPTION_POLICY: q->policy = value; return NULL;
    default: return "an option is wrong";
    }
}

static int usage(const char *what)
{
    fprintf(stderr, "xenresd policy: %s\nxenresd policy: see xenresd --help\n", what);
    return COMMAND_STATUS_USAGE;
}

static const char *missing(const struct question *q)
{
    bool has_domain = q->q.has_name || q->q.has_uuid || q->q.has_domid;

    return q->q.who.text[0] == '\0' ? "--as is missing"
           : !has_domain            ? "expected --domain, --uuid or --domid"
           : !q->has_type           ? "--type is missing"
           : !q->has_action         ? "--action is missing"
           : q->is_untagged && q->q.domain.tags[0][0] != '\0' ? "either --tag or --untagged"
           : q->config != NULL && q->policy != NULL           ? "either --config or --policy"
                                                              : NULL;
}

/* The faults of a file are its lines; else the failure says why. Returns the status. */
static int failed(struct buffer *faults, const struct failure *f)
{
    fputs(faults->len_bytes > 0 ? buffer_string(faults) : "", stderr);
    log_failure(LOG_LEVEL_ERROR, "xenresd policy", f);
    return error_exit_status(f->code);
}

static int explain(const struct question *q)
{
    const char *path = q->config != NULL ? q->config : COMMAND_POLICY_CONFIG;
    struct config config;
    struct failure f = { 0 };
    BUFFER_AUTO(faults, FAULTS_MAX_BYTES);
    bool allowed;

    if (q->policy == NULL && config_load(path, &config, &faults, &f) < 0) {
        return failed(&faults, &f);
    }
    if (policy_answer(&q->q, q->policy == NULL ? &config : NULL,
                      q->policy != NULL ? q->policy : config.server_policy, stdout, &allowed,
                      &faults, &f) < 0) {
        return failed(&faults, &f);
    }
    return allowed ? 0 : error_exit_status(ERROR_PERMISSION_DENIED);
}

int command_policy(int argc, char **argv)
{
    struct question q = { .q = { .domain = { .domid = DOMID_GUEST } } };
    int id;

    if (argc < 2 || strcmp(argv[1], "explain") != 0) {
        return usage("expected `xenresd policy explain`");
    }
    argc--;
    argv++;
    opterr = 0;
    while ((id = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
        const char *wrong = take_option(&q, id, optarg);

        if (wrong != NULL) {
            return usage(wrong);
        }
    }
    const char *wrong = optind < argc ? "there is an argument too many" : missing(&q);

    q.q.who.is_bound |= q.is_certificate; /* which is shown with its key */
    q.q.has_tags |= q.is_untagged;
    return wrong != NULL ? usage(wrong) : explain(&q);
}
