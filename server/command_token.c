/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/command_token.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "auth/opaque_file.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "server/command.h"

enum { DAYS = 365, DAYS_MAX = 3650, DAY_S = 86400 };

struct arguments {
    const char *verb, *operand, *file, *groups;
    uint64_t days;
};

static int usage(const char *what)
{
    fprintf(stderr, "xenresd token: %s\nxenresd token: see xenresd --help\n", what);
    return COMMAND_STATUS_USAGE;
}

static int failed(const struct failure *f)
{
    log_failure(LOG_LEVEL_ERROR, "xenresd token", f);
    return error_exit_status(f->code);
}

static int64_t now_s(void)
{
    return (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S);
}

/* Standard output has the token and nothing else, so that it can be made a file. */
static int add(const struct arguments *a)
{
    char token[OPAQUE_TOKEN_BYTES], date[OPAQUE_DATE_BYTES];
    int64_t expires_s = now_s() + (int64_t)a->days * DAY_S;
    struct failure f = { 0 };
    int result = opaque_file_add(a->file, a->operand, a->groups != NULL ? a->groups : "", expires_s,
                                 token, &f);

    if (result != 0) {
        return failed(&f);
    }
    bool told = printf("%s\n", token) > 0 && fflush(stdout) == 0;

    explicit_bzero(token, sizeof(token));
    if (!told) {
        fprintf(stderr, "xenresd token: cannot write the token; remove its line from %s\n",
                a->file);
        return COMMAND_STATUS_FAILED;
    }
    fprintf(stderr, "token:%s until %s; this is all that will ever be seen of the token\n",
            a->operand, opaque_date(expires_s, date) ? date : "");
    return 0;
}

static void print_groups(const char *groups)
{
    const char *group = groups;

    for (; group[0] != '\0'; group += strlen(group) + 1) {
        printf("%s%s", group == groups ? "" : ",", group);
    }
    puts(group == groups ? "-" : "");
}

static int list(const struct arguments *a)
{
    struct opaque_set *set = NULL;
    struct failure f = { 0 };

    if (opaque_load(a->file, &set, &f) != 0) {
        return failed(&f);
    }
    printf("%-16s  %-20s  %-7s  %-20s  %s\n", "ID", "EXPIRES", "STATE", "NAME", "GROUPS");
    for (size_t i = 0; i < opaque_count(set); i++) {
        const struct opaque_entry *e = opaque_at(set, i);
        char date[OPAQUE_DATE_BYTES] = "";

        (void)opaque_date(e->expires_s, date);
        printf("%-16s  %-20s  %-7s  %-20s  ", e->id, date,
               now_s() < e->expires_s ? "valid" : "expired", e->name);
        print_groups(e->groups);
    }
    opaque_free(set);
    return 0;
}

static int remove_token(const struct arguments *a)
{
    struct failure f = { 0 };

    return opaque_file_remove(a->file, a->operand, &f) == 0 ? 0 : failed(&f);
}

static const struct verb {
    const char *name, *operand; /* NULL: it takes none */
    int (*run)(const struct arguments *a);
} verbs[] = {
    { "add", "a name", add },
    { "list", NULL, list },
    { "remove", "an id", remove_token },
};

static const struct option options[] = {
    { "file", required_argument, NULL, 'f' },
    { "days", required_argument, NULL, 'd' },
    { "groups", required_argument, NULL, 'g' },
    { NULL, 0, NULL, 0 },
};

static int take_options(int argc, char **argv, struct arguments *a)
{
    int id;

    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (id) {
        case 'f': a->file = optarg; break;
        case 'g': a->groups = optarg; break;
        case 'd':
            if (!text_to_u64(optarg, DAYS_MAX, &a->days) || a->days == 0) {
                return usage("--days is a number from 1 to 3650");
            }
            break;
        default: return usage("the option is wrong");
        }
    }
    a->verb = optind < argc ? argv[optind++] : NULL;
    a->operand = optind < argc ? argv[optind++] : NULL;
    return optind < argc ? usage("there is an argument too many") : 0;
}

int command_token(int argc, char **argv)
{
    struct arguments a = { .days = 0 };
    int status = take_options(argc, argv, &a);
    char what[64];

    if (status != 0) {
        return status;
    }
    for (size_t i = 0; a.verb != NULL && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        const struct verb *v = &verbs[i];

        if (strcmp(v->name, a.verb) != 0) {
            continue;
        }
        if (a.file == NULL) {
            return usage("expected --file FILE");
        }
        if ((v->operand == NULL) != (a.operand == NULL)) {
            (void)snprintf(what, sizeof(what), "%s takes %s", v->name,
                           v->operand != NULL ? v->operand : "no operand");
            return usage(what);
        }
        if (v->run != add && (a.days > 0 || a.groups != NULL)) {
            return usage("--days and --groups go with add");
        }
        a.days = a.days > 0 ? a.days : DAYS;
        return v->run(&a);
    }
    return usage("expected add, list or remove");
}
