/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "auth/guarded_file.h"
#include "common/scope.h"
#include "server/reload_files.h"

enum {
    MAGIC = 0x6b657031, /* "kep1" */
    ANSWER_WAIT_S = 5,
    REQUESTS_A_TURN = RELOAD_FILES_MAX, /* the supervisor has others to look after */
};

struct request {
    uint32_t magic, number; /* of the request: its answer has it again */
    uint32_t index;         /* into reload_files() */
    uint32_t reserved;      /* 0 */
    uint64_t digest;        /* of the path there */
};

struct answer {
    uint32_t magic, number;
    int32_t errnum; /* 0: a descriptor comes with it */
    uint32_t reserved;
};

union descriptor_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* FNV-1a: finds other configurations, not enemies; only the supervisor's own paths are ever opened. */
static uint64_t digest(const char *path)
{
    uint64_t value = UINT64_C(0xcbf29ce484222325);

    for (; *path != '\0'; path++) {
        value = (value ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
    }
    return value;
}

int keeper_pair(int *supervisor_fd, int *worker_fd, struct failure *f)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return failure_call(f, failure_set(f, ERROR_INTERNAL, "cannot make the keeper's sockets"),
                            "socketpair", errno);
    }
    *supervisor_fd = pair[0];
    *worker_fd = pair[1];
    return 0;
}

/* --- the supervisor's half ------------------------------------------------------------------- */

_Static_assert(RELOAD_FILES_MAX <= 64, "each has a bit");

void keeper_begin_turn(struct keeper *k, const struct config *offered)
{
    k->due = (UINT64_C(1) << reload_files_at_signal(offered)) - 1;
}

void keeper_end_turn(struct keeper *k)
{
    k->due = 0;
}

/* Takes the file's bit: whoever has the worker in his hands by now does not get the key a second time. */
static bool may_have(struct keeper *k, const struct config *config, uint32_t index)
{
    const uint64_t bit = UINT64_C(1) << index;
    bool is_due = (k->due & bit) != 0;

    k->due &= ~bit;
    return is_due || index >= reload_files_at_signal(config);
}

/* NULL: it is not named so there. */
static const char *named(const struct config *config, const struct request *r)
{
    const char *paths[RELOAD_FILES_MAX];
    size_t count = reload_files(config, paths);

    return r->index < count && digest(paths[r->index]) == r->digest ? paths[r->index] : NULL;
}

/* NULL with errno. */
static const char *granted(struct keeper *k, const struct config *offered,
                           const struct config *in_force, const struct request *r)
{
    const char *path = named(offered, r);

    if (path != NULL) {
        errno = EACCES;
        return may_have(k, offered, r->index) ? path : NULL;
    }
    errno = ESTALE;
    return r->index >= reload_files_at_signal(in_force) ? named(in_force, r) : NULL;
}

static int open_named(const char *path)
{
    struct stat st;

    if (path == NULL) {
        return -1;
    }
    /* O_NONBLOCK: a FIFO in its place must not hold up the supervisor. */
    SCOPE_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, &st) != 0) {
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    return scope_take_fd(&fd);
}

static bool answer(int supervisor_fd, const struct request *r, int fd, int errnum)
{
    struct answer a = { .magic = MAGIC, .number = r->number, .errnum = fd < 0 ? errnum : 0 };
    union descriptor_control control;
    struct iovec piece = { .iov_base = &a, .iov_len = sizeof(a) };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

    memset(&control, 0, sizeof(control));
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    return sendmsg(supervisor_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(a);
}

bool keeper_serve(struct keeper *k, const struct config *offered, const struct config *in_force)
{
    for (int i = 0; i < REQUESTS_A_TURN; i++) {
        struct request r;
        /* Without room for control data: descriptors that come with it are closed by the kernel. */
        ssize_t n = recv(k->fd, &r, sizeof(r), MSG_DONTWAIT | MSG_TRUNC);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return true;
        }
        if (n != (ssize_t)sizeof(r) || r.magic != MAGIC || r.reserved != 0) {
            return false;
        }
        SCOPE_FD int fd = open_named(granted(k, offered, in_force, &r));

        if (!answer(k->fd, &r, fd, errno)) {
            return false;
        }
    }
    return true;
}

/* --- the worker's ---------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock; /* one request at a time */
    int fd;
    const struct config *config;
    uint32_t number;
} keeper = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

/* Of the answer, or -1. */
static int take_descriptor(struct msghdr *message)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    int fd = -1;

    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    }
    return fd;
}

/* The answer of that number; those of requests that were given up are passed over. */
static int receive(uint32_t number)
{
    for (;;) {
        struct answer a;
        union descriptor_control control;
        struct iovec piece = { .iov_base = &a, .iov_len = sizeof(a) };
        struct msghdr message = { .msg_iov = &piece,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(keeper.fd, &message, MSG_CMSG_CLOEXEC);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            errno = errno == EAGAIN ? ETIMEDOUT : errno;
            return -1;
        }
        SCOPE_FD int fd = n > 0 ? take_descriptor(&message) : -1;

        if (n != (ssize_t)sizeof(a) || a.magic != MAGIC || (a.errnum == 0) != (fd >= 0)) {
            errno = EPIPE; /* the supervisor is gone */
            return -1;
        }
        if (a.number == number) {
            errno = a.errnum;
            return scope_take_fd(&fd);
        }
    }
}

static int ask(size_t index, const char *path)
{
    struct request r = { .magic = MAGIC, .index = (uint32_t)index, .digest = digest(path) };
    int fd = -1, errnum;

    (void)pthread_mutex_lock(&keeper.lock);
    r.number = ++keeper.number;
    if (send(keeper.fd, &r, sizeof(r), MSG_NOSIGNAL) == (ssize_t)sizeof(r)) {
        fd = receive(r.number);
    }
    errnum = errno;
    (void)pthread_mutex_unlock(&keeper.lock);
    errno = errnum;
    return fd;
}

/* Of guarded_file_read(). */
static int open_kept(const char *path)
{
    const char *paths[RELOAD_FILES_MAX];
    size_t count = reload_files(keeper.config, paths);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(paths[i], path) == 0) {
            return ask(i, path);
        }
    }
    errno = ENOSYS;
    return -1;
}

void keeper_use(int worker_fd, const struct config *config)
{
    const struct timeval wait = { .tv_sec = ANSWER_WAIT_S };

    (void)setsockopt(worker_fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    (void)setsockopt(worker_fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    keeper.fd = worker_fd;
    keeper.config = config;
    guarded_file_set_opener(open_kept);
}

void keeper_follow(const struct config *config)
{
    if (keeper.config != NULL) {
        keeper.config = config;
    }
}
