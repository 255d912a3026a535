/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/scope.h"
#include "server/alive.h"
#include "server/child.h"
#include "server/faults.h"
#include "server/http/health.h"
#include "server/http/listener.h"
#include "server/inherited.h"
#include "server/keeper.h"
#include "server/sandbox.h"
#include "server/status.h"

enum {
    BACKOFF_MIN_MS = 50,
    STEADY_S = 10, /* a child that ran so long starts again with the least back-off */
    TRIES_BEFORE_READY = 5,
    STOP_WAIT_S = 10, /* from SIGTERM to SIGKILL */
    RUNTIME_BYTES = 64,
};

enum child_kind { CHILD_MAPPER, CHILD_WORKER, CHILD_COUNT };
static const char *const child_names[CHILD_COUNT] = { "mapper", "worker" };

struct child {
    pid_t pid; /* 0: not running */
    uint64_t started_ns, start_at_ns;
    uint64_t heard_ns; /* of the worker: when it last said that it lives */
    uint32_t backoff_ms;
    unsigned starts;
};

/* One thread owns all of it. */
struct supervisor {
    const struct supervisor_options *options;
    struct config offered;  /* as the worker was told to read it last, as far as it names files */
    struct config in_force; /* as it says that it has it */
    struct child children[CHILD_COUNT];
    char runtime_dir[RUNTIME_BYTES], mapper_socket[RUNTIME_BYTES + 16],
        notify_socket[RUNTIME_BYTES + 16];
    struct doors doors;
    int mapper_fd, health_fd, signal_fd, notify_fd;
    struct keeper keeper; /* of the worker that runs */
    bool is_reading;      /* that worker has not said yet that it has read its files */
    bool reload_due;      /* somebody has asked for it meanwhile */
    uint16_t port;
    uid_t worker_uid;
    gid_t worker_gid;
    struct alive alive;
    uint64_t
        silence_ns; /* a worker that is silent for so long is killed; UINT64_MAX: it need not speak */
    bool ready, stopping;
};

static int failed(struct failure *f, const char *doing, const char *call)
{
    int errnum = errno;

    return failure_call(f, failure_set(f, ERROR_INTERNAL, "cannot %s: %s", doing, strerror(errnum)),
                        call, errnum);
}

/* --- what the children find when they start -------------------------------------------------- */

/* A directory of this start's own: the worker may pass through it, nobody may list it. */
static int make_runtime(struct supervisor *s, struct failure *f)
{
    const char *base = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");

    if (base == NULL || access(base, W_OK) != 0 || strlen(base) > RUNTIME_BYTES - 24) {
        base = "/tmp";
    }
    snprintf(s->runtime_dir, sizeof(s->runtime_dir), "%s/xenresd-XXXXXX", base);
    if (mkdtemp(s->runtime_dir) == NULL || chmod(s->runtime_dir, 0711) != 0) {
        return failed(f, "make a runtime directory", "mkdtemp");
    }
    snprintf(s->mapper_socket, sizeof(s->mapper_socket), "%s/mapper.sock", s->runtime_dir);
    snprintf(s->notify_socket, sizeof(s->notify_socket), "%s/notify.sock", s->runtime_dir);
    return 0;
}

static void remove_runtime(const struct supervisor *s)
{
    if (s->runtime_dir[0] != '\0') {
        (void)unlink(s->mapper_socket);
        (void)unlink(s->notify_socket);
        (void)rmdir(s->runtime_dir);
    }
}

static int bind_notify(struct supervisor *s, struct failure *f)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int one = 1;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", s->notify_socket);
    s->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->notify_fd < 0 ||
        setsockopt(s->notify_fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) != 0 ||
        bind(s->notify_fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        return failed(f, "make the notify socket", "bind");
    }
    return 0;
}

/* Else there is one that runs by itself. */
static bool has_mapper(const struct supervisor *s)
{
    return s->options->config->mapper_program[0] != '\0';
}

/* The worker connects to them. */
static int bind_own_sockets(struct supervisor *s, struct failure *f)
{
    int result = bind_notify(s, f);

    if (result == 0 && has_mapper(s)) {
        result = channel_listen(s->mapper_socket, &s->mapper_fd, f);
    }
    if (result == 0 && geteuid() == 0 &&
        (chown(s->notify_socket, s->worker_uid, s->worker_gid) != 0 ||
         (has_mapper(s) && chown(s->mapper_socket, s->worker_uid, s->worker_gid) != 0))) {
        result = failed(f, "hand the sockets to the worker's user", "chown");
    }
    return result;
}

