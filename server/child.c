/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/log.h"

enum {
    ARGUMENTS_MAX = 24,
    FIRST_FD = 3, /* SD_LISTEN_FDS_START */
    PASSED_MAX = 2 + LISTENER_DOORS_MAX,
    NAMES_BYTES = PASSED_MAX * (DOORS_NAME_BYTES + 1),
};

/* In the child: descriptors `fds` become 3, 4, …, and nothing stays open behind them: what a careless
 * starter left to us (a service manager's sockets, a shell's files) is not for those who drop their
 * rights. They are first moved out of the way, as one may stand where another belongs. */
static bool place_descriptors(const int *fds, int count)
{
    int high[PASSED_MAX];

    for (int i = 0; i < count; i++) {
        high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_FD + count);
        if (high[i] < 0) {
            return false;
        }
    }
    for (int i = 0; i < count; i++) {
        if (dup2(high[i], FIRST_FD + i) < 0) {
            return false;
        }
    }
    closefrom(FIRST_FD + count);
    return true;
}

/* From the first moment: whoever is started ends with us, also before it can say so itself. */
static void follow(pid_t parent, int signal_number)
{
    if (prctl(PR_SET_PDEATHSIG, signal_number) != 0 || getppid() != parent) {
        _exit(126);
    }
}

_Noreturn static void become(const char *program, char **arguments)
{
    sigset_t none;

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execv(program, arguments);
    log_error("cannot start %s: %s", program, strerror(errno));
    _exit(127);
}

static const char *number(char text[24], int64_t value)
{
    snprintf(text, 24, "%lld", (long long)value);
    return text;
}

_Noreturn void child_become_mapper(const struct config *c, const struct child_sockets *sockets,
                                   uid_t worker_uid)
{
    follow(sockets->parent, SIGTERM); /* lets go of what it holds in Xen */
    char uid[24], arena[24], slot[24], fd[24], journal[CONFIG_TEXT_BYTES + 16];

    snprintf(journal, sizeof(journal), "%s/traces", c->server_state_dir);
    const char *arguments[ARGUMENTS_MAX] = {
        c->mapper_program,    "--listen-fd",
        number(fd, FIRST_FD), "--exit-with-peer",
        "--export",           c->mapper_export,
        "--peer-user",        number(uid, worker_uid),
        "--arena-mib",        number(arena, c->mapper_arena_mib),
        "--slot-max-mib",     number(slot, c->mapper_slot_max_mib),
        "--journal",          journal,
    };
    size_t n = 14;

    if (sockets->verbose) {
        arguments[n++] = "--log-level";
        arguments[n++] = "debug";
    }
    if (geteuid() == 0) { /* whom the mapper does not find, it does not start without */
        arguments[n++] = "--user";
        arguments[n++] = c->mapper_user;
    }
    if (c->mapper_scenario[0] != '\0') {
        arguments[n++] = "--scenario";
        arguments[n++] = c->mapper_scenario;
    }
    /* That the mapper is ready is not for the manager of the whole to hear. */
    if (unsetenv("NOTIFY_SOCKET") != 0 || !place_descriptors(&sockets->mapper_fd, 1)) {
        _exit(126);
    }
    become(c->mapper_program, (char **)(uintptr_t)arguments);
}

/* What the worker finds from the first descriptor on, in this order. */
struct passed {
    int fds[PASSED_MAX];
    int count;
    char names[NAMES_BYTES]; /* with colons between: LISTEN_FDNAMES */
};

static void pass(struct passed *p, const char *name, int fd)
{
    size_t used = strlen(p->names);

    if (fd >= 0) {
        p->fds[p->count++] = fd;
        (void)snprintf(p->names + used, sizeof(p->names) - used, "%s%s", used > 0 ? ":" : "", name);
    }
}

_Noreturn void child_become_worker(const struct config *c, const struct child_sockets *sockets)
{
    follow(sockets->parent, SIGKILL); /* at once: the next one may be there already */
    struct passed passed = { .count = 0 };
    char pid[24], fd_count[24], silence[24];
    const char *arguments[] = {
        "xenresd",  "--config",           c->path,
        "--worker", sockets->mapper_path, sockets->verbose ? "--verbose" : NULL,
        NULL
    };

    for (size_t i = 0; i < sockets->doors->count; i++) {
        pass(&passed, sockets->doors->name[i], sockets->doors->door[i].listen_fd);
    }
    pass(&passed, "keeper", sockets->keeper_fd);
    pass(&passed, "health", sockets->health_fd);
    /* The handing over of sockets as sd_listen_fds(3) and sd_notify(3) have it. */
    if (setenv("LISTEN_PID", number(pid, getpid()), 1) != 0 ||
        setenv("LISTEN_FDS", number(fd_count, passed.count), 1) != 0 ||
        setenv("LISTEN_FDNAMES", passed.names, 1) != 0 ||
        setenv("NOTIFY_SOCKET", sockets->notify_path, 1) != 0 || unsetenv("WATCHDOG_PID") != 0 ||
        setenv("WATCHDOG_USEC", number(silence, (int64_t)sockets->watchdog_us), 1) != 0 ||
        !place_descriptors(passed.fds, passed.count)) {
        _exit(126);
    }
    become("/proc/self/exe", (char **)(uintptr_t)arguments);
}
