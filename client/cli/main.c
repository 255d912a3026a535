/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The command: from the command line to the verb that it names. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/choices.h"
#include "client/cli/cli.h"
#include "client/cli/help.h"
#include "client/cli/output.h"
#include "client/cli/paint.h"
#include "client/cli/render.h"
#include "client/cli/report.h"
#include "client/cli/verbs.h"

enum { TIMEOUT_MAX_MS = 3600 * 1000 };

static bool find_verb(void *arg, const char *name, const struct option **options,
                      size_t *operands_max, char usage[USAGE_MAX_BYTES])
{
    struct cli *cli = arg;

    cli->verb = verbs_find(name, usage);
    if (cli->verb != NULL) {
        *options = cli->verb->options;
        *operands_max = cli->verb->operands_max;
    }
    return cli->verb != NULL;
}

static int print_version(void)
{
    BUFFER_AUTO(text, 256);

    buffer_printf(&text, "xenres %s (libxenres %s)\n", XENRES_VERSION, xenres_version());
    return output_print(&text);
}

static void take_string(const char **out, const struct arguments *arguments, const char *name)
{
    const char *value = arguments_value(arguments, name);

    if (value != NULL) {
        *out = value;
    }
}

/* What was wrong before is told in the usual way. */
static bool take_color(const struct arguments *arguments, char usage[USAGE_MAX_BYTES])
{
    const char *given = arguments_value(arguments, "color");
    enum paint_when when = PAINT_AUTO;
    bool is_known = given == NULL || paint_when_from_name(given, &when);

    paint_init(when);
    if (!is_known && usage[0] == '\0') {
        choices_refuse("--color", "auto|always|never", given, usage);
    }
    return is_known;
}

static bool take_globals(struct cli *cli, const struct arguments *arguments,
                         char usage[USAGE_MAX_BYTES])
{
    const char *format = arguments_value(arguments, "format");
    const char *timeout = arguments_value(arguments, "timeout");

    xenres_options_from_environment(&cli->options);
    take_string(&cli->options.server, arguments, "server");
    take_string(&cli->options.ca_file, arguments, "cacert");
    take_string(&cli->options.cert_file, arguments, "cert");
    take_string(&cli->options.key_file, arguments, "key");
    take_string(&cli->options.token_file, arguments, "token-file");
    if (format != NULL && strcmp(format, "table") != 0 && strcmp(format, "json") != 0) {
        choices_refuse("--format", "table|json", format, usage);
        return false;
    }
    cli->format = format == NULL                ? CLI_FORMAT_UNSET
                  : strcmp(format, "json") == 0 ? CLI_FORMAT_JSON
                                                : CLI_FORMAT_TABLE;
    return timeout == NULL || arguments_duration("--timeout", timeout, TIMEOUT_MAX_MS,
                                                 &cli->options.timeout_ms, usage);
}

/* With standard output closed, the connection would get its number, and the answer would be written
 * to the gateway. What stands there instead cannot be written to: that is then told. */
static void occupy_closed_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

int main(int argc, char **argv)
{
    struct cli cli = { .options = XENRES_OPTIONS_INIT };
    struct arguments arguments;
    char usage[USAGE_MAX_BYTES] = "";

    occupy_closed_descriptors();
    /* A reader that went away is an error to report, not a death without a word. */
    (void)signal(SIGPIPE, SIG_IGN);
    render_init();
    bool is_proper =
        arguments_parse(argc, argv, verbs_global_options, find_verb, &cli, &arguments, usage);

    /* First of all: how what follows is told. */
    is_proper = take_color(&arguments, usage) && is_proper;
    const char *verb_name = cli.verb != NULL ? cli.verb->name : NULL;

    if (!is_proper) {
        return report_usage(verb_name, usage);
    }
    if (arguments_value(&arguments, "version") != NULL) {
        return print_version();
    }
    if (arguments_value(&arguments, "help") != NULL) {
        return help_print(cli.verb);
    }
    if (cli.verb == NULL) {
        return report_usage(NULL, "what is to be done? No verb was given");
    }
    if (arguments.operand_count < cli.verb->operands_min) {
        (void)snprintf(usage, sizeof(usage), "%s needs %s", cli.verb->name, cli.verb->operands);
        return report_usage(verb_name, usage);
    }
    if (!take_globals(&cli, &arguments, usage)) {
        return report_usage(verb_name, usage);
    }
    return cli.verb->run(&cli, &arguments);
}