/* Those that clients connect to: a service manager may have bound them already. */
static int bind_sockets(struct supervisor *s, struct failure *f)
{
    const struct config *c = s->options->config;
    struct inherited handed_over;
    int result = 0;

    doors_init(&s->doors, c);
    inherited_take(&handed_over, &s->doors);
    s->health_fd = handed_over.health_fd;
    scope_close_fd(&handed_over.keeper_fd);
    result = doors_bind(&s->doors, c, f);
    if (result == 0) {
        s->port = listener_bound_port(s->doors.door[0].listen_fd);
    }
    if (result == 0 && s->health_fd < 0) {
        result = health_bind(c->server_health, &s->health_fd, f);
    }
    return result == 0 ? bind_own_sockets(s, f) : result;
}

static int open_signals(struct supervisor *s, struct failure *f)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return failed(f, "block signals", "sigprocmask");
    }
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd >= 0 ? 0 : failed(f, "receive signals", "signalfd");
}

/* --- starting a child ------------------------------------------------------------------------ */

/* A worker reads the configuration when it starts, and at SIGHUP: by then the file may be another than at our
 * start, and may name others. Of one with faults it is the worker who says so. */
static void follow_config(struct supervisor *s)
{
    BUFFER_AUTO(faults, FAULTS_MAX_BYTES);

    (void)config_load(s->options->config->path, &s->offered, &faults, NULL);
}

static int start_child(struct supervisor *s, enum child_kind kind, struct failure *f)
{
    struct child *c = &s->children[kind];
    pid_t parent = getpid();
    SCOPE_FD int worker_keeper_fd = -1;

    if (kind == CHILD_WORKER) {
        follow_config(s);
        s->in_force = s->offered;
        scope_close_fd(&s->keeper.fd); /* of the one before */
        int result = keeper_pair(&s->keeper.fd, &worker_keeper_fd, f);

        if (result < 0) {
            return result;
        }
    }
    pid_t pid = fork();

    if (pid < 0) {
        return failed(f, "start a process", "fork");
    }
    if (kind == CHILD_WORKER) {
        keeper_begin_turn(&s->keeper, &s->offered);
        s->is_reading = true;
        s->reload_due = false;
    }
    if (pid == 0) {
        const struct child_sockets sockets = {
            .parent = parent,
            .verbose = s->options->verbose,
            .mapper_fd = s->mapper_fd,
            .doors = &s->doors,
            .health_fd = s->health_fd,
            .keeper_fd = worker_keeper_fd,
            .mapper_path = has_mapper(s) ? s->mapper_socket : s->options->config->mapper_socket,
            .notify_path = s->notify_socket,
            .watchdog_us = s->silence_ns == UINT64_MAX ? 0 : s->silence_ns / CLOCK_NS_PER_US,
        };

        if (kind == CHILD_MAPPER) {
            child_become_mapper(s->options->config, &sockets, s->worker_uid);
        }
        child_become_worker(s->options->config, &sockets);
    }
    c->pid = pid;
    c->starts++;
    c->started_ns = clock_monotonic_ns();
    c->heard_ns = c->started_ns;
    log_debug("%s is process %d", child_names[kind], (int)pid);
    return 0;
}

static int start_due(struct supervisor *s, struct failure *f)
{
    uint64_t now_ns = clock_monotonic_ns();
    int result = 0;

    for (int kind = 0; kind < CHILD_COUNT && result == 0 && !s->stopping; kind++) {
        struct child *c = &s->children[kind];

        if (c->pid == 0 && now_ns >= c->start_at_ns) {
            result = start_child(s, kind, f);
        }
    }
    return result;
}

/* --- what happens then ----------------------------------------------------------------------- */

/* What keeps a worker from its start is in the files, and would do so the next time, too; or it passes, as
 * the end of a worker whose supervisor was killed. */
static bool is_hopeless(enum child_kind kind, int status)
{
    return kind == CHILD_WORKER && WIFEXITED(status) && WEXITSTATUS(status) != 0 &&
           WEXITSTATUS(status) != error_exit_status(ERROR_UNAVAILABLE);
}

static int could_not_start(const struct child *c, enum child_kind kind, const char *how, int status,
                           struct failure *f)
{
    enum error_code code = kind == CHILD_WORKER && WIFEXITED(status)
                               ? error_from_exit_status(WEXITSTATUS(status))
                               : ERROR_UNAVAILABLE;
    int result = failure_set(f, code, "the %s %s, %u time%s, and was never ready",
                             child_names[kind], how, c->starts, c->starts == 1 ? "" : "s");

    return failure_next(f, result, "see what it said above");
}

