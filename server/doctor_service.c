/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/scope.h"
#include "server/doctor.h"
#include "server/http/listener.h"
#include "server/sandbox.h"

enum { ANSWER_MAX_BYTES = 8192 };

static void look_at_user(struct doctor *d, uid_t *uid)
{
    struct failure f = { 0 };
    gid_t gid;

    *uid = geteuid();
    if (sandbox_find_user(d->config->server_user, uid, &gid, &f) < 0) {
        doctor_row_failure(d, geteuid() == 0 ? DOCTOR_FAILED : DOCTOR_WARNING, "user", &f);
    } else if (*uid == 0) {
        doctor_row(d, DOCTOR_FAILED, "user", "server.user is root: name an unprivileged one");
    } else {
        doctor_row(d, DOCTOR_OK, "user", "%s (uid %u)", d->config->server_user, (unsigned)*uid);
    }
}

/* Whoever looks: root, or perhaps the user who serves. */
static void look_at_state(struct doctor *d, uid_t uid)
{
    const char *path = d->config->server_state_dir;
    struct stat st;

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        doctor_row(d, DOCTOR_FAILED, "state folder",
                   "there is none at %s: install -d -m 700 -o %s %s", path, d->config->server_user,
                   path);
    } else if (geteuid() == 0 ? st.st_uid != uid : access(path, W_OK | X_OK) != 0) {
        doctor_row(d, DOCTOR_FAILED, "state folder", "%s cannot write %s: chown %s %s",
                   d->config->server_user, path, d->config->server_user, path);
    } else {
        doctor_row(d, DOCTOR_OK, "state folder", "%s", path);
    }
}

/* --- listeners -------------------------------------------------------------------------------- */

static int connect_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    SCOPE_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0
               ? scope_take_fd(&fd)
               : -1;
}

/* False: errno says why. */
static bool is_connected(int fd)
{
    struct pollfd row = { .fd = fd, .events = POLLOUT };
    int error = ETIMEDOUT;
    socklen_t len = sizeof(error);

    if (poll(&row, 1, DOCTOR_WAIT_MS) == 1 &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    errno = error;
    return error == 0;
}

static int connect_tcp(const char *where)
{
    const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                    .ai_socktype = SOCK_STREAM };
    const char *colon = strrchr(where, ':');
    struct addrinfo *found = NULL;
    char host[64];
    size_t len = colon != NULL ? (size_t)(colon - where) : 0, skip = where[0] == '[' ? 1 : 0;

    if (len < 2 * skip || len - 2 * skip >= sizeof(host)) {
        errno = EINVAL;
        return -1;
    }
    memcpy(host, where + skip, len - 2 * skip);
    host[len - 2 * skip] = '\0';
    if (colon == NULL || getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        errno = EINVAL;
        return -1;
    }
    SCOPE_FD int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool done = fd >= 0 && (connect(fd, found->ai_addr, found->ai_addrlen) == 0 ||
                            (errno == EINPROGRESS && is_connected(fd)));

    freeaddrinfo(found);
    return done ? scope_take_fd(&fd) : -1;
}

/* Sends the one request, and reads its answer to the end: all of it in time, however slowly it comes. */
static bool ask(int fd, char answer[ANSWER_MAX_BYTES])
{
    static const char request[] =
        "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const uint64_t deadline_ns = clock_monotonic_ns() + DOCTOR_WAIT_MS * CLOCK_NS_PER_MS;
    struct pollfd row = { .fd = fd, .events = POLLIN };
    size_t len = 0;
    ssize_t n = 1;

    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1) {
        return false;
    }
    while (n > 0 && len < ANSWER_MAX_BYTES - 1) {
        if (poll(&row, 1, clock_poll_timeout_ms(deadline_ns, DOCTOR_WAIT_MS)) != 1) {
            return false;
        }
        n = recv(fd, answer + len, ANSWER_MAX_BYTES - 1 - len, 0);
        len += n > 0 ? (size_t)n : 0;
    }
    answer[len] = '\0';
    return n >= 0 && memchr(answer, '\0', len) == NULL;
}

