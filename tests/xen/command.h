// SPDX-License-Identifier: Apache-2.0
// Copyright (C) 2026 The xenresd authors

/*
 * What resmap and provoke share: Xen's handles, numbers of the command line, a table of subcommands. For one-file
 * programs that end after one subcommand, hence the definitions in a header.
 */
#ifndef XENRES_TESTS_XEN_COMMAND_H
#define XENRES_TESTS_XEN_COMMAND_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include <xenctrl.h>
#include <xenforeignmemory.h>

enum status { OK = 0, FAILED = 1, USAGE = 2 };

// Opened once by command_main, closed by exit; all subcommands use them.
static xc_interface *xc;
static xenforeignmemory_handle *memory;

struct command {
    const char *name;
    int arg_count;
    int (*run)(char **args);
    const char *usage;
};

static int fail(const char *call)
{
    const char *name = strerrorname_np(errno);

    fprintf(stderr, "%s: %s\n", call, name ? name : "?");
    return FAILED;
}

// A number of the command line, in any base; everything else ends the program.
static unsigned long number(const char *text)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 0);
    if (errno || end == text || *end) {
        fprintf(stderr, "not a number: %s\n", text);
        exit(USAGE);
    }
    return value;
}

static domid_t domain_number(const char *text)
{
    return (domid_t)number(text);
}

// SIGTERM as something to poll for, so that a mapping or a server is held until the test has seen enough.
static inline int termination_fd(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int command_main(int argc, char **argv, const char *summary, const struct command *commands,
                        size_t count)
{
    for (size_t i = 0; argc > 1 && i < count; i++) {
        if (strcmp(argv[1], commands[i].name) == 0 && argc - 2 == commands[i].arg_count) {
            xc = xc_interface_open(NULL, NULL, 0);
            memory = xenforeignmemory_open(NULL, 0);
            return xc && memory ? commands[i].run(argv + 2) : fail("open");
        }
    }
    fprintf(stderr, "usage: %s\nA refusal prints the call and the errno's name and exits 1.\n",
            summary);
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "  %s\n", commands[i].usage);
    }
    return USAGE;
}

#endif
