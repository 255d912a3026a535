/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/message.h"
#include "common/scope.h"
#include "server/doctor.h"
#include "server/sandbox.h"

/* The mapper serves one user: root asks as that one. */
static int connect_as_server(const struct doctor *d, struct channel *out, struct failure *f)
{
    uid_t uid = geteuid();
    gid_t gid = getegid(), own_gid = getegid();
    bool is_root = uid == 0;
    int result = is_root ? sandbox_find_user(d->config->server_user, &uid, &gid, f) : 0;

    if (result == 0 && is_root && (setegid(gid) != 0 || seteuid(uid) != 0)) {
        result = failure_set(f, ERROR_INTERNAL, "cannot ask as %s", d->config->server_user);
    }
    if (result == 0) {
        result = channel_connect(d->config->mapper_socket, out, f);
    }
    if (is_root && (seteuid(0) != 0 || setegid(own_gid) != 0)) {
        return failure_set(f, ERROR_INTERNAL, "cannot be root again");
    }
    return result;
}

/* Why nobody answers there. The row's level. */
static enum doctor_level cure(const struct doctor *d, struct failure *f)
{
    if (f->next_step[0] != '\0') {
        return DOCTOR_FAILED;
    }
    if (f->xen_errno == EACCES && geteuid() != 0) {
        (void)failure_next(f, 0, "run this as root, or as %s: the mapper's socket is for it alone",
                           d->config->server_user);
        return DOCTOR_WARNING;
    }
    if (f->xen_errno == EACCES) {
        (void)failure_next(
            f, 0,
            "start the mapper with --peer-user %s, whose its socket is then; and let "
            "it enter the socket's folder",
            d->config->server_user);
    } else {
        (void)failure_next(f, 0,
                           "see the mapper's log, and start it again (systemctl restart "
                           "xenresd-mapper)");
    }
    return DOCTOR_FAILED;
}

static int ask(const struct channel *c, union message *answer, struct failure *f)
{
    struct pollfd row = { .fd = c->fd, .events = POLLIN };
    union message hello = { 0 };
    int fds[CHANNEL_FDS_MAX], result;
    size_t fd_count = 0;
    ssize_t len;

    message_init(&hello, MESSAGE_HELLO, 1);
    snprintf(hello.hello.version, sizeof(hello.hello.version), "%s", XENRES_VERSION);
    result = channel_send(c, &hello, sizeof(hello.hello), NULL, 0, f);
    if (result < 0) {
        return result;
    }
    if (poll(&row, 1, DOCTOR_WAIT_MS) != 1) {
        result = failure_set(f, ERROR_DEADLINE_EXCEEDED, "it does not answer");
        return failure_next(f, result, "restart the mapper");
    }
    len = channel_receive(c, answer, sizeof(*answer), fds, &fd_count, f);
    for (size_t i = 0; i < fd_count; i++) {
        (void)close(fds[i]);
    }
    return len < 0 ? (int)len : message_check(answer, (size_t)len, f);
}

static void tell_answer(struct doctor *d, union message *m)
{
    if (m->head.type == MESSAGE_FAILED) {
        struct failure *f = &m->failed.failure;

        failure_sanitize(f);
        if (f->code == ERROR_UNAVAILABLE && d->is_running) {
            doctor_row(d, DOCTOR_OK, "mapper", "it answers: %s", f->message);
        } else {
            doctor_row_failure(d, DOCTOR_FAILED, "mapper", f);
        }
    } else if (m->head.type != (MESSAGE_HELLO | MESSAGE_ANSWER)) {
        doctor_row(d, DOCTOR_FAILED, "mapper",
                   "what answers at %s is no mapper: set mapper.socket to that of one",
                   d->config->mapper_socket);
    } else if (strcmp(m->hello_answer.version, XENRES_VERSION) != 0) {
        doctor_row(d, DOCTOR_FAILED, "mapper",
                   "it is of version %s, and this of " XENRES_VERSION
                   ": install both of one release, and restart both",
                   m->hello_answer.version);
    } else {
        doctor_row(d, DOCTOR_OK, "mapper", "it answers: version %s, backend %s",
                   m->hello_answer.version, m->hello_answer.backend);
    }
}

void doctor_mapper(struct doctor *d)
{
    const char *path = d->config->mapper_socket;
    struct channel channel = { .fd = -1 };
    union message answer;
    struct failure f = { 0 };
    struct stat st;

    if (d->config->mapper_program[0] != '\0') {
        doctor_row(d, DOCTOR_OK, "mapper", "xenresd starts %s itself, and is ready with it or not",
                   d->config->mapper_program);
        if (sandbox_is_root(d->config->mapper_user)) {
            doctor_row(d, DOCTOR_WARNING, "mapper's user",
                       "it stays root: set mapper.user to a user of its own, as xenresd-mapper is");
        }
        return;
    }
    if (stat(path, &st) != 0) {
        doctor_row(d, DOCTOR_FAILED, "mapper's socket",
                   "%s: %s: start the mapper (systemctl enable --now xenresd-mapper)", path,
                   strerror(errno));
        return;
    }
    if (!S_ISSOCK(st.st_mode)) {
        doctor_row(d, DOCTOR_FAILED, "mapper's socket",
                   "%s is no socket: set mapper.socket to that of --socket of the mapper", path);
        return;
    }
    doctor_row(d, (st.st_mode & S_IWOTH) != 0 ? DOCTOR_WARNING : DOCTOR_OK, "mapper's socket",
               "%s, owner %u:%u, mode %04o%s", path, (unsigned)st.st_uid, (unsigned)st.st_gid,
               (unsigned)(st.st_mode & 07777),
               (st.st_mode & S_IWOTH) != 0 ? ": everybody may knock at it: chmod o= it" : "");
    if (connect_as_server(d, &channel, &f) < 0 || ask(&channel, &answer, &f) < 0) {
        enum doctor_level level = cure(d, &f);

        doctor_row_failure(d, level, "mapper", &f);
    } else {
        tell_answer(d, &answer);
    }
    channel_close(&channel);
}