static void look_at_health(struct doctor *d)
{
    const char *where = d->config->server_health;
    SCOPE_FD int fd = where[0] == '\0'  ? -1
                      : where[0] == '/' ? connect_unix(where)
                                        : connect_tcp(where);
    char answer[ANSWER_MAX_BYTES] = "";
    const char *body;

    if (where[0] == '\0') {
        doctor_row(d, DOCTOR_OK, "health", "there is no health listener (server.health)");
    } else if (fd < 0) {
        doctor_row(d, DOCTOR_WARNING, "health",
                   "no xenresd runs: nobody answers at %s (%s); start it", where, strerror(errno));
    } else if (!ask(fd, answer) || (strncmp(answer, "HTTP/1.1 200", 12) != 0 &&
                                    strncmp(answer, "HTTP/1.1 503", 12) != 0)) {
        doctor_row(d, DOCTOR_FAILED, "health",
                   "what answers at %s is no xenresd: give server.health another address", where);
    } else if (answer[9] == '2') {
        d->is_running = true;
        doctor_row(d, DOCTOR_OK, "health", "xenresd runs, and is ready");
    } else {
        d->is_running = true;
        body = strstr(answer, "\r\n\r\n");
        doctor_row(d, DOCTOR_FAILED, "health",
                   "xenresd runs, and is not ready: %.*s; see below for why, and its log",
                   body != NULL ? (int)strcspn(body + 4, "\n") : 0, body != NULL ? body + 4 : "");
    }
}

static void look_at_listener(struct doctor *d, const char *where)
{
    struct failure f = { 0 };
    SCOPE_FD int fd = -1;

    if (listener_bind(where, &fd, &f) == 0) {
        doctor_row(d, DOCTOR_OK, "listener", "%s is free", where);
    } else if (f.xen_errno == EADDRINUSE && d->is_running) {
        doctor_row(d, DOCTOR_OK, "listener", "%s is served", where);
    } else if (f.xen_errno == EADDRINUSE) {
        doctor_row(
            d, DOCTOR_FAILED, "listener",
            "%s is another program's: `ss -ltnp` says whose; stop it, or change "
            "the address in xenresd.conf (where it is systemd's for xenresd.socket, start xenresd)",
            where);
    } else {
        doctor_row_failure(d, DOCTOR_FAILED, "listener", &f);
    }
}

/* --- systemd ---------------------------------------------------------------------------------- */

static void look_at_unit(struct doctor *d, const char *unit)
{
    const char *const argv[] = { "systemctl", "is-active", unit, NULL };
    BUFFER_AUTO(said, DOCTOR_SAID_MAX_BYTES);
    int status = doctor_program(argv, &said);
    const char *text = buffer_string(&said);
    int len = text != NULL ? (int)strcspn(text, "\n") : 0;

    if (status < 0) {
        doctor_row(d, DOCTOR_WARNING, unit, "systemctl does not answer: run it");
    } else if (status == 0) {
        doctor_row(d, DOCTOR_OK, unit, "%.*s", len, text);
    } else if (len == 6 && strncmp(text, "failed", 6) == 0) {
        doctor_row(d, DOCTOR_FAILED, unit, "it failed: journalctl -u %s says why", unit);
    } else {
        doctor_row(d, DOCTOR_WARNING, unit, "%.*s: systemctl enable --now %s", len, text, unit);
    }
}

void doctor_service(struct doctor *d)
{
    uid_t uid;

    look_at_user(d, &uid);
    look_at_state(d, uid);
    look_at_health(d);
    look_at_listener(d, d->config->server_listen);
    for (size_t i = 0; i < d->config->listener_count; i++) {
        look_at_listener(d, d->config->listener[i].listen);
    }
    if (access("/run/systemd/system", F_OK) != 0) {
        doctor_row(d, DOCTOR_OK, "systemd", "not there: somebody else starts the programs");
        return;
    }
    look_at_unit(d, "xenresd.service");
    if (d->config->mapper_program[0] == '\0') {
        look_at_unit(d, "xenresd-mapper.service");
    }
}
