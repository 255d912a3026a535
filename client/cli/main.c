/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The command: the table of verbs, the options that all of them have, and the help made of both. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/render.h"
#include "client/cli/report.h"

enum { TIMEOUT_MAX_MS = 3600 * 1000 };

static const struct verb *const verbs[] = {
    &verb_host,     &verb_domains, &verb_resources, &verb_describe,
    &verb_snapshot, &verb_grants,  &verb_ioreqs,    &verb_stats,
};

enum { VERB_COUNT = sizeof(verbs) / sizeof(verbs[0]) };

static const struct option global_options[] = {
    { "format", 'o', "table|json", "how answers are printed; table unless given" },
    { "server", 0, "URL", "https://HOST[:PORT]; else XENRES_SERVER" },
    { "cacert", 0, "FILE", "who may sign the server's certificate; else XENRES_CACERT" },
    { "cert", 0, "FILE", "our certificate; else XENRES_CERT" },
    { "key", 0, "FILE", "its key; else XENRES_KEY" },
    { "timeout", 0, "TIME", "of each request: 30s (unless given), 500ms, 2m" },
    { "version", 0, NULL, "print the version, and end" },
    { "help", 'h', NULL, "print this, or a verb's own help, and end" },
    { 0 },
};

static bool find_verb(void *arg, const char *name, const struct option **options,
                      size_t *operands_max)
{
    struct cli *cli = arg;

    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(verbs[i]->name, name) == 0) {
            cli->verb = verbs[i];
            *options = verbs[i]->options;
            *operands_max = verbs[i]->operands_max;
            return true;
        }
    }
    return false;
}

static void print_options(const struct option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        char left[64];
        char letter[8] = "";

        if (options->letter != '\0') {
            (void)snprintf(letter, sizeof(letter), "-%c, ", options->letter);
        }
        (void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, options->name,
                       options->argument != NULL ? " " : "",
                       options->argument != NULL ? options->argument : "");
        (void)printf("  %-26s %s\n", left, options->help);
    }
}

/* "[--first N] [--count M]", under the verb. */
static void print_verb(const struct verb *verb)
{
    char left[64];

    (void)snprintf(left, sizeof(left), "%s %s", verb->name, verb->operands);
    (void)printf("  %-26s %s\n", left, verb->summary);
    if (verb->options != NULL) {
        (void)printf("   ");
        for (const struct option *o = verb->options; o->name != NULL; o++) {
            (void)printf(" [--%s%s%s]", o->name, o->argument != NULL ? " " : "",
                         o->argument != NULL ? o->argument : "");
        }
        (void)printf("\n");
    }
}

/* Standard output is looked at once, at the end: a full disk shows there at the latest. */
static int finish_stdout(void)
{
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        return report_local("cannot write to", "standard output", 0);
    }
    return 0;
}

static int help(const struct verb *verb)
{
    if (verb != NULL) {
        (void)printf("usage: xenres [OPTIONS] %s%s%s%s\n\n%s\n", verb->name,
                     verb->operands[0] != '\0' ? " " : "", verb->operands,
                     verb->options != NULL ? " [OPTIONS]" : "", verb->description);
        if (verb->options != NULL) {
            (void)printf("\nOptions of %s:\n", verb->name);
            print_options(verb->options);
        }
    } else {
        (void)printf("usage: xenres [OPTIONS] VERB [OPERANDS]\n\n"
                     "Looks into the pages that Xen shares with dom0, through xenresd.\n\n"
                     "Verbs:\n");
        for (size_t i = 0; i < VERB_COUNT; i++) {
            print_verb(verbs[i]);
        }
    }
    (void)printf("\nOptions of all verbs:\n");
    print_options(global_options);
    (void)printf("\nDOMAIN is a domid, a UUID or a name; domid:, uuid: or name: before it tells.\n"
                 "Exit statuses and examples: man xenres.\n");
    return finish_stdout();
}

static void take_string(const char **out, const struct arguments *arguments, const char *name)
{
    const char *value = arguments_value(arguments, name);

    if (value != NULL) {
        *out = value;
    }
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
    if (format != NULL && strcmp(format, "table") != 0 && strcmp(format, "json") != 0) {
        (void)snprintf(usage, USAGE_MAX_BYTES, "--format has to be table or json, not \"%.100s\"",
                       format);
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
        arguments_parse(argc, argv, global_options, find_verb, &cli, &arguments, usage);
    const char *verb_name = cli.verb != NULL ? cli.verb->name : NULL;

    if (!is_proper) {
        return report_usage(verb_name, usage);
    }
    if (arguments_value(&arguments, "version") != NULL) {
        (void)printf("xenres %s (libxenres %s)\n", XENRES_VERSION, xenres_version());
        return finish_stdout();
    }
    if (arguments_value(&arguments, "help") != NULL) {
        return help(cli.verb);
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
