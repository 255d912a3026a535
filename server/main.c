/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * xenresd: options, and which of its roles this process plays. See xenresd(8).
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/log.h"
#include "server/check.h"
#include "server/command.h"
#include "server/config.h"
#include "server/demo.h"
#include "server/faults.h"
#include "server/service.h"
#include "server/supervisor.h"

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

enum option_id {
    OPTION_CONFIG = 'c',
    OPTION_HELP = 'h',
    OPTION_VERSION = 'V',
    OPTION_CHECK = 256,
    OPTION_DEMO,
    OPTION_LISTEN,
    OPTION_SCENARIO,
    OPTION_OPTIONS,
    OPTION_VERBOSE,
    OPTION_WORKER,
};

struct arguments {
    const char *config, *demo, *listen, *scenario, *worker;
    bool check, verbose;
};

static const char help[] =
    "xenresd serves the pages that Xen shares with dom0 to remote clients.\n"
    "\n"
    "    xenresd --config FILE              serve\n"
    "    xenresd --check --config FILE      say all that is wrong in the files, and end\n"
    "    xenresd --demo DIR [--listen ADDRESS:PORT] [--scenario FILE]\n"
    "                                       serve a simulated host, with certificates made in "
    "DIR;\n"
    "                                       DIR/env is there as soon as it serves\n"
    "    xenresd --options                  list the options of the configuration file\n"
    "\n"
    "    --verbose                          log more\n"
    "    --worker SOCKET                    used by the supervisor for the process that it starts\n"
    "    --version, --help\n";

static void print_help(void)
{
    fputs(help, stdout);
    for (const struct command *c = commands; c->name != NULL; c++) {
        fputs(c->help, stdout);
    }
    fputs("\nSee xenresd(8) and xenresd.conf(5).\n", stdout);
}

static const struct option long_options[] = {
    { "config", required_argument, NULL, OPTION_CONFIG },
    { "check", no_argument, NULL, OPTION_CHECK },
    { "demo", required_argument, NULL, OPTION_DEMO },
    { "listen", required_argument, NULL, OPTION_LISTEN },
    { "scenario", required_argument, NULL, OPTION_SCENARIO },
    { "options", no_argument, NULL, OPTION_OPTIONS },
    { "verbose", no_argument, NULL, OPTION_VERBOSE },
    { "worker", required_argument, NULL, OPTION_WORKER },
    { "version", no_argument, NULL, OPTION_VERSION },
    { "help", no_argument, NULL, OPTION_HELP },
    { NULL, 0, NULL, 0 },
};

static int usage(const char *what)
{
    fprintf(stderr, "xenresd: %s\nxenresd: see xenresd --help\n", what);
    return STATUS_USAGE;
}

static int failed(const struct failure *f)
{
    log_failure(LOG_LEVEL_ERROR, "xenresd", f);
    return f->code != ERROR_OK ? error_exit_status(f->code) : STATUS_FAILED;
}

static int load(const char *path, struct config *config)
{
    struct failure f = { 0 };
    BUFFER_AUTO(faults, FAULTS_MAX_BYTES);
    int result;

    result = config_load(path, config, &faults, &f);
    if (result < 0) {
        fputs(faults.len_bytes > 0 ? buffer_string(&faults) : "", stderr);
        return failed(&f);
    }
    return 0;
}

/* What is said is lines of faults, and nothing else: `xenresd doctor` counts them. */
static int check(const char *path)
{
    struct config config;
    struct failure f = { 0 };
    BUFFER_AUTO(faults, FAULTS_MAX_BYTES);
    bool is_whole;
    int result = config_examine(path, &config, &is_whole, &faults, &f);

    if (is_whole) {
        int rest = check_config(&config, &faults, NULL);

        result = result != 0 ? result : rest;
    } else if (faults.len_bytes > 0) {
        buffer_printf(&faults,
                      "%s: note: what is behind that, and the files, are looked at when it is "
                      "right\n",
                      path);
    } else {
        faults_add(&faults, &f);
    }
    fputs(faults.len_bytes > 0 ? buffer_string(&faults) : "", stderr);
    if (result < 0) {
        return error_exit_status(-result);
    }
    printf("%s: no faults\n", path);
    return 0;
}

