/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/suggestion.h"

const struct verb *const verbs[] = {
    &verb_host,   &verb_domains, &verb_resources, &verb_describe,   &verb_snapshot, &verb_grants,
    &verb_ioreqs, &verb_stats,   &verb_watch,     &verb_trace,      &verb_replay,   &verb_verify,
    &verb_whoami, &verb_explain, &verb_call,      &verb_completion,
};
const size_t verbs_count = sizeof(verbs) / sizeof(verbs[0]);

const struct option verbs_global_options[] = {
    { .name = "format",
      .letter = 'o',
      .argument = "table|json",
      .help = "how answers are printed; table unless given" },
    { .name = "color",
      .argument = "auto|always|never",
      .help = "colours; auto unless given: on a terminal" },
    { .name = "server", .argument = "URL", .help = "https://HOST[:PORT]; else XENRES_SERVER" },
    { .name = "cacert",
      .argument = "FILE",
      .help = "who may sign the server's certificate; else XENRES_CACERT" },
    { .name = "cert", .argument = "FILE", .help = "our certificate; else XENRES_CERT" },
    { .name = "key", .argument = "FILE", .help = "its key; else XENRES_KEY" },
    { .name = "token-file",
      .argument = "FILE",
      .help = "a bearer token, in a file of ours alone; else XENRES_TOKEN_FILE" },
    { .name = "timeout",
      .argument = "TIME",
      .help = "of each request: 30s (unless given), 500ms, 2m" },
    { .name = "version", .help = "print the version, and end" },
    { .name = "help", .letter = 'h', .help = "print this, or a verb's own help, and end" },
    { 0 },
};

const struct verb *verbs_find(const char *name, char usage[USAGE_MAX_BYTES])
{
    struct suggestion suggestion;
    char meant[SUGGESTION_TEXT_BYTES];

    suggestion_begin(&suggestion, name, strlen(name));
    for (size_t i = 0; i < verbs_count; i++) {
        if (strcmp(verbs[i]->name, name) == 0) {
            return verbs[i];
        }
        suggestion_offer(&suggestion, verbs[i]->name);
    }
    (void)snprintf(usage, USAGE_MAX_BYTES, "no such verb: %.100s%s", name,
                   suggestion_text(&suggestion, meant));
    return NULL;
}