static int child_ended(struct supervisor *s, enum child_kind kind, int status, struct failure *f)
{
    struct child *c = &s->children[kind];
    uint64_t now_ns = clock_monotonic_ns();
    char how[64];

    c->pid = 0;
    if (s->stopping) {
        return 0;
    }
    if (WIFSIGNALED(status)) {
        snprintf(how, sizeof(how), "was ended by signal %d", WTERMSIG(status));
    } else {
        snprintf(how, sizeof(how), "ended with status %d", WEXITSTATUS(status));
    }
    if (!s->ready && (c->starts >= TRIES_BEFORE_READY || is_hopeless(kind, status))) {
        return could_not_start(c, kind, how, status, f);
    }
    if (now_ns - c->started_ns >= STEADY_S * CLOCK_NS_PER_S || c->backoff_ms == 0) {
        c->backoff_ms = BACKOFF_MIN_MS;
    }
    c->start_at_ns = now_ns + c->backoff_ms * CLOCK_NS_PER_MS;
    log_warning("the %s %s; starting it again in %u ms", child_names[kind], how, c->backoff_ms);
    c->backoff_ms *= 2;
    if (c->backoff_ms > s->options->config->mapper_backoff_max_ms) {
        c->backoff_ms = (uint32_t)s->options->config->mapper_backoff_max_ms;
    }
    return 0;
}

static int reap(struct supervisor *s, struct failure *f)
{
    int result = 0, status;
    pid_t pid;

    while (result == 0 && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int kind = 0; kind < CHILD_COUNT; kind++) {
            if (s->children[kind].pid == pid) {
                result = child_ended(s, kind, status, f);
            }
        }
    }
    return result;
}

/* Not before it has said that it is done with the last time: each time it gets each file once. */
static void reload_worker(struct supervisor *s)
{
    pid_t pid = s->children[CHILD_WORKER].pid;

    if (pid > 0 && !s->is_reading) {
        follow_config(s);
        keeper_begin_turn(&s->keeper, &s->offered);
        s->is_reading = true;
        (void)kill(pid, SIGHUP);
    } else {
        s->reload_due = pid > 0; /* the next worker reads them anyway */
    }
}

static void on_read(struct supervisor *s)
{
    keeper_end_turn(&s->keeper);
    s->is_reading = false;
    if (s->reload_due) {
        s->reload_due = false;
        reload_worker(s);
    }
}

static int on_signals(struct supervisor *s, struct failure *f)
{
    struct signalfd_siginfo info;
    int result = 0;

    while (result == 0 && read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            result = reap(s, f);
        } else if (info.ssi_signo == SIGHUP) {
            reload_worker(s);
        } else {
            s->stopping = true;
        }
    }
    return result;
}

/* The sender's process number, as the kernel vouches for it: nobody else says that the worker is
 * ready. 0 where there is none, and where it is of another PID namespace. */
static pid_t sender_of(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred credentials;

            memcpy(&credentials, CMSG_DATA(c), sizeof(credentials));
            return credentials.pid;
        }
    }
    return 0;
}