static int supervise(const struct config *config, const char *demo_dir, bool verbose)
{
    const struct supervisor_options options = {
        .config = config,
        .verbose = verbose,
        .on_ready = demo_dir != NULL ? demo_ready : NULL,
        .arg = (void *)(uintptr_t)demo_dir,
    };
    struct failure f = { 0 };

    return supervisor_run(&options, &f) < 0 ? failed(&f) : 0;
}

static int serve(const char *path, const char *worker_socket, bool verbose)
{
    struct config config;
    struct failure f = { 0 };
    int status = load(path, &config);
    const struct service_options options = { .config = &config, .mapper_socket = worker_socket };

    if (status != 0) {
        return status;
    }
    if (worker_socket == NULL) {
        return supervise(&config, NULL, verbose);
    }
    return service_run(&options, &f) < 0 ? failed(&f) : 0;
}

static int demonstrate(const struct arguments *a)
{
    const struct demo_options options = { .dir = a->demo,
                                          .listen = a->listen,
                                          .scenario = a->scenario };
    char path[CONFIG_TEXT_BYTES], dir[CONFIG_TEXT_BYTES];
    struct config config;
    struct failure f = { 0 };
    int status;

    if (demo_prepare(&options, path, &f) < 0) {
        return failed(&f);
    }
    status = load(path, &config);
    if (status != 0) {
        return status;
    }
    memcpy(dir, path, sizeof(dir));
    *strrchr(dir, '/') = '\0';
    return supervise(&config, dir, a->verbose);
}

/* Status to exit with, or -1 to go on. */
static int take_option(int id, struct arguments *a)
{
    switch (id) {
    case OPTION_CONFIG: a->config = optarg; return -1;
    case OPTION_CHECK: a->check = true; return -1;
    case OPTION_DEMO: a->demo = optarg; return -1;
    case OPTION_LISTEN: a->listen = optarg; return -1;
    case OPTION_SCENARIO: a->scenario = optarg; return -1;
    case OPTION_VERBOSE: a->verbose = true; return -1;
    case OPTION_WORKER: a->worker = optarg; return -1;
    case OPTION_OPTIONS: config_print_options(stdout); return 0;
    case OPTION_VERSION: puts("xenresd " XENRES_VERSION); return 0;
    case OPTION_HELP: print_help(); return 0;
    default: return usage("the option is wrong");
    }
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    struct arguments a = { 0 };
    const struct command *command = argc > 1 ? command_find(argv[1]) : NULL;
    int id;

    if (command != NULL && asks_for_help(argc, argv)) {
        printf("%s\nSee xenresd(8).\n", command->help + strspn(command->help, "\n"));
        return 0;
    }
    if (command != NULL) {
        log_open("xenresd", LOG_LEVEL_INFO);
        return command->run(argc - 1, argv + 1);
    }
    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        int status = take_option(id, &a);

        if (status >= 0) {
            return status;
        }
    }
    (void)prctl(PR_SET_NAME, "xenresd"); /* a worker was started as /proc/self/exe */
    log_open("xenresd", a.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (optind < argc) {
        return usage("there is an argument too many");
    }
    if ((a.config == NULL) == (a.demo == NULL)) {
        return usage("expected either --config FILE or --demo DIR");
    }
    if (a.demo == NULL && (a.listen != NULL || a.scenario != NULL)) {
        return usage("--listen and --scenario go with --demo");
    }
    if (a.demo != NULL) {
        return a.check || a.worker != NULL ? usage("--demo goes with neither --check nor --worker")
                                           : demonstrate(&a);
    }
    return a.check ? check(a.config) : serve(a.config, a.worker, a.verbose);
}
