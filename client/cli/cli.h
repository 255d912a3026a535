/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What every verb is given, and the table that it stands in. The command stands on <xenres.h> and
 * proto/ (with what proto/json is built on: common/buffer, text, error) alone. One thread.
 */
#ifndef XENRES_CLI_CLI_H
#define XENRES_CLI_CLI_H

#include <stdbool.h>
#include <xenres.h>

#include "client/cli/arguments.h"

enum { EXIT_LOCAL = 1, EXIT_USAGE = 2 }; /* the rest is in errors.def */

enum cli_format { CLI_FORMAT_UNSET, CLI_FORMAT_TABLE, CLI_FORMAT_JSON };

struct cli {
    const struct verb *verb;
    enum cli_format format;
    xenres_options options;
};

/* A row of verbs.h's table. */
struct verb {
    const char *name;
    const char *operands; /* "DOMAIN TYPE [ID]" */
    unsigned operands_min, operands_max;
    const char *summary;          /* one line of `xenres --help` */
    const char *description;      /* more, for `xenres VERB --help` */
    const struct option *options; /* ended by a row without a name; or NULL */
    /* Returns the exit status. */
    int (*run)(struct cli *cli, const struct arguments *arguments);
};

extern const struct verb verb_host, verb_domains, verb_resources, verb_describe, verb_snapshot,
    verb_grants, verb_ioreqs, verb_stats, verb_watch, verb_trace, verb_replay, verb_verify,
    verb_whoami, verb_explain, verb_call, verb_completion;

/* Handle from the options; NULL with the error reported and *status set. */
xenres *cli_connect(const struct cli *cli, int *status);

#define CLI_HANDLE __attribute__((cleanup(cli_free_handle))) xenres *
#define CLI_REPLY  __attribute__((cleanup(cli_free_reply))) xenres_reply *
static inline void cli_free_handle(xenres **handle)
{
    xenres_free(*handle);
}
static inline void cli_free_reply(xenres_reply **reply)
{
    xenres_reply_free(*reply);
}

#endif
