/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * `xenresd policy explain`: what a policy says of an identity, a domain, a type and an action, and by
 * which rule. The domain is what the command line says of it: no mapper is asked, nothing runs. For the
 * operator, who may read the policy anyway.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "auth/policy_file.h"
#include "common/log.h"
#include "common/message_tags.h"
#include "common/text.h"
#include "server/command.h"
#include "server/command_policy.h"
#include "server/config.h"

enum { FAULTS_MAX_BYTES = 1 << 20, DOMID_GUEST = 1, DOMID_MAX = 0x7fef };

enum option_id {
    OPTION_AS = 256,
    OPTION_GROUP,
    OPTION_BOUND,
    OPTION_DOMAIN,
    OPTION_DOMID,
    OPTION_UUID,
    OPTION_TAG,
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
    { "type", required_argument, NULL, OPTION_TYPE },
    { "action", required_argument, NULL, OPTION_ACTION },
    { "config", required_argument, NULL, OPTION_CONFIG },
    { "policy", required_argument, NULL, OPTION_POLICY },
    { NULL, 0, NULL, 0 },
};

/* What is asked. */
struct question {
    struct identity who;
    struct domain_identity domain;
    bool has_domain;
    size_t groups_len;
    int type, action; /* -1: any type; no action */
    bool has_type, is_certificate;
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
    if ((!is_certificate && !is_token) || strlen(text) >= sizeof(q->who.text)) {
        return false;
    }
    memcpy(q->who.text, text, strlen(text) + 1);
    q->is_certificate = is_certificate;
    return true;
}

static bool take_group(struct question *q, const char *text)
{
    size_t len = strlen(text) + 1;

    if (len == 1 || q->groups_len + len >= sizeof(q->who.groups)) {
        return false;
    }
    memcpy(q->who.groups + q->groups_len, text, len);
    q->groups_len += len;
    return true;
}

static bool take_name(struct question *q, const char *text)
{
    if (text[0] == '\0' || strlen(text) >= sizeof(q->domain.name)) {
        return false;
    }
    if (strcmp(text, "dom0") == 0) {
        q->domain.domid = 0;
    }
    memcpy(q->domain.name, text, strlen(text) + 1);
    q->has_domain = true;
    return true;
}

static bool take_domid(struct question *q, const char *text)
{
    uint64_t number;

    if (!text_to_u64(text, DOMID_MAX, &number)) {
        return false;
    }
    q->domain.domid = (uint16_t)number;
    q->has_domain = true;
    return true;
}

static bool take_type(struct question *q, const char *text)
{
    q->type = resource_type_from_name(text);
    q->has_type = true;
    return q->type >= 0 || strcmp(text, "any") == 0;
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
    case OPTION_BOUND: q->who.is_bound = true; return NULL;
    case OPTION_DOMAIN: return take_name(q, value) ? NULL : "--domain: expected a domain's name";
    case OPTION_DOMID: return take_domid(q, value) ? NULL : "--domid: expected 0 to 32751";
    case OPTION_UUID:
        q->has_domain = true;
        return text_to_uuid(value, q->domain.uuid) ? NULL : "--uuid: expected a UUID";
    case OPTION_TAG:
        return domain_tag_add(&q->domain, value) ? NULL
                                                 : "--tag: expected at most 16 of a-z, 0-9 and -";
    case OPTION_TYPE:
        return take_type(q, value) ? NULL
                                   : "--type: expected any, ioreq_server, grant_table, vmtrace_buf "
                                     "or vcpu_stats";
    case OPTION_ACTION:
        q->action = action_from_name(value);
        return q->action >= 0 ? NULL
                              : "--action: expected list, snapshot, watch, decode, trace.read, "
                                "trace.control or admin";
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
    return q->who.text[0] == '\0'                   ? "--as is missing"
           : !q->has_domain                         ? "expected --domain, --uuid or --domid"
           : !q->has_type                           ? "--type is missing"
           : q->action < 0                          ? "--action is missing"
           : q->config != NULL && q->policy != NULL ? "either --config or --policy"
                                                    : NULL;
}

/* The faults of a file are its lines; else the failure says why. Returns the status. */
static int failed(struct buffer *faults, const struct failure *f)
{
    fputs(faults->len_bytes > 0 ? buffer_string(faults) : "", stderr);
    log_failure(LOG_LEVEL_ERROR, "xenresd policy", f);
    return error_exit_status(f->code);
}

static int answer(const struct policy *policy, const char *path, const struct question *q)
{
    const struct policy_question question = {
        .who = &q->who, .domain = &q->domain, .type = q->type, .action = (enum action)q->action
    };
    const struct policy_verdict verdict = policy_decide(policy, &question);

    if (verdict.rule == NULL) {
        printf("denied: no rule of %s allows it\n", path);
    } else {
        printf("%s by rule \"%s\" (%s:%u)\n", verdict.allowed ? "allowed" : "denied", verdict.rule,
               path, verdict.line);
    }
    return verdict.allowed ? 0 : error_exit_status(ERROR_PERMISSION_DENIED);
}

static int explain(const struct question *q)
{
    const char *path = q->policy;
    struct config config;
    struct policy *policy = NULL;
    struct failure f = { 0 };
    BUFFER_AUTO(faults, FAULTS_MAX_BYTES);

    if (path == NULL) {
        if (config_load(q->config != NULL ? q->config : COMMAND_POLICY_CONFIG, &config, &faults,
                        &f) < 0) {
            return failed(&faults, &f);
        }
        path = config.server_policy;
    }
    if (policy_file_load(path, &policy, &faults, &f) < 0) {
        return failed(&faults, &f);
    }
    int status = answer(policy, path, q);

    policy_unref(policy);
    return status;
}

int command_policy(int argc, char **argv)
{
    struct question q = { .type = -1, .action = -1, .domain = { .domid = DOMID_GUEST } };
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

    q.who.is_bound |= q.is_certificate; /* which is shown with its key */
    return wrong != NULL ? usage(wrong) : explain(&q);
}
