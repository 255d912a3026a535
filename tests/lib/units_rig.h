/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The mapper and xenresd as two units, as a service manager would have them: their listening sockets
 * are the test's, so that connecting succeeds whoever has just been killed. One owner, who may kill and
 * start either at any time.
 */
#ifndef XENRES_TESTS_UNITS_RIG_H
#define XENRES_TESTS_UNITS_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"

enum { UNITS_PATH_BYTES = 256, UNITS_PUBLIC_FD = 3, UNITS_HEALTH_FD = 4, UNITS_MAPPER_FD = 5 };

#define UNITS_MUST(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, strerror(errno));   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct units {
    char dir[64], demo[64]; /* its own; that with the certificates */
    int public_fd, health_fd, mapper_fd;
    uint16_t port;
    pid_t xenresd, mapper; /* 0: not running */
};

static inline void units_write(const struct units *u, const char *name, const char *text, ...)
{
    char path[UNITS_PATH_BYTES];
    va_list arguments;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", u->dir, name);
    file = fopen(path, "we");
    UNITS_MUST(file != NULL);
    va_start(arguments, text);
    UNITS_MUST(vfprintf(file, text, arguments) >= 0);
    va_end(arguments);
    UNITS_MUST(fclose(file) == 0 && chmod(path, 0644) == 0);
}

static inline const char *units_program(const char *name, char path[UNITS_PATH_BYTES])
{
    const char *build = getenv("BUILD");

    (void)snprintf(path, UNITS_PATH_BYTES, "%s/%s", build != NULL ? build : "build", name);
    return path;
}

/* xenresd runs as nobody from its start, where we are root: what it reads again at a reload is its. */
static inline void units_give(const char *path)
{
    const struct passwd *nobody = getpwnam("nobody");

    UNITS_MUST(geteuid() != 0 || (nobody != NULL && chown(path, nobody->pw_uid, (gid_t)-1) == 0));
}

static inline void units_become_nobody(void)
{
    const struct passwd *nobody = getpwnam("nobody");

    UNITS_MUST(geteuid() != 0 || (setgid(nobody->pw_gid) == 0 && setuid(nobody->pw_uid) == 0));
}

static inline int units_bind_health(const struct units *u)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/health.sock", u->dir);
    UNITS_MUST(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 16) == 0);
    return fd;
}