static int on_notify(struct supervisor *s, struct failure *f)
{
    char text[STATUS_MAX_BYTES + 64];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec piece = { .iov_base = text, .iov_len = sizeof(text) - 1 };
    struct msghdr message = { .msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
    ssize_t n = recvmsg(s->notify_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n <= 0 || s->children[CHILD_WORKER].pid == 0 ||
        sender_of(&message) != s->children[CHILD_WORKER].pid) {
        return 0;
    }
    text[n] = '\0';
    if (strstr(text, "WATCHDOG=1") != NULL) {
        s->children[CHILD_WORKER].heard_ns = clock_monotonic_ns();
    }
    if (strstr(text, "RELOADING=1") != NULL) {
        sd_notify(0, "RELOADING=1");
    }
    status_pass_on(text);
    if (strstr(text, STATUS_TAKEN) != NULL) {
        s->in_force = s->offered;
    }
    if (strstr(text, "READY=1") == NULL) {
        return 0;
    }
    sd_notify(
        0,
        "READY=1"); /* each time: it ends a reload, too, perhaps that of a worker that died in it */
    on_read(s);
    if (s->ready) {
        return 0;
    }
    s->ready = true;
    if (s->options->on_ready == NULL) {
        return 0;
    }
    return s->options->on_ready(s->options->arg, s->options->config->server_listen, s->port, f);
}

static void on_keeper(struct supervisor *s)
{
    if (s->keeper.fd >= 0 && !keeper_serve(&s->keeper, &s->offered, &s->in_force)) {
        scope_close_fd(&s->keeper.fd);
    }
}

static uint64_t next_start_ns(const struct supervisor *s)
{
    uint64_t next = UINT64_MAX;

    for (int kind = 0; kind < CHILD_COUNT; kind++) {
        if (s->children[kind].pid == 0 && s->children[kind].start_at_ns < next) {
            next = s->children[kind].start_at_ns;
        }
    }
    return next;
}

/* Of the worker; UINT64_MAX where it is not watched, or does not run. */
static uint64_t silent_ns(const struct supervisor *s)
{
    const struct child *c = &s->children[CHILD_WORKER];

    return c->pid == 0 || s->silence_ns == UINT64_MAX ? UINT64_MAX : c->heard_ns + s->silence_ns;
}

static void end_silent_worker(struct supervisor *s)
{
    struct child *c = &s->children[CHILD_WORKER];

    if (clock_monotonic_ns() >= silent_ns(s)) {
        log_error("the worker has not said for %llu s that it lives; killing it",
                  (unsigned long long)(s->silence_ns / CLOCK_NS_PER_S));
        (void)kill(c->pid, SIGKILL);
        c->heard_ns = clock_monotonic_ns(); /* once, until its end is here */
    }
}

static int supervise(struct supervisor *s, struct failure *f)
{
    struct pollfd fds[] = { { .fd = s->signal_fd, .events = POLLIN },
                            { .fd = s->notify_fd, .events = POLLIN },
                            { .events = POLLIN } };
    int result = start_due(s, f);

    while (result == 0 && !s->stopping) {
        uint64_t next_ns = next_start_ns(s) < silent_ns(s) ? next_start_ns(s) : silent_ns(s);
        int timeout_ms = next_ns == UINT64_MAX ? -1 : clock_poll_timeout_ms(next_ns, 60000);

        fds[2].fd = s->keeper.fd; /* another one for each worker */
        (void)poll(fds, 3, alive_timeout_ms(&s->alive, timeout_ms));
        alive_tell(&s->alive, NULL);
        on_keeper(s);
        if (fds[1].revents != 0) {
            result = on_notify(s, f);
        }
        if (result == 0) {
            result = on_signals(s, f);
        }
        end_silent_worker(s);
        if (result == 0) {
            result = start_due(s, f);
        }
    }
    return result;
}

/* Ends one child, by force where it does not end by itself. */
static void end_child(struct supervisor *s, enum child_kind kind)
{
    uint64_t kill_at_ns = clock_monotonic_ns() + STOP_WAIT_S * CLOCK_NS_PER_S;
    struct child *c = &s->children[kind];
    struct pollfd signals = { .fd = s->signal_fd, .events = POLLIN };

    if (c->pid > 0) {
        (void)kill(c->pid, SIGTERM);
    }
    while (c->pid > 0) {
        if (clock_monotonic_ns() >= kill_at_ns) {
            log_warning("the %s does not end; killing it", child_names[kind]);
            (void)kill(c->pid, SIGKILL);
            kill_at_ns = UINT64_MAX;
        }
        (void)poll(&signals, 1, clock_poll_timeout_ms(kill_at_ns, 1000));
        (void)on_signals(s, NULL);
        (void)reap(s, NULL);
    }
}

int supervisor_run(const struct supervisor_options *options, struct failure *f)
{
    struct supervisor s = { .options = options,
                            .offered = *options->config,
                            .in_force = *options->config,
                            .mapper_fd = -1,
                            .health_fd = -1,
                            .signal_fd = -1,
                            .notify_fd = -1,
                            .keeper = { .fd = -1 },
                            .worker_uid = geteuid(),
                            .worker_gid = getegid() };
    int result = 0;

    if (!has_mapper(&s)) {
        s.children[CHILD_MAPPER].start_at_ns = UINT64_MAX;
    }
    /* The worker is watched as this process is itself. */
    alive_init(&s.alive);
    s.silence_ns = s.alive.silence_ns > 0 ? s.alive.silence_ns : UINT64_MAX;
    if (geteuid() == 0) {
        result = sandbox_find_user(options->config->server_user, &s.worker_uid, &s.worker_gid, f);
    }
    if (result == 0) {
        result = open_signals(&s, f);
    }
    if (result == 0) {
        result = make_runtime(&s, f);
    }
    if (result == 0) {
        result = bind_sockets(&s, f);
    }
    if (result == 0) {
        result = sandbox_enter_supervisor(f);
    }
    if (result == 0) {
        result = supervise(&s, f);
        sd_notify(0, "STOPPING=1");
        s.stopping = true;
        /* Nobody answers it any more: a worker that is reading its files again is not to wait for that. */
        scope_close_fd(&s.keeper.fd);
        end_child(&s, CHILD_WORKER); /* first: its requests still need the mapper */
        end_child(&s, CHILD_MAPPER);
    }
    remove_runtime(&s);
    scope_close_fd(&s.mapper_fd);
    doors_close(&s.doors);
    scope_close_fd(&s.health_fd);
    scope_close_fd(&s.notify_fd);
    scope_close_fd(&s.keeper.fd);
    scope_close_fd(&s.signal_fd);
    return result;
}
