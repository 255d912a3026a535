/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/command_doctor.h"

#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/check_certificates.h"
#include "server/command.h"
#include "server/doctor.h"

#define CONFIG_PATH  "/etc/xenresd/xenresd.conf"
#define JOURNAL_PATH "/run/xenresd/traces" /* as the mapper's unit has it */

static int usage(const char *what)
{
    fprintf(stderr, "xenresd doctor: %s\nxenresd doctor: see xenresd --help\n", what);
    return COMMAND_STATUS_USAGE;
}

/* By a process of its own, which becomes the user who serves. */
static void look_at_files(struct doctor *d, const char *path)
{
    const char *const argv[] = { "/proc/self/exe", "--check", "--config", path, NULL };
    BUFFER_AUTO(said, DOCTOR_SAID_MAX_BYTES);
    int status = doctor_program(argv, &said);
    const char *text = buffer_string(&said);

    for (const char *at = text != NULL ? text : ""; *at != '\0'; at += strspn(at, "\n")) {
        int len = (int)strcspn(at, "\n");
        bool is_mild = memmem(at, (size_t)len, "warning: ", 9) != NULL;
        bool is_well = (status == 0 && !is_mild) || memmem(at, (size_t)len, "note: ", 6) != NULL;

        doctor_row(d,
                   is_well   ? DOCTOR_OK
                   : is_mild ? DOCTOR_WARNING
                             : DOCTOR_FAILED,
                   "files", "%.*s", len, at);
        at += len;
    }
    if (status == -ERROR_DEADLINE_EXCEEDED) {
        doctor_row(d, DOCTOR_FAILED, "files", "xenresd --check --config %s does not end: run it",
                   path);
    } else if (status != 0 && d->failures == 0) {
        doctor_row(d, DOCTOR_FAILED, "files", "xenresd --check --config %s ended with %d: run it",
                   path, status);
    }
}

/* The faults, the files' rows have told. */
static void tell_days(void *arg, const char *option, const char *path,
                      const struct examine_finding *finding)
{
    if (finding->level == EXAMINE_NOTE) {
        doctor_row(arg, DOCTOR_OK, option, "%s:%u: %s", path, finding->line, finding->text);
    }
}

/* The mapper that is configured, or the one that is installed beside this program. */
static bool find_mapper(const struct config *c, char out[PATH_MAX])
{
    ssize_t len;
    char *slash;

    if (c->mapper_program[0] != '\0') {
        snprintf(out, PATH_MAX, "%s", c->mapper_program);
        return access(out, X_OK) == 0;
    }
    len = readlink("/proc/self/exe", out, PATH_MAX - sizeof("/xenresd-mapper"));
    if (len <= 0) {
        return false;
    }
    out[len] = '\0';
    slash = strrchr(out, '/');
    memcpy(slash + 1, "xenresd-mapper", sizeof("xenresd-mapper"));
    return access(out, X_OK) == 0;
}

static void look_at_xen(struct doctor *d)
{
    const struct config *c = d->config;
    char program[PATH_MAX], supervised[PATH_MAX];
    const char *argv[8] = { program, "--doctor" };
    size_t count = 2;
    BUFFER_AUTO(said, DOCTOR_SAID_MAX_BYTES);
    int status;

    if (geteuid() != 0 || !find_mapper(c, program)) {
        doctor_row(d, DOCTOR_WARNING, "the Xen half", "it is not looked at: %s",
                   geteuid() != 0 ? "run this as root, or xenresd-mapper --doctor"
                                  : "there is no mapper beside this program: run the mapper's own "
                                    "--doctor, where it is");
        return;
    }
    snprintf(supervised, sizeof(supervised), "%s/traces", c->server_state_dir);
    argv[count++] = "--journal";
    argv[count++] = c->mapper_program[0] != '\0' ? supervised : JOURNAL_PATH;
    if (c->mapper_scenario[0] != '\0') {
        argv[count++] = "--scenario";
        argv[count++] = c->mapper_scenario;
    }
    status = doctor_program(argv, &said);
    fprintf(d->to, "\nThe Xen half, as %s --doctor has it:\n", program);
    doctor_text(d, (const char *)said.data, said.len_bytes);
    if (status != 0) {
        fputc('\n', d->to);
    }
    if (status == -ERROR_DEADLINE_EXCEEDED) {
        doctor_row(d, DOCTOR_WARNING, "the Xen half", "it does not end: run it");
    } else if (status != 0) {
        doctor_row(d, DOCTOR_WARNING, "the Xen half", "what is `no` above has its cure there");
    }
}

/* Whatever holds it up: a file system that does not answer, a socket that nobody listens at any more. */
static void on_alarm(int signal)
{
    static const char words[] =
        "FAILED   doctor: what it looked at last does not answer, and it gives up\n";

    (void)signal;
    (void)!write(STDOUT_FILENO, words, sizeof(words) - 1);
    _exit(COMMAND_STATUS_FAILED);
}

static void begin_time(void)
{
    const struct sigaction act = { .sa_handler = on_alarm };

    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* what was found until then is told */
    (void)sigaction(SIGALRM, &act, NULL);
    (void)alarm(DOCTOR_ALL_S);
}

static int look(const char *path)
{
    struct config config;
    struct doctor d = { .to = stdout, .config = &config };
    BUFFER_AUTO(faults, DOCTOR_SAID_MAX_BYTES);
    bool is_whole;

    begin_time();
    (void)config_examine(path, &config, &is_whole, &faults, NULL); /* look_at_files() tells it */
    look_at_files(&d, path);
    doctor_host(&d);
    if (is_whole) {
        check_certificates(&config, (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S), tell_days, &d);
        doctor_service(&d);
        doctor_mapper(&d);
        look_at_xen(&d);
    } else { /* by what is no more than a default, cures would be wrong */
        doctor_row(&d, DOCTOR_WARNING, "the rest",
                   "certificates, user, listeners and the mapper are looked at when %s is right",
                   path);
    }
    fprintf(d.to, "\nfailed: %u, warnings: %u\n", d.failures, d.warnings);
    return fflush(stdout) == 0 && d.failures == 0 ? 0 : COMMAND_STATUS_FAILED;
}

int command_doctor(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { NULL, 0, NULL, 0 },
    };
    const char *path = CONFIG_PATH;
    int id;

    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (id != 'c') {
            return usage("the option is wrong");
        }
        path = optarg;
    }
    return optind < argc ? usage("there is an argument too many") : look(path);
}