static inline int units_bind_public(uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    UNITS_MUST(bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 1024) == 0 &&
               getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* `demo`: a folder that xenresd --demo has made certificates in. Signals that the programs take are
 * ignored from here on: they would end one that has not looked yet. */
static inline void units_make(struct units *u, const char *demo, const char *limits)
{
    char socket_path[UNITS_PATH_BYTES];

    (void)signal(SIGUSR1, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    memset(u, 0, sizeof(*u));
    (void)snprintf(u->dir, sizeof(u->dir), "/tmp/units.XXXXXX");
    (void)snprintf(u->demo, sizeof(u->demo), "%s", demo);
    UNITS_MUST(mkdtemp(u->dir) != NULL && chmod(u->dir, 0755) == 0);
    (void)snprintf(socket_path, sizeof(socket_path), "%s/mapper.sock", u->dir);
    UNITS_MUST(channel_listen(socket_path, &u->mapper_fd, NULL) == 0 &&
               chmod(socket_path, 0666) == 0);
    units_give(u->dir);
    (void)snprintf(socket_path, sizeof(socket_path), "%s/server.key", demo);
    units_give(socket_path);
    (void)snprintf(socket_path, sizeof(socket_path), "%s/mapper.sock", u->dir);
    u->public_fd = units_bind_public(&u->port);
    u->health_fd = units_bind_health(u);
    units_write(u, "export", "allow all all list,snapshot,watch,decode\n");
    units_write(u, "xenresd.conf",
                "server { listen = \"127.0.0.1:0\" health = \"\" user = \"nobody\"\n"
                "  state_dir = \"%s\" policy = \"%s/policy.conf\" heartbeat_s = 1 }\n"
                "tls { certificate = \"%s/server.crt\" key = \"%s/server.key\"\n"
                "  client_ca = \"%s/ca.crt\" }\n"
                "mapper { socket = \"%s\" backoff_max_ms = 50 }\n"
                "limits { %s }\n",
                u->dir, demo, demo, demo, demo, socket_path, limits);
}

static inline void units_done(struct units *u)
{
    static const char *const names[] = {
        "export",         "xenresd.conf", "scenario",    "mapper.sock",
        "health.sock",    "seal.key",     "log",         "traces",
        "audit.key",      "audit.log",    "audit.state", "audit.sign.key",
        "audit.sign.pub", "vcpu0.pt",     "vcpu1.pt",    "vcpu2.pt"
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[UNITS_PATH_BYTES];

        (void)snprintf(path, sizeof(path), "%s/%s", u->dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(u->dir);
    (void)close(u->public_fd);
    (void)close(u->health_fd);
    (void)close(u->mapper_fd);
}

/* In the child: it has the log as its output and ends with the test. */
static inline void units_settle(const struct units *u, pid_t parent)
{
    char log[UNITS_PATH_BYTES];

    (void)snprintf(log, sizeof(log), "%s/log", u->dir);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || fd < 0) {
        _exit(126);
    }
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    (void)close(fd);
}

/* Where it is to be, though another may be there: none of ours is below 10. */
static inline void units_place(int from, int to)
{
    UNITS_MUST(dup2(from, to) == to && fcntl(to, F_SETFD, 0) == 0);
}

static inline int units_lift(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 10);
}

static inline void units_start_mapper(struct units *u, const char *const *more)
{
    char program[UNITS_PATH_BYTES], export[UNITS_PATH_BYTES], scenario[UNITS_PATH_BYTES];
    const char *arguments[32] = { units_program("xenresd-mapper-sim", program),
                                  "--listen-fd",
                                  "5",
                                  "--export",
                                  export,
                                  "--scenario",
                                  scenario,
                                  "--period-min-ms",
                                  "1" };
    size_t n = 9;
    pid_t parent = getpid();

    (void)snprintf(export, sizeof(export), "%s/export", u->dir);
    (void)snprintf(scenario, sizeof(scenario), "%s/scenario", u->dir);
    while (more != NULL && *more != NULL && n < 28) {
        arguments[n++] = *more++;
    }
    if (geteuid() == 0) {
        arguments[n++] = "--peer-user";
        arguments[n++] = "nobody";
    }
    u->mapper = fork();
    if (u->mapper == 0) {
        units_settle(u, parent);
        units_place(units_lift(u->mapper_fd), UNITS_MAPPER_FD);
        (void)execv(program, (char **)(uintptr_t)arguments);
        perror(program);
        _exit(127);
    }
}

static inline void units_start_xenresd(struct units *u)
{
    char program[UNITS_PATH_BYTES], config[UNITS_PATH_BYTES], pid[16];
    char option[] = "--config";
    char *arguments[] = { program, option, config, NULL };
    pid_t parent = getpid();

    (void)units_program("xenresd", program);
    (void)snprintf(config, sizeof(config), "%s/xenresd.conf", u->dir);
    u->xenresd = fork();
    if (u->xenresd == 0) {
        units_settle(u, parent);
        int public_fd = units_lift(u->public_fd), health_fd = units_lift(u->health_fd);

        units_place(public_fd, UNITS_PUBLIC_FD);
        units_place(health_fd, UNITS_HEALTH_FD);
        int program_fd = open(program, O_RDONLY | O_CLOEXEC); /* it may be in a folder of root's */

        units_become_nobody();
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* becoming another has taken it away */
        (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
        (void)setenv("LISTEN_PID", pid, 1);
        (void)setenv("LISTEN_FDS", "2", 1);
        (void)setenv("LISTEN_FDNAMES", "public:health", 1);
        (void)fexecve(program_fd, arguments, environ);
        perror(program);
        _exit(127);
    }
}

/* Ends *pid by a signal, and sees that it did: by SIGTERM well. */
static inline bool units_end(pid_t *pid, int signal_number)
{
    int status = 0;
    pid_t ended = *pid;

    *pid = 0;
    if (ended == 0) {
        return true;
    }
    (void)kill(ended, signal_number);
    return waitpid(ended, &status, 0) == ended &&
           (WIFSIGNALED(status) ? WTERMSIG(status) == signal_number /* before it had looked */
                                : WEXITSTATUS(status) == 0);
}

/* The metric without labels, as the health listener says; UINT64_MAX: it does not. */
static inline uint64_t units_metric(const struct units *u, const char *name)
{
    static char text[256 << 10];
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
    size_t len = 0;
    ssize_t n;
    char row[128];

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/health.sock", u->dir);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0) {
        while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
            len += (size_t)n;
        }
    }
    (void)close(fd);
    text[len] = '\0';
    (void)snprintf(row, sizeof(row), "\n%s ", name);
    const char *found = strstr(text, row);

    return found != NULL ? strtoull(found + strlen(row), NULL, 10) : UINT64_MAX;
}

#endif
