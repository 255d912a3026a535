/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* xenres completion */
#include "client/cli/completion.h"

#include <string.h>

#include "client/cli/choices.h"
#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "client/cli/report.h"

enum { COMPLETION_MAX_BYTES = 256 * 1024 };

static const struct {
    const char *shell;
    void (*append)(struct buffer *out);
} shells[] = {
    { "bash", completion_bash },
    { "zsh", completion_zsh },
};

static int run(struct cli *cli, const struct arguments *arguments)
{
    BUFFER_AUTO(script, COMPLETION_MAX_BYTES);
    char usage[USAGE_MAX_BYTES];

    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(shells[i].shell, arguments->operands[0]) == 0) {
            shells[i].append(&script);
            return output_print(&script);
        }
    }
    choices_refuse("the shell", cli->verb->operands, arguments->operands[0], usage);
    return report_usage(cli->verb->name, usage);
}

const struct verb verb_completion = {
    .name = "completion",
    .operands = "bash|zsh",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "the script with which a shell completes xenres's words",
    .description =
        "Prints a script for the shell: verbs, options, their values and methods, and the\n"
        "names of domains where XENRES_SERVER is set. \"make install\" puts both where\n"
        "shells look; else, in bash: . <(xenres completion bash)",
    .run = run,
};
